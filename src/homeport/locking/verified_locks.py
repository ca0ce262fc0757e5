"""What is known of a lockfile: whether its hashes are those that the archives signed.

A build takes whatever answers without the network: an earlier answer for the same bytes, the
cache, or the proof; a lockfile that differs from the signed indexes is never built. Comparing is
``locking.proof``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import homeport
from homeport.content.code_hash import code_hash
from homeport.content.digest import Digest
from homeport.content.files import explained
from homeport.content.store import Store
from homeport.locking.verification import Verification
from homeport.progress import CancelToken
from homeport.recipe.lock.reading import StoredLock
from homeport.recipe.model import Recipe

_NAMESPACE = "lock-verified"
#: The code that decides whether a lockfile is verified.
_DECIDES = ("debian", "locking", "recipe/lock")


def verify_for_build(
    found: StoredLock, recipe: Recipe, store: Store, cancel: CancelToken
) -> Verification:
    """As far as it can be told without the network. Raises ``NotVerified`` for a difference."""
    key = _answer_key(found, recipe)
    answer = store.recall(_NAMESPACE, key)
    if answer is not None:
        ended = tuple(answer.decode("utf-8", "replace").splitlines())
        return Verification(lockfile=found.path, evidence="answer", ended=ended)
    # 300 ms that builds of a lockfile with an answer save (OpenPGP, HTTP)
    from homeport.locking.proof import verify_offline

    result = verify_offline(found, recipe, store, cancel)
    if result.evidence is not None:
        remember_verified(result, found, recipe, store)
    return result


def remember_verified(
    result: Verification, found: StoredLock, recipe: Recipe, store: Store
) -> None:
    """Later builds of this lockfile take the answer."""
    store.remember(_NAMESPACE, _answer_key(found, recipe), "\n".join(result.ended).encode())


def is_known(found: StoredLock, recipe: Recipe, store: Store) -> bool:
    """Whether this lockfile was verified before."""
    return store.recall(_NAMESPACE, _answer_key(found, recipe)) is not None


def _answer_key(found: StoredLock, recipe: Recipe) -> str:
    """Everything that the answer depends on: the lockfile, the suites, the keys, our code."""
    return "\n".join(
        [str(found.digest), homeport.__version__, code_hash(*_DECIDES), *_trusted(recipe)]
    )


def _trusted(recipe: Recipe) -> Iterable[str]:
    for archive in recipe.archives:
        keys = []
        for key in archive.keys:
            keys.append(key.name)
            if key.path is not None:
                with explained(key.path, "read"):
                    keys.append(str(Digest.of(key.path.read_bytes())))
        yield json.dumps([archive.name, archive.suites, archive.components, keys])
