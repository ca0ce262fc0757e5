"""From the ``parts`` of a recipe file to ``recipe.parts``; faults are noted."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

from homeport.oci.platform import parse_platform
from homeport.recipe.boundary import Boundaries
from homeport.recipe.entries import LocalFiles, PackageChoice, PartFiles
from homeport.recipe.model import Recipe
from homeport.recipe.parts import (
    DockerfilePart,
    EnginePart,
    GitInput,
    ImageInput,
    Input,
    RunPart,
    SourceInput,
    UrlInput,
)
from homeport.yamlfile.position import FilePosition
from homeport.yamlfile.shapes import FieldValues


class Fault(Protocol):
    """Notes a fault of the recipe."""

    def __call__(self, place: FilePosition, what: str, hint: str | None = None) -> None:
        """Note it."""

    def inside(self, place: FilePosition) -> bool:
        """Whether the field at ``place``, or an item of it, has a fault already."""


Beside = Callable[[FilePosition, str], Path]
Packages = Callable[..., Iterable[PackageChoice]]

DEFAULT_ON = ("linux/amd64",)


def interpret_parts(
    parts: Iterable[FieldValues],
    packages: Packages,
    beside: Beside,
    boundaries: Boundaries,
    fault: Fault,
) -> Iterator[EnginePart]:
    """Each part; ``packages`` and ``beside`` read lists of packages and paths of this machine."""
    for part in parts:
        if "run" in part.values:
            yield _run(part, packages, beside, boundaries, fault)
        else:
            yield _dockerfile(part, beside, boundaries)


def check(recipe: Recipe, fault: Fault) -> None:
    """Note parts with one name, parts that nothing is taken from, and files of no part."""
    names: dict[str, EnginePart] = {}
    for part in recipe.parts:
        first = names.setdefault(part.name, part)
        if first is not part:
            fault(part.place, f"duplicate part {part.name}, first at {first.place}")
    used = {files.part for files in recipe.files if isinstance(files, PartFiles)}
    for name in names.keys() - used:
        hint = f"write {{part: {name}, path: …, to: …}} in files"
        fault(names[name].place, f"unused part {name}: no entry of files takes from it", hint)
    for files in recipe.files:
        if isinstance(files, PartFiles) and files.part not in names:
            near = difflib.get_close_matches(files.part, names, n=1)
            hint = f"did you mean {near[0]}?" if near else "add it to parts"
            fault(files.place, f"the recipe has no part {files.part!r}", hint)


def _run(
    part: FieldValues, packages: Packages, beside: Beside, boundaries: Boundaries, fault: Fault
) -> RunPart:
    on = part.get("on", tuple(map(parse_platform, DEFAULT_ON)))
    if not on and not fault.inside(part.at("on")):
        fault(part.at("on"), "the list of platforms is empty")
    chosen = tuple(packages(part.get("packages"), fault))
    if not chosen and not fault.inside(part.at("packages")):
        fault(
            part.at("packages"),
            "the build root has no packages, so no command can run in it",
            "write the packages that the commands need: [dash, coreutils]",
        )
    return RunPart(
        name=part.get("name"),
        script=part.get("run"),
        on=tuple(dict.fromkeys(on)),
        packages=chosen,
        inputs=tuple(_input(each, beside, boundaries) for each in part.get("inputs", ())),
        env=part.get("env", {}),
        network=part.get("network", False),
        place=part.place,
    )


def _input(part: FieldValues, beside: Beside, boundaries: Boundaries) -> Input:
    to, place = part.get("to"), part.place
    if "url" in part.values:
        return UrlInput(url=part.get("url"), sha256=part.get("sha256"), to=to, place=place)
    if "git" in part.values:
        url, commit, ref = part.get("git"), part.get("commit"), part.get("ref", "")
        return GitInput(url=url, commit=commit, ref=ref, to=to, place=place)
    if "source" in part.values:
        package, version = part.get("source"), part.get("version")
        return SourceInput(package=package, version=version, to=to, place=place)
    if "image" in part.values:
        image, digest = part.get("image")
        return ImageInput(image=image, digest=digest, path=part.get("path"), to=to, place=place)
    return LocalFiles(
        source=beside(place, part.get("from")),
        written=part.get("from"),
        boundary=boundaries.of(place.file),
        to=to,
        exclude=part.get("exclude", ()),
        place=place,
    )


def _dockerfile(part: FieldValues, beside: Beside, boundaries: Boundaries) -> DockerfilePart:
    source: FieldValues = part.get("from")
    written: str = source.get("dockerfile")
    file = beside(part.place, written)
    context = source.get("context")
    return DockerfilePart(
        name=part.get("name"),
        file=file,
        written=written,
        boundary=boundaries.of(part.place.file),
        context=file.parent if context is None else beside(part.place, context),
        context_written=str(PurePosixPath(written).parent) if context is None else context,
        target=source.get("target", ""),
        args=source.get("args", {}),
        network=part.get("network", False),
        place=part.place,
    )
