"""Slices: the named parts of packages that images need (docs/formats/slices.md).

A reference is ``PACKAGE_SLICE`` (package names have no underscore). Here: slices as data,
and which paths of a package a slice takes. Reading slice files is ``recipe.slicefile``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

#: Every package has this slice: its copyright file, or the link that stands for it.
COPYRIGHT = "copyright"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SliceName:
    """``package_slice``."""

    package: str
    slice: str

    def __str__(self) -> str:
        return f"{self.package}_{self.slice}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlicePath:
    """A glob for absolute paths: ``?`` and ``*`` stop at ``/``, ``**`` crosses it.

    architectures: Debian's names; empty means all
    """

    path: str
    architectures: tuple[str, ...] = ()

    def applies_to(self, architecture: str) -> bool:
        return not self.architectures or architecture in self.architectures


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceNeed:
    """Another slice that this one is of no use without, on some architectures or all."""

    name: SliceName
    architectures: tuple[str, ...] = ()

    def applies_to(self, architecture: str) -> bool:
        return not self.architectures or architecture in self.architectures


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A slice's definition."""

    name: SliceName
    paths: tuple[SlicePath, ...] = ()
    needs: tuple[SliceNeed, ...] = ()


def copyright_slice(package: str) -> Slice:
    """The slice that every package has. The second path is a link to another's folder."""
    return Slice(
        name=SliceName(package=package, slice=COPYRIGHT),
        paths=(
            SlicePath(path=f"/usr/share/doc/{package}/copyright"),
            SlicePath(path=f"/usr/share/doc/{package}"),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a slice takes of a package: ``paths`` as given, and globs that matched nothing."""

    paths: frozenset[bytes]
    unmatched: tuple[SlicePath, ...]


def select(slice: Slice, architecture: str, paths: Sequence[bytes]) -> Selection:
    """Which of a package's ``paths`` (relative, no slash at either end) ``slice`` takes.

    A glob for a directory takes only the directory itself; parents of what is taken are
    the caller's affair.
    """
    taken: set[bytes] = set()
    unmatched: list[SlicePath] = []
    for entry in slice.paths:
        if not entry.applies_to(architecture):
            continue
        found = set(matching(entry.path, paths))
        taken |= found
        if not found:
            unmatched.append(entry)
    return Selection(paths=frozenset(taken), unmatched=tuple(unmatched))


def matching(glob: str, paths: Iterable[bytes]) -> list[bytes]:
    """Those of ``paths`` that ``glob`` names."""
    pattern = _pattern(glob)
    return [path for path in paths if pattern.fullmatch(path)]


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[bytes]:
    parts = re.split(r"(\*\*|\*|\?)", glob.strip("/"))
    meaning = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    text = "".join(meaning.get(part) or re.escape(part) for part in parts)
    # Latin-1 and bytes: "?" is one byte, and a path need not be UTF-8.
    return re.compile(text.encode("utf-8"), re.DOTALL)
