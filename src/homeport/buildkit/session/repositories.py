"""The repositories that an engine may use with our login: those that a build names.

Which they are is found by ``homeport.buildkit.named_images``. Not for fetching tokens
(``homeport.buildkit.session.registry_auth``).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from homeport.errors import UsageError
from homeport.oci.reference import DEFAULT_REGISTRY, BadReference, parse_reference

#: Names under which engines ask for Docker Hub.
_HUB = ("registry-1.docker.io", "index.docker.io", "https://index.docker.io/v1/")


class Repositories(msgspec.Struct, frozen=True, kw_only=True):
    """Names such as ``docker.io/library/debian``; ``registry.example/team/*`` is all below.

    pulls:  what an engine may pull
    pushes: what it may push to as well
    """

    pulls: frozenset[str] = frozenset()
    pushes: frozenset[str] = frozenset()

    def has_registry(self, host: str) -> bool:
        """Whether the build names a repository of this registry, as engines call it."""
        registry = registry_of(host)
        return any(name.partition("/")[0] == registry for name in self.pulls | self.pushes)

    def permitted(self, host: str, scopes: Iterable[str]) -> frozenset[str]:
        """The scopes, reduced to the actions that the build needs. Others are left out."""
        found = set()
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, asked = rest.rpartition(":")
            whole = f"{registry_of(host)}/{name}"
            allowed: tuple[str, ...] = ()
            if kind == "repository" and _holds(self.pushes, whole):
                allowed = ("pull", "push")
            elif kind == "repository" and _holds(self.pulls, whole):
                allowed = ("pull",)
            if actions := [action for action in asked.split(",") if action in allowed]:
                found.add(f"repository:{name}:{','.join(actions)}")
        return frozenset(found)


def registry_of(host: str) -> str:
    """The registry as references name it."""
    return DEFAULT_REGISTRY if host in _HUB else host


def allowed_name(text: str) -> str:
    """``--allow-pull``: a repository, or ``HOST/PATH/*``. Raises ``UsageError``."""
    below = text.endswith("/*")
    try:
        name = parse_reference(f"{text[:-2]}/x" if below else text).name
    except BadReference as error:
        raise UsageError(
            f"invalid --allow-pull {text!r}: {error.what}",
            hint="write a repository, or HOST/PATH/* for all below",
        ) from error
    return f"{name[:-2]}/*" if below else name


def _holds(names: frozenset[str], name: str) -> bool:
    parts = name.split("/")
    above = ("/".join(parts[:count]) + "/*" for count in range(1, len(parts)))
    return name in names or any(each in names for each in above)
