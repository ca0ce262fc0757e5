"""Slice files: ``slices/PACKAGE.yaml`` to slices, and what they need (docs/formats/slices.md).

A recipe's own folder and the catalog's are searched in this order, slice by slice: a slice of the
recipe replaces the catalog's slice of the same name, whatever the file's other
slices are.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from homeport.errors import HomeportError
from homeport.recipe.boundary import Boundary, OutsideRecipe
from homeport.recipe.schema import values
from homeport.recipe.slices.model import (
    COPYRIGHT,
    IMPLIED,
    Slice,
    SliceName,
    SliceNeed,
    SlicePath,
    copyright_slice,
)
from homeport.recipe.text_files import BadRecipe, read_text_file
from homeport.yamlfile.parse import parse_yaml
from homeport.yamlfile.position import FilePosition
from homeport.yamlfile.scalars import Constant, Reader, Text
from homeport.yamlfile.shapes import Field, Fields, FieldValues, ListOf, MapOf, Short


def slice_name(text: str) -> SliceName:
    """Read ``package_slice``."""
    package, _, slice = text.partition("_")
    return SliceName(package=package, slice=slice)


_SLICE_NAME = Text(
    what="a slice reference",
    pattern=f"{values.PACKAGE_PATTERN}_{values.SLICE_PATTERN}",
    convert=slice_name,
    example="libc6_libs",
)
_ARCHITECTURES = Field(
    shape=ListOf(item=values.ARCHITECTURE), about="only on these Debian architectures"
)
_SLICE = Fields(
    what="a slice",
    fields={
        "about": Field(shape=values.LINE, about="what it is for"),
        "needs": Field(
            shape=ListOf(
                item=Short(
                    fields=Fields(
                        what="a need",
                        fields={
                            "slice": Field(shape=_SLICE_NAME, about="PACKAGE_SLICE", required=True),
                            "architectures": _ARCHITECTURES,
                        },
                    ),
                    text=_SLICE_NAME,
                    field="slice",
                )
            ),
            about="slices that this one depends on",
        ),
        "paths": Field(
            shape=ListOf(
                item=Short(
                    fields=Fields(
                        what="a path",
                        fields={
                            "path": Field(shape=values.GLOB, about="path or glob", required=True),
                            "architectures": _ARCHITECTURES,
                        },
                    ),
                    text=values.GLOB,
                    field="path",
                )
            ),
            about="paths of the package; ? and * stop at /, ** crosses it",
        ),
    },
)
SLICE_FILE = Fields(
    what="the slice file",
    tolerant=True,
    fields={
        "homeport": Field(
            shape=Constant(value=1, what="slice format"), about="version: 1", required=True
        ),
        "package": Field(shape=values.PACKAGE, about="the package", required=True),
        "successor": Field(
            shape=values.PACKAGE,
            about="a package whose slices of the same names are taken where archives have it",
        ),
        "slices": Field(
            shape=MapOf(key=values.SLICE, value=_SLICE), about="name → slice", required=True
        ),
    },
)


def slice_schema() -> dict[str, Any]:
    """The JSON Schema of a slice file, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Homeport slices",
        **SLICE_FILE.schema(),
    }


