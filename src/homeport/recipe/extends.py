"""Recipes that extend others: the entries of all files in one, each still with its place.

An entry of a recipe replaces that of the recipe it extends; the key of each kind of entry is
listed in ``_KEYS``. Slices of a package add up. (docs/formats/recipe.md, "extends".)
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import msgspec

from homeport.oci.platform import Platform
from homeport.yamlfile.position import FilePosition
from homeport.yamlfile.shapes import FieldValues

#: Kind of entry → the field that says which one it is.
_KEYS = {
    "archives": "name",
    "packages": "name",
    "pins": "name",
    "parts": "name",
    "files": "to",
    "links": "path",
    "directories": "path",
    "users": "name",
    "groups": "name",
    "vex": "vulnerability",
    "tests": "name",
}
#: Single fields that a recipe inherits from what it extends.
_INHERITED = ("platforms", "layers", "local_packages", "variant", "essential")
_PER_PLATFORM = ("packages", "pins", "files", "links", "directories")


class RecipeText(msgspec.Struct, frozen=True, kw_only=True):
    """The content of one file, or of several joined.

    top:     fields that stand alone: name, summary, platforms…
    lists:   kind → entries, those of ``per_platform`` included
    configs: (platform or ``None``, config), the ones that replace last
    known:   every platform that any of the files is built for
    torn:    a recipe that it extends could not be read, so missing fields may not be its fault
    """

    path: Path
    extends: tuple[Path, ...] = ()
    place: FilePosition
    top: FieldValues
    lists: Mapping[str, tuple[FieldValues, ...]]
    without: tuple[str, ...] = ()
    alternatives: Mapping[str, str] = msgspec.field(default_factory=dict)
    locales: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    configs: tuple[tuple[Platform | None, FieldValues], ...] = ()
    steps: Mapping[str, bool]
    known: frozenset[Platform] = frozenset()
    torn: bool = False


def recipe_text(entry: FieldValues, path: Path) -> RecipeText:
    """One file's entries in the form that can be joined."""
    accounts: FieldValues | None = entry.get("accounts")
    steps: FieldValues | None = entry.get("steps")
    lists: dict[str, list[FieldValues]] = {kind: list(entry.get(kind, ())) for kind in _KEYS}
    if accounts:
        lists |= {kind: list(accounts.get(kind, ())) for kind in ("users", "groups")}
    configs: list[tuple[Platform | None, FieldValues]] = []
    if config := entry.get("config"):
        configs.append((None, config))
    for platform, special in entry.get("per_platform", {}).items():
        for kind in _PER_PLATFORM:
            lists[kind] += [_only(entry, platform) for entry in special.get(kind, ())]
        if config := special.get("config"):
            configs.append((platform, config))
    return RecipeText(
        path=path,
        place=entry.place,
        top=entry,
        lists={kind: tuple(entries) for kind, entries in lists.items()},
        without=entry.get("without", ()),
        alternatives=entry.get("alternatives", {}),
        locales=entry.get("locales", ()),
        exclude=tuple(chain.from_iterable(entry.get("exclude", ()))),
        configs=tuple(configs),
        steps=dict(steps.values) if steps else {},
        known=frozenset(entry.get("platforms", ())),
    )


def join(base: RecipeText, top: RecipeText) -> RecipeText:
    """``top``, which extends ``base``."""
    inherited = {name: base.top.values[name] for name in _INHERITED if name in base.top.values}
    return RecipeText(
        path=top.path,
        extends=(base.path, *base.extends),
        place=top.place,
        top=msgspec.structs.replace(
            top.top,
            values={**inherited, **top.top.values},
            positions={**base.top.positions, **top.top.positions},
        ),
        lists={kind: _joined(kind, base.lists[kind], top.lists[kind]) for kind in _KEYS},
        without=tuple(dict.fromkeys((*base.without, *top.without))),
        alternatives={**base.alternatives, **top.alternatives},
        locales=tuple(dict.fromkeys((*base.locales, *top.locales))),
        exclude=tuple(dict.fromkeys((*base.exclude, *top.exclude))),
        configs=(*base.configs, *top.configs),
        steps={**base.steps, **top.steps},
        known=base.known | top.known,
        torn=base.torn,
    )


def _only(entry: FieldValues, platform: Platform) -> FieldValues:
    """An entry of ``per_platform``."""
    return msgspec.structs.replace(entry, values={**entry.values, "platforms": (platform,)})


def _joined(
    kind: str, base: tuple[FieldValues, ...], top: tuple[FieldValues, ...]
) -> tuple[FieldValues, ...]:
    key = _KEYS[kind]
    again: dict[str, list[FieldValues]] = {}
    for entry in top:
        again.setdefault(entry.get(key), []).append(entry)
    kept = [
        entry
        for entry in base
        if not (others := again.get(entry.get(key))) or _adds_up(kind, entry, others)
    ]
    return (*kept, *top)


def _adds_up(kind: str, entry: FieldValues, others: list[FieldValues]) -> bool:
    """Slices of one package add up, unless the same slice is named again."""
    mine = set(entry.get("slices", ()))
    return (
        kind == "packages"
        and bool(mine)
        and all(other.get("slices") and not mine & set(other.get("slices")) for other in others)
    )
