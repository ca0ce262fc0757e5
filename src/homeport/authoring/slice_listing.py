"""``catalog slices``: the slices that a recipe may name, of all packages or of one."""

from __future__ import annotations

import difflib

import msgspec

from homeport.errors import Faults, UsageError
from homeport.recipe.model import Recipe
from homeport.recipe.slices.model import Slice, SliceName
from homeport.recipe.slices.reading import SliceFolders


class KnownSlice(msgspec.Struct, frozen=True, kw_only=True):
    """A slice. paths: its globs; needs: slices that it depends on."""

    package: str
    slice: str
    paths: tuple[str, ...]
    needs: tuple[str, ...]

    @property
    def reference(self) -> SliceName:
        return SliceName(package=self.package, slice=self.slice)


def list_slices(recipe: Recipe, package: str = "") -> tuple[KnownSlice, ...]:
    """All slices that ``recipe`` may name, sorted; of one package, if it is given.

    Raises ``UsageError`` for a package without slices, ``Faults`` for faulty slice files.
    """
    folders = SliceFolders(recipe.slices, recipe.boundary)
    packages = sorted(
        {file.stem for folder in recipe.slices if folder.is_dir() for file in folder.glob("*.yaml")}
    )
    if package and package not in packages:
        near = difflib.get_close_matches(package, packages, n=1)
        hint = f"homeport catalog slices {near[0]}" if near else "take the whole package"
        raise UsageError(f"no slices are known of the package {package}", hint=hint)
    found = [
        each
        for name in ([package] if package else packages)
        for each in known_slices(folders, name)
    ]
    if folders.faults:
        raise Faults(folders.faults, what="faults in slice files")
    return tuple(found)


def known_slices(folders: SliceFolders, package: str) -> tuple[KnownSlice, ...]:
    """The slices of a package, sorted; not the copyright file, which every package has."""
    names = [SliceName(package=package, slice=slice) for slice in folders.of_package(package)]
    return tuple(_known(each) for name in names if (each := folders.get(name)) is not None)


def _known(slice: Slice) -> KnownSlice:
    return KnownSlice(
        package=slice.name.package,
        slice=slice.name.slice,
        paths=tuple(_conditional(each.path, each.architectures) for each in slice.paths),
        needs=tuple(_conditional(str(each.name), each.architectures) for each in slice.needs),
    )


def _conditional(text: str, architectures: tuple[str, ...]) -> str:
    return f"{text} ({', '.join(architectures)})" if architectures else text
