"""Slices: the named parts of packages that images need (docs/formats/slices.md).

A reference is ``PACKAGE_SLICE`` (package names have no underscore). Here: slices as data.
``recipe.slices.reading`` reads slice files; ``debian.deb.path_globs`` matches their globs.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

import msgspec

from homeport.debian.deb.path_globs import EVERYTHING, PathGlobs, matches

#: Every package has this slice: its copyright file, or the link that stands for it.
COPYRIGHT = "copyright"
#: The files of an Essential package that locking adds because programs of the image start them.
IMPLIED = "implied"
#: Slices that Homeport defines itself: not every path of them is in every package.
OWN_SLICES = (COPYRIGHT, IMPLIED)


class SliceName(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """``package_slice``."""

    package: str
    slice: str

    def __str__(self) -> str:
        return f"{self.package}_{self.slice}"


class SlicePath(msgspec.Struct, frozen=True, kw_only=True):
    """A glob for absolute paths of a package (``debian.deb.path_globs``); directories end in ``/``.

    architectures: Debian's names; empty means all
    """

    path: str
    architectures: tuple[str, ...] = ()

    def applies_to(self, architecture: str) -> bool:
        return not self.architectures or architecture in self.architectures


class SliceNeed(msgspec.Struct, frozen=True, kw_only=True):
    """Another slice that this one depends on, on some architectures or all."""

    name: SliceName
    architectures: tuple[str, ...] = ()

    def applies_to(self, architecture: str) -> bool:
        return not self.architectures or architecture in self.architectures


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """A slice's definition.

    successor: a package whose slice of the same name is taken instead where archives have it
    """

    name: SliceName
    paths: tuple[SlicePath, ...] = ()
    needs: tuple[SliceNeed, ...] = ()
    successor: str = ""

    @property
    def next(self) -> SliceName | None:
        """The slice of the successor."""
        return SliceName(package=self.successor, slice=self.name.slice) if self.successor else None


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


class SliceMatch(msgspec.Struct, frozen=True, kw_only=True):
    """What a slice takes of a package: ``paths`` as given, and globs that matched nothing."""

    paths: frozenset[bytes]
    unmatched: tuple[SlicePath, ...]


def match_slice(
    slice: Slice,
    architecture: str,
    paths: Iterable[bytes],
    directories: Container[bytes] | None = None,
) -> SliceMatch:
    """Which of a package's ``paths`` (relative, no slash at either end) ``slice`` takes.

    directories: which of the paths are directories; without it a glob that ends in ``/``
                 means whatever has that path
    Parent directories are added by the caller.
    """
    names = tuple(paths)
    taken: set[bytes] = set()
    unmatched: list[SlicePath] = []
    for entry in slice.paths:
        if not entry.applies_to(architecture):
            continue
        found = [path for path in names if _matches(entry.path, path, directories)]
        taken.update(found)
        if not found:
            unmatched.append(entry)
    return SliceMatch(paths=frozenset(taken), unmatched=tuple(unmatched))


def _matches(glob: str, path: bytes, directories: Container[bytes] | None) -> bool:
    directory = glob.endswith("/") if directories is None else path in directories
    return matches(glob, path, directory=directory)


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
