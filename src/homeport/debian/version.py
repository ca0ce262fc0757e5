"""Debian version numbers: their syntax and their order (deb-version(7)).

The order is dpkg's, exactly: two versions of different text can be equal (``1.0`` and
``1.0-0``), so identity of packages goes by text and only choices go by order.
"""

from __future__ import annotations

import functools
import re

import msgspec

from homeport.errors import HomeportError

_LONGEST = 1024  # characters; real versions stay under 100, and int() of digits is quadratic
_EPOCH = re.compile(r"[0-9]{1,9}")
_UPSTREAM = re.compile(r"[A-Za-z0-9.+~:-]+")
_REVISION = re.compile(r"[A-Za-z0-9.+~]+")
_PIECE = re.compile(r"([^0-9]*)([0-9]*)")

_Part = tuple[int, ...]
_Key = tuple[int, tuple[_Part | int, ...], tuple[_Part | int, ...]]


class BadVersion(HomeportError):
    """An invalid Debian version."""

    id = "bad-version"
    exit_code = 2


class Version(msgspec.Struct, frozen=True, eq=False):
    """A version; ``==`` and ``<`` agree with ``dpkg --compare-versions``."""

    text: str
    epoch: int
    upstream: str
    revision: str
    key: _Key

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, Version) else NotImplemented

    def __lt__(self, other: Version) -> bool:
        return self.key < other.key

    def __le__(self, other: Version) -> bool:
        return self.key <= other.key

    def __gt__(self, other: Version) -> bool:
        return self.key > other.key

    def __ge__(self, other: Version) -> bool:
        return self.key >= other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Version(text={self.text!r})"


@functools.lru_cache(maxsize=65536)
def parse_version(text: str) -> Version:
    """Read ``[epoch:]upstream[-revision]``; raise ``BadVersion`` with the reason."""
    if not text or len(text) > _LONGEST:
        raise BadVersion(
            "empty version" if not text else f"version longer than {_LONGEST} characters"
        )
    epoch, colon, rest = text.partition(":")
    if not colon:
        epoch, rest = "0", text
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, ""
    if not _EPOCH.fullmatch(epoch):
        raise BadVersion(f"invalid version {text!r}: the epoch before the colon is not a number")
    if not _UPSTREAM.fullmatch(upstream):
        raise BadVersion(
            f"invalid version {text!r}: upstream {upstream!r} is empty or has invalid characters"
        )
    if dash and not _REVISION.fullmatch(revision):
        raise BadVersion(
            f"invalid version {text!r}: revision {revision!r} is empty or has invalid characters"
        )
    number = int(epoch)
    key = (number, _sort_key(upstream), _sort_key(revision))
    return Version(text, number, upstream, revision, key)


def _sort_key(part: str) -> tuple[_Part | int, ...]:
    """Non-digits and numbers alternating, ended by the weight of "end"."""
    key: list[_Part | int] = []
    for letters, digits in _PIECE.findall(part):
        if letters or digits:
            key.append((*map(_weight, letters), 0))
            key.append(int(digits or "0"))
    # "" and "0" are equal, so an empty part has its number too.
    return (*(key or [(0,), 0]), (0,))


def _weight(character: str) -> int:
    """``~`` sorts before the end of a part (0), then letters, then everything else."""
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256
