"""Names and versions: what an image of the tree is called, and which version comes next.

docker-pkg joins registry, namespace and name by slashes, empty parts left out, and takes the
newest version of the changelog as the tag. Not for which images there are (``tree``).
"""

from __future__ import annotations

import fnmatch
import re

import msgspec

from homeport.errors import UsageError
from homeport.oci.reference import BadReference, Reference, is_tag, parse_reference

_NUMBERS = re.compile(r"[0-9][0-9.-]*")


class BadVersion(UsageError):
    """A version of a changelog that cannot be a tag, or that no next version follows."""

    id = "docker-pkg-version"


class Naming(msgspec.Struct, frozen=True, kw_only=True):
    """How the images of a tree are called.

    registry:  host, and port if it has one; empty for images of this machine alone
    namespace: path between host and name
    suffix:    added to every version: ``-20261124`` of a nightly build
    """

    registry: str = ""
    namespace: str = ""
    suffix: str = ""

    def repository(self, name: str) -> str:
        """The whole name of an image, without a tag."""
        return "/".join(part.strip("/") for part in (self.registry, self.namespace, name) if part)

    def tag(self, version: str) -> str:
        """The tag of a version. Raises ``BadVersion``."""
        tag = version + self.suffix
        if not is_tag(tag):
            raise BadVersion(
                f"the version {version!r} cannot be a tag, which has letters, digits, _, . and -",
                hint=f"in the changelog write {re.sub('[^A-Za-z0-9_.-]+', '-', version)!r}",
            )
        return tag

    def full(self, name: str, version: str) -> str:
        """``REGISTRY/NAMESPACE/NAME:TAG``. Raises ``BadVersion``, ``BadReference``."""
        text = f"{self.repository(name)}:{self.tag(version)}"
        parse_reference(text)
        return text


def reference_of(text: str) -> Reference | None:
    """A reference, ``None`` if it is none."""
    try:
        return parse_reference(text)
    except BadReference:
        return None


def split_name(full: str) -> tuple[str, str]:
    """Repository and tag; unlike docker-pkg also with a registry's port and with a digest."""
    name = full.partition("@")[0]
    head, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return head + slash + last, tag


def upstream_version(full: str) -> str:
    """The upstream part of the version in a tag (docker-pkg's filter of that name).

    That of the first two of its parts between hyphens: ``1.63.0-1-20241211`` → ``1.63.0``.
    """
    return (split_name(full)[1] or full).partition("-")[0]


def next_version(version: str, update_id: str) -> str:
    """The version after an update: ``1.2`` → ``1.2-s1``, ``1.2-s1`` → ``1.2-s2``.

    With an empty ``update_id``: ``1.2.3`` → ``1.2.3-1`` → ``1.2.3-2``. Raises ``BadVersion``.
    """
    mark = re.escape(update_id)
    found = re.fullmatch(rf"({_NUMBERS.pattern}?)-{mark}([0-9]{{1,9}})", version)
    if found:
        return f"{found[1]}-{update_id}{int(found[2]) + 1}"
    if _NUMBERS.fullmatch(version) is None:
        raise BadVersion(
            f"no version follows {version!r}: it must be digits, dots and hyphens,"
            f" with -{update_id}N at its end after an update",
            hint="name the next one with --version",
        )
    return f"{version}-{update_id}1"


def selects(pattern: str, full: str) -> bool:
    """Whether ``--select`` chooses an image: a glob over the whole ``registry/name:tag``."""
    return fnmatch.fnmatchcase(full, pattern)
