"""A proposal of slices, and what a check of slices found, as data (docs/formats/packages.md)."""

from __future__ import annotations

import msgspec

from homeport.recipe.slices.model import SliceName


class ProposedPath(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A glob. architectures: empty: all that were looked at."""

    path: str
    architectures: tuple[str, ...] = ()


class ProposedNeed(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A slice that another one depends on. architectures: empty: all that were looked at."""

    slice: str
    architectures: tuple[str, ...] = ()


class ProposedSlice(msgspec.Struct, frozen=True, kw_only=True):
    """One slice. files, size: on the first platform; size in bytes."""

    name: str
    about: str
    paths: tuple[ProposedPath, ...]
    needs: tuple[ProposedNeed, ...]
    files: int
    size: int


class Unsliced(msgspec.Struct, frozen=True, kw_only=True):
    """Files that are needed and that no known slice of their package takes."""

    package: str
    paths: tuple[str, ...]


class SliceProposal(msgspec.Struct, frozen=True, kw_only=True):
    """Slices of one package.

    unsliced:  what is needed and cannot be named as a slice yet
    left_out:  paths of the package that no slice takes: documentation and the like
    unknown:   paths of a trace that no package ships
    text:      the slice file
    """

    package: str
    version: str
    platforms: tuple[str, ...]
    slices: tuple[ProposedSlice, ...]
    unsliced: tuple[Unsliced, ...]
    left_out: int
    unknown: tuple[str, ...]
    text: str


class SliceVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """One slice on one platform, taken alone with what it needs.

    files, size: of the package itself, in bytes; fault: why it does not work
    """

    slice: SliceName
    platform: str
    files: int = 0
    size: int = 0
    fault: str = ""
    hint: str = ""


class SlicesChecked(msgspec.Struct, frozen=True, kw_only=True):
    """Every slice of the files on every platform."""

    files: tuple[str, ...]
    verdicts: tuple[SliceVerdict, ...]

    @property
    def faulty(self) -> tuple[SliceVerdict, ...]:
        return tuple(each for each in self.verdicts if each.fault)
