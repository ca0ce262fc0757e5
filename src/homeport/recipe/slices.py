"""Slices: the named parts of packages that images need (docs/formats/slices.md).

A reference is ``PACKAGE_SLICE`` (package names have no underscore). Here: slices as data.
Reading slice files is ``recipe.slicefile``; which paths a glob means, ``debian.path_globs``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from homeport.debian.path_globs import EVERYTHING, PathGlobs

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
    """A glob for a package's absolute paths (``debian.path_globs``); ends in ``/`` for directories.

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
    """The slice that every package has.

    The second path is there where the folder is a link to another package's.
    """
    return Slice(
        name=SliceName(package=package, slice=COPYRIGHT),
        paths=(
            SlicePath(path=f"/usr/share/doc/{package}/copyright"),
            SlicePath(path=f"/usr/share/doc/{package}"),
        ),
    )


def paths_on(slice: Slice, architecture: str) -> tuple[str, ...]:
    """The globs of ``slice`` that count on an architecture."""
    return tuple(entry.path for entry in slice.paths if entry.applies_to(architecture))


def wanted_globs(slices: Sequence[Slice], architecture: str) -> PathGlobs:
    """What to keep of a package of which these slices are taken; none: the whole of it.

    Locking and building ask with the same globs, so that a package is unpacked once.
    """
    if not slices:
        return EVERYTHING
    return PathGlobs.of(path for slice in slices for path in paths_on(slice, architecture))
