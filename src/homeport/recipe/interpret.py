"""From the parts of recipe files to a ``Recipe``: defaults, account names, conflicts.

Every fault is noted and the rest still read, so that one pass finds all. The fields by
themselves were checked by ``recipe.schema``; the disk is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from homeport.errors import HomeportError
from homeport.oci.platform import Platform
from homeport.recipe import conflicts, parts_interpret
from homeport.recipe.accounts import Accounts
from homeport.recipe.entries import (
    Archive,
    Config,
    Directory,
    Files,
    ImageFiles,
    InlineFile,
    Keyring,
    Link,
    LocalFiles,
    PackageChoice,
    PartFiles,
    Pin,
    Steps,
    join_configs,
)
from homeport.recipe.extends import Written
from homeport.recipe.model import Recipe
from homeport.recipe.schema import defaults
from homeport.recipe.schema.values import RECIPE_NAME
from homeport.recipe.text_files import BadRecipe
from homeport.yamlfile.position import FilePosition
from homeport.yamlfile.shapes import FieldValues


class Faulty:
    """Where faults go."""

    def __init__(self, faults: list[HomeportError]) -> None:
        self.faults = faults

    def __call__(self, place: FilePosition, what: str, hint: str | None = None) -> None:
        self.faults.append(BadRecipe(what, where=place.where(), hint=hint))


def recipe_of(
    source: Written, faults: list[HomeportError], slices: tuple[Path, ...]
) -> Recipe | None:
    """The recipe that the joined files describe, or ``None`` if the faults leave none."""
    fault = Faulty(faults)
    accounts = Accounts(source.lists["users"], source.lists["groups"], fault)
    platforms = _platforms(source, fault)
    common, special = _configs(source, accounts, fault)
    recipe = Recipe(
        name=_name(source, fault),
        path=source.path,
        summary=source.top.get("summary", ""),
        extends=source.extends,
        platforms=platforms,
        archives=tuple(_archives(source.lists["archives"], fault)),
        slices=slices,
        packages=tuple(_packages(source.lists["packages"], fault)),
        without=source.without,
        pins=tuple(_pins(source.lists["pins"], fault)),
        parts=tuple(parts_interpret.parts_of(source.lists["parts"], _packages, beside, fault)),
        files=tuple(_file(part, accounts, fault) for part in source.lists["files"]),
        links=tuple(_links(source.lists["links"], fault)),
        directories=tuple(_directories(source.lists["directories"], accounts, fault)),
        users=accounts.users,
        groups=accounts.groups,
        config=common,
        platform_config=special,
        steps=Steps(**source.steps),
        place=source.place,
    )
    conflicts.find(recipe, fault)
    parts_interpret.check(recipe, fault)
    _check_platforms(source, recipe, fault)
    return None if faults else recipe


def _name(source: Written, fault: Faulty) -> str:
    name = source.top.get("name")
    if isinstance(name, str):
        return name
    path = source.path.absolute()
    guess = path.parent.name if path.name == defaults.FILE_NAME else path.stem
    if not conflicts.matches(RECIPE_NAME.pattern, guess):
        fault(source.place, f"the recipe needs a name, for {guess!r} is none", "add name:")
    return guess


def _platforms(source: Written, fault: Faulty) -> tuple[Platform, ...]:
    found: tuple[Platform, ...] = source.top.get("platforms", ())
    if not found and "platforms" not in source.top.positions:
        fault(source.place, "the recipe needs the field 'platforms'", "write [linux/amd64]")
    elif not found:
        fault(source.top.at("platforms"), "the list of platforms is empty")
    if len(set(found)) < len(found):
        fault(source.top.at("platforms"), "a platform stands here twice")
    return tuple(sorted(set(found), key=str))


def _archives(parts: tuple[FieldValues, ...], fault: Faulty) -> Iterable[Archive]:
    if not parts:
        yield from defaults.archives()
    for part in parts:
        name = part.get("name")
        keys = tuple(_keyring(text, part.place) for text in part.get("keys", ()))
        if name not in defaults.KNOWN_ARCHIVES:
            for field in ("keys", "mirrors"):
                if not part.get(field):
                    fault(part.place, f"the archive {name} needs the field {field!r}")
        if not part.get("suites"):
            fault(part.at("suites"), f"the archive {name} has no suites")
        yield Archive(
            name=name,
            suites=part.get("suites"),
            components=part.get("components") or ("main",),
            mirrors=tuple(_mirror(text, part.place) for text in part.get("mirrors", ())),
            keys=keys,
            place=part.place,
        )


def _keyring(text: str, place: FilePosition) -> Keyring:
    if "/" in text or text.endswith((".asc", ".gpg", ".pgp")):
        return Keyring(name=text, path=beside(place, text))
    return Keyring(name=text)


def _mirror(text: str, place: FilePosition) -> str:
    """A directory is relative to the recipe, as every path of this machine in it."""
    if "://" in text or text.startswith("file:"):
        return text
    return str(beside(place, text).absolute())


def beside(place: FilePosition, text: str) -> Path:
    """A path as the recipe writes it, seen from here."""
    return Path(place.file).parent / text


def _packages(parts: tuple[FieldValues, ...], fault: Faulty) -> Iterable[PackageChoice]:
    for part in parts:
        if part.get("slices") == ():
            fault(part.at("slices"), "no slices at all", "leave slices out for the whole package")
        yield PackageChoice(
            name=part.get("name"),
            slices=part.get("slices", ()),
            version=part.get("version"),
            suite=part.get("suite"),
            platforms=part.get("platforms", ()),
            place=part.place,
        )


def _pins(parts: tuple[FieldValues, ...], fault: Faulty) -> Iterable[Pin]:
    for part in parts:
        if not part.get("version") and not part.get("suite"):
            fault(part.place, "a pin needs version or suite")
        yield Pin(
            name=part.get("name"),
            version=part.get("version"),
            suite=part.get("suite"),
            platforms=part.get("platforms", ()),
            place=part.place,
        )


def _file(part: FieldValues, accounts: Accounts, fault: Faulty) -> Files:
    place: FilePosition = part.place
    common: dict[str, Any] = {
        "to": part.get("to"),
        "platforms": part.get("platforms", ()),
        "place": place,
    }
    if "image" in part.values:
        owner = accounts.owner(part.get("owner"), part.at("owner")) if part.get("owner") else None
        reference, digest = part.get("image")
        return ImageFiles(
            image=reference,
            digest=digest,
            path=part.get("path"),
            mode=part.get("mode"),
            uid=owner[0] if owner else None,
            gid=owner[1] if owner else None,
            **common,
        )
    uid, gid = accounts.owner(part.get("owner", "0:0"), part.at("owner"))
    if "text" in part.values:
        if part.get("to").endswith("/"):
            fault(part.at("to"), "an inline file needs a name: its path ends in /")
        text, mode = part.get("text"), part.get("mode", 0o644)
        return InlineFile(text=text, mode=mode, uid=uid, gid=gid, **common)
    if "part" in part.values:
        return PartFiles(
            part=part.get("part"), path=part.get("path"), mode=part.get("mode"), uid=uid, gid=gid,
            **common,
        )  # fmt: skip
    return LocalFiles(
        source=beside(place, part.get("from")),
        written=part.get("from"),
        mode=part.get("mode"),
        uid=uid,
        gid=gid,
        exclude=part.get("exclude", ()),
        **common,
    )


def _links(parts: tuple[FieldValues, ...], fault: Faulty) -> Iterable[Link]:
    for part in parts:
        if part.get("path") == "/":
            fault(part.at("path"), "the root cannot be a link")
        yield Link(
            path=part.get("path").rstrip("/"),
            target=part.get("target"),
            platforms=part.get("platforms", ()),
            place=part.place,
        )


def _directories(
    parts: tuple[FieldValues, ...], accounts: Accounts, fault: Faulty
) -> Iterable[Directory]:
    for part in parts:
        uid, gid = accounts.owner(part.get("owner", "0:0"), part.at("owner"))
        yield Directory(
            path=part.get("path").rstrip("/") or "/",
            mode=part.get("mode", 0o755),
            uid=uid,
            gid=gid,
            platforms=part.get("platforms", ()),
            place=part.place,
        )


def _configs(
    source: Written, accounts: Accounts, fault: Faulty
) -> tuple[Config, Mapping[Platform, Config]]:
    common, special = Config(), dict[Platform, Config]()
    for platform, part in source.configs:
        config = Config(**part.values)
        if config.user:
            accounts.check_user(config.user, part.at("user"))
        if platform is None:
            common = join_configs(common, config)
        else:
            special[platform] = join_configs(special.get(platform, Config()), config)
    return common, special


def _check_platforms(source: Written, recipe: Recipe, fault: Faulty) -> None:
    """A part for a platform that no file of the chain is built for is a slip of the pen."""
    known = source.known
    hint = "the recipe is built for " + ", ".join(map(str, recipe.platforms))
    parts = (*recipe.packages, *recipe.pins, *recipe.files, *recipe.links, *recipe.directories)
    for part in parts:
        for platform in part.platforms:
            if known and platform not in known:
                fault(part.place, f"{platform} is none of the recipe's platforms", hint)
    for special, config in source.configs:
        if special is not None and known and special not in known:
            fault(config.place, f"{special} is none of the recipe's platforms", hint)
