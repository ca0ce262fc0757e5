"""How many have built an image again and attested it: rebuilders that the policy names.

A statement of a rebuilder is signed SLSA provenance of a platform manifest whose build definition
is the one of everybody else. What counts are signers, not statements, and not ``builder.id``
(GHSA-9vcr-p3rj-q5q6: thresholds that were counted by entries). The publisher counts as one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec

from homeport.attest.attached.base import Attached
from homeport.attest.attached.collecting import collect
from homeport.attest.inside_index import SLSA, provenance_inside
from homeport.attest.verification.candidate import SignedImage
from homeport.attest.verification.image import platform_children
from homeport.attest.verification.signers import Signer
from homeport.attest.verification.verify import (
    Clock,
    Requirement,
    SignatureResult,
    verify_attachments,
)
from homeport.content.thread_pools import Threads, run_all
from homeport.images.image import Child, Image, Index, digest_of

#: A signer, by the name in the policy and by key or certificate.
_Who = tuple[str, str]


def rebuilders_of(
    value: Image | Index, attached: Attached, signers: tuple[Signer, ...], pool: Threads, *,
    publisher: Iterable[str], clock: Clock,
) -> int:  # fmt: skip
    """How many of ``signers``, besides the ``publisher``, say that they built every platform.

    publisher: identities that signed the image; the publisher does not count as a rebuilder
    """
    if not isinstance(value, Index):
        return 0
    children = platform_children(value)
    found = run_all(
        pool, [partial(_of_platform, value, one, attached, signers, clock) for one in children]
    )  # fmt: skip
    if not found:
        return 0
    known = set(publisher)
    everywhere = {one for one in set.intersection(*found) if one[1] not in known}
    # One rebuilder with two keys is one, and so are two names with one key.
    return min(len({name for name, _ in everywhere}), len({key for _, key in everywhere}))


def _of_platform(
    index: Index, child: Child, attached: Attached, signers: tuple[Signer, ...], clock: Clock
) -> set[_Who]:
    image = SignedImage(
        digest=digest_of(child.descriptor), manifest=lambda: child.open().document.raw
    )
    attachments = collect(attached, image.digest, attestations=True)
    results = [
        one
        for signer in signers  # each by itself: two names may stand for one key
        for one in verify_attachments(
            attachments, image, Requirement(signers=(signer,)), clock=clock
        ).signatures
        if one.verdict == "valid" and one.predicate_type == SLSA
    ]
    groups: dict[bytes, set[_Who]] = defaultdict(set)
    for one in results:
        groups[_definition(_predicate(one))].add((one.signer, one.identity))
    published = provenance_inside(index, child)
    if published is not None:
        return groups.get(_definition(published), set())
    most = Counter({key: len(who) for key, who in groups.items()}).most_common(1)
    return groups[most[0][0]] if most else set()


def _predicate(result: SignatureResult) -> Any:
    return result.claim.predicate if result.claim is not None else None


def _definition(predicate: Any) -> bytes:
    """What was built from what: the part of a predicate in which all builders agree."""
    definition = predicate.get("buildDefinition") if isinstance(predicate, dict) else None
    if not isinstance(definition, dict):
        return b""
    fields = ("buildType", "externalParameters", "resolvedDependencies")
    return msgspec.json.encode([definition.get(field) for field in fields], order="sorted")