class SliceFolders:
    """Slice definitions by name, read on demand, each file once."""

    def __init__(self, folders: Iterable[Path], boundary: Boundary) -> None:
        self._folders = tuple(folders)
        self._boundary = boundary
        self._files: dict[Path, Mapping[str, Slice]] = {}
        self.faults: list[HomeportError] = []

    def get(self, name: SliceName) -> Slice | None:
        """The definition of ``name``, or ``None``; faults of files go on the list."""
        if name.slice == COPYRIGHT:
            return copyright_slice(name.package)
        for folder in self._folders:
            found = self._slices(folder, name.package).get(name.slice)
            if found is not None:
                return found
        return None

    def of_package(self, package: str) -> tuple[str, ...]:
        """The names of all slices of a package."""
        return tuple(
            sorted({name for folder in self._folders for name in self._slices(folder, package)})
        )

    def current(self, name: SliceName, available: Callable[[str], bool]) -> SliceName:
        """``name``, or the last of its successors whose package is ``available``."""
        seen: dict[SliceName, None] = {}
        while name not in seen:
            seen[name] = None
            definition = self.get(name)
            following = definition.next if definition is not None else None
            if following is None or not available(following.package):
                return name
            name = following
        return min(seen)  # a circle, which ``reach`` has among the faults

    def reach(
        self, wanted: Iterable[tuple[SliceName, FilePosition]], architecture: str,
        available: Callable[[str], bool] | None = None,
    ) -> dict[SliceName, Slice]:  # fmt: skip
        """``wanted`` and all that they need on ``architecture``, sorted by name.

        available: whether the archives have a package: then only the successor is taken of
                   slices that have one there; without it, both

        Undefined slices are added to the faults, with what needs them.
        """
        found: dict[SliceName, Slice] = {}
        waiting = [(name, place, "") for name, place in wanted]
        while waiting:
            name, place, why = waiting.pop()
            if available is not None:
                name = self.current(name, available)
            if name in found:
                continue
            definition = self.get(name)
            if definition is None:
                self._undefined(name, place, why)
                continue
            found[name] = definition
            if available is None and definition.next is not None:
                self._check_successors(definition, place)
                waiting.append((definition.next, place, f" (the successor of {name})"))
            waiting += [
                (need.name, place, f" ({name} needs it)")
                for need in definition.needs
                if need.applies_to(architecture)
            ]
        return dict(sorted(found.items()))

    def _check_successors(self, slice: Slice, place: FilePosition) -> None:
        seen = [slice.name]
        following = slice.next
        while following is not None and following not in seen:
            seen.append(following)
            definition = self.get(following)
            following = definition.next if definition is not None else None
        if following == slice.name:
            names = ", ".join(name.package for name in sorted(seen))
            fault = BadRecipe(f"{names} are successors of each other", where=place.where())
            if all(fault.what != old.what for old in self.faults):
                self.faults.append(fault)

    def _undefined(self, name: SliceName, place: FilePosition, why: str) -> None:
        known = self.of_package(name.package)
        near = difflib.get_close_matches(name.slice, known, n=1)
        if near:
            hint = f"did you mean {name.package}_{near[0]}?"
        elif known:
            hint = f"{name.package} has the slices {', '.join(known)}"
        else:
            hint = f"write {self._folders[0] / name.package}.yaml, or take the whole package"
        fault = BadRecipe(f"unknown slice {name}{why}", where=place.where(), hint=hint)
        if all(fault.where != old.where or fault.what != old.what for old in self.faults):
            self.faults.append(fault)

    def _slices(self, folder: Path, package: str) -> Mapping[str, Slice]:
        path = folder / f"{package}.yaml"
        if path not in self._files:
            self._files[path] = {}
            if path.is_file():
                try:
                    self._files[path], faults = read_slice_file(
                        read_text_file(path, self._boundary.read), path
                    )
                    self.faults += faults
                except (BadRecipe, OutsideRecipe) as error:
                    self.faults.append(error)
        return self._files[path]


def read_slice_file(data: bytes, path: Path) -> tuple[dict[str, Slice], list[HomeportError]]:
    """The slices of one file, and every fault in it."""
    reader = Reader(str(path), BadRecipe)
    node = parse_yaml(data, str(path), BadRecipe)
    part = SLICE_FILE.read(node, "", reader)
    if not isinstance(part, FieldValues):
        return {}, reader.faults
    package = part.get("package", path.stem)
    if package != path.stem:
        what = f"the file of {package} must be called {package}.yaml"
        reader.fault(node, "package", what)
    slices = {}
    for name, entry in part.get("slices", {}).items():
        if name == COPYRIGHT:
            reader.fault(node, f"slices.{name}", "every package has the slice copyright already")
        if name == IMPLIED:
            what = "the slice name implied is reserved for homeport lock"
            reader.fault(node, f"slices.{name}", what)
        successor = part.get("successor", "")
        slices[name] = _slice(SliceName(package=package, slice=name), entry, successor)
    return slices, reader.faults


def _slice(name: SliceName, part: FieldValues, successor: str) -> Slice:
    return Slice(
        name=name,
        successor=successor,
        paths=tuple(
            SlicePath(path=entry.get("path"), architectures=entry.get("architectures", ()))
            for entry in part.get("paths", ())
        ),
        needs=tuple(
            SliceNeed(name=entry.get("slice"), architectures=entry.get("architectures", ()))
            for entry in part.get("needs", ())
        ),
    )
