"""Parts of a recipe that contradict each other: found before anything is read or fetched.

Only what the recipe itself shows; two packages that hold one path are found when it is
locked (``homeport.locking``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from typing import TypeVar

from homeport.recipe.entries import (
    Archive,
    Directory,
    ImageFiles,
    InlineFile,
    Link,
    LocalFiles,
    PackageChoice,
    PartFiles,
    Pin,
)
from homeport.recipe.model import Recipe

Fault = Callable[..., None]
_PathEntry = LocalFiles | InlineFile | ImageFiles | PartFiles | Link | Directory
_Any = TypeVar("_Any", bound=PackageChoice | Pin | _PathEntry)


def find_conflicts(recipe: Recipe, fault: Fault) -> None:
    """Note every clash of ``recipe``, at the later of the two places."""
    _archives(recipe, fault)
    _packages(recipe, fault)
    _pins(recipe, fault)
    _paths(recipe, fault)
    for name in recipe.without:
        chosen = [choice for choice in recipe.packages if choice.name == name]
        if chosen:
            fault(chosen[0].place, f"{name} is in packages and in without")


def matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text) is not None


def _archives(recipe: Recipe, fault: Fault) -> None:
    names: dict[str, Archive] = {}
    for archive in recipe.archives:
        first = names.setdefault(archive.name, archive)
        if first is not archive:
            what = f"duplicate archive {archive.name}, first at {first.place}"
            fault(archive.place, what)
        if archive.suites and len(set(archive.suites)) < len(archive.suites):
            fault(archive.place, f"duplicate suite of the archive {archive.name}")


def _packages(recipe: Recipe, fault: Fault) -> None:
    by_name: dict[str, list[PackageChoice]] = {}
    for choice in recipe.packages:
        by_name.setdefault(choice.name, []).append(choice)
    for one, other in _overlapping_pairs(by_name.values()):
        first = f"first at {one.place}"
        if one.whole and other.whole:
            fault(other.place, f"duplicate package {other.name}, {first}")
        elif one.whole or other.whole:
            fault(other.place, f"{other.name} is chosen whole and in slices, {first}")
        elif both := sorted(set(one.slices) & set(other.slices)):
            fault(other.place, f"duplicate slice {other.name}_{both[0]}, {first}")
        for field in ("version", "suite"):
            values = getattr(one, field), getattr(other, field)
            if None not in values and values[0] != values[1]:
                fault(other.place, f"{other.name} has two {field}s, {first}")


def _pins(recipe: Recipe, fault: Fault) -> None:
    by_name: dict[str, list[Pin]] = {}
    for pin in recipe.pins:
        by_name.setdefault(pin.name, []).append(pin)
    for one, other in _overlapping_pairs(by_name.values()):
        fault(other.place, f"duplicate pin of {other.name}, first at {one.place}")


def _paths(recipe: Recipe, fault: Fault) -> None:
    """Two entries for one path. What a local directory holds is not known here."""
    by_path: dict[str, list[_PathEntry]] = {}
    for path, entry in _described_paths(recipe):
        by_path.setdefault(path, []).append(entry)
    for path, entries in by_path.items():
        for one, other in _overlapping_pairs([entries]):
            directories = sum(isinstance(entry, Directory) for entry in (one, other))
            copies = sum(
                isinstance(entry, LocalFiles | ImageFiles | PartFiles) for entry in (one, other)
            )
            if directories == 1 and copies == 1:
                continue  # the directory's mode and owner, and what is put into it
            fault(other.place, f"duplicate path {path}, first at {one.place}")


def _described_paths(recipe: Recipe) -> Iterator[tuple[str, _PathEntry]]:
    for files in recipe.files:
        if not files.to.endswith("/"):
            yield files.to, files
    for link in recipe.links:
        yield link.path, link
    for directory in recipe.directories:
        yield directory.path, directory


def _overlapping_pairs(groups: Iterable[Sequence[_Any]]) -> Iterator[tuple[_Any, _Any]]:
    """Pairs within each group that some platform has both of."""
    for group in groups:
        for one, other in combinations(group, 2):
            if (
                not one.platforms
                or not other.platforms
                or set(one.platforms) & set(other.platforms)
            ):
                yield one, other
