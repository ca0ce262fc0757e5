"""From the entries of recipe files to a ``Recipe``: defaults, account names, conflicts.

Every fault is noted and the rest still read, so that one pass finds all. The fields by
themselves were checked by ``recipe.schema``; the disk is not looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from homeport.errors import HomeportError
from homeport.oci.platform import Platform
from homeport.recipe import conflicts, parts_interpret
from homeport.recipe.accounts import Accounts
from homeport.recipe.boundary import Boundaries
from homeport.recipe.entries import (
    MOST_LAYERS,
    Archive,
    Config,
    Directory,
    Files,
    ImageFiles,
    InlineFile,
    Keyring,
    Layers,
    Link,
    LocalFiles,
    PackageChoice,
    PartFiles,
    Pin,
    Steps,
    VexStatement,
    join_configs,
)
from homeport.recipe.extends import RecipeText
from homeport.recipe.image_tests import TEST_KINDS, ImageTest
from homeport.recipe.model import Recipe
from homeport.recipe.schema import defaults
from homeport.recipe.schema.values import LOCALE, RECIPE_NAME
from homeport.recipe.text_files import BadRecipe
from homeport.yamlfile.position import FilePosition
from homeport.yamlfile.shapes import FieldValues

_LANG = ("LANG", "LC_ALL", "LC_CTYPE")


class FaultCollector:
    """Collects faults."""

    def __init__(self, faults: list[HomeportError]) -> None:
        self.faults = faults

    def __call__(self, place: FilePosition, what: str, hint: str | None = None) -> None:
        self.faults.append(BadRecipe(what, where=place.where(), hint=hint))

    def inside(self, place: FilePosition) -> bool:
        """Whether the field at ``place``, or an item of it, has a fault already."""
        return any(
            fault.where.get("file") == place.file
            and (field := str(fault.where.get("field", ""))).startswith(place.field)
            and field[len(place.field) :][:1] in ("", "[", ".")
            for fault in self.faults
        )


def interpret_recipe(
    source: RecipeText,
    faults: list[HomeportError],
    slices: tuple[Path, ...],
    boundaries: Boundaries,
) -> Recipe | None:
    """The recipe that the joined files describe, or ``None`` if the faults leave none."""
    fault = FaultCollector(faults)
    accounts = Accounts(source.lists["users"], source.lists["groups"], fault)
    platforms = _platforms(source, fault)
    common, special = _configs(source, accounts, fault)
    variant = source.top.get("variant", "")
    packages = tuple(_packages(source.lists["packages"], fault))
    whole = {package.name for package in packages if package.whole}
    locales = source.locales or _locales_of(common, whole)
    recipe = Recipe(
        name=_name(source, fault),
        path=source.path,
        summary=source.top.get("summary", ""),
        extends=source.extends,
        boundary=boundaries.of(source.path),
        platforms=platforms,
        archives=tuple(_archives(source.lists["archives"], fault)),
        slices=slices,
        packages=_with_implied(packages, source, locales),
        without=source.without,
        exclude=source.exclude,
        pins=tuple(_pins(source.lists["pins"], fault)),
        parts=tuple(
            parts_interpret.interpret_parts(
                source.lists["parts"], _packages, beside, boundaries, fault
            )
        ),
        files=tuple(_file(entry, accounts, boundaries, fault) for entry in source.lists["files"]),
        links=tuple(_links(source.lists["links"], fault)),
        directories=tuple(_directories(source.lists["directories"], accounts, fault)),
        vex=tuple(_vex(source.lists["vex"], fault)),
        users=accounts.users,
        groups=accounts.groups,
        config=common,
        platform_config=special,
        variant=variant,
        essential=source.top.get("essential", "true" if "apt" in whole and not variant else ""),
        locales=locales,
        alternatives=source.alternatives,
        local_packages=_local_packages(source),
        steps=Steps(**{**_system_steps(variant, whole), **source.steps}),
        layers=_layers(source, fault),
        tests=tuple(_test(entry, accounts) for entry in source.lists["tests"]),
        place=source.place,
    )
    conflicts.find_conflicts(recipe, fault)
    parts_interpret.check(recipe, fault)
    _check_platforms(source, recipe, fault)
    return None if faults else recipe


def _system_steps(variant: str, whole: Container[str]) -> dict[str, bool]:
    """On in a whole system, and for programs that are of no use without."""
    return {
        "dpkg_database": bool(variant) or "dpkg" in whole or "apt" in whole,
        "apt_sources": bool(variant) or "apt" in whole,
    }


def _locales_of(config: Config, whole: Container[str]) -> tuple[str, ...]:
    """The package locales makes those that its user chooses, which ``env`` says."""
    if "locales" not in whole or "locales-all" in whole:
        return ()
    named = (config.env.get(name, "") for name in _LANG)
    return tuple(dict.fromkeys(each for each in named if conflicts.matches(LOCALE.pattern, each)))


def _name(source: RecipeText, fault: FaultCollector) -> str:
    name = source.top.get("name")
    if isinstance(name, str):
        return name
    path = source.path.absolute()
    guess = path.parent.name if path.name == defaults.FILE_NAME else path.stem
    if not conflicts.matches(RECIPE_NAME.pattern, guess):
        fault(
            source.place,
            f"missing field 'name', and {guess!r}, from the path, is not a valid name",
            "add name: and a name such as my-tool",
        )
    return guess


def _platforms(source: RecipeText, fault: FaultCollector) -> tuple[Platform, ...]:
    found: tuple[Platform, ...] = source.top.get("platforms", ())
    place = source.top.at("platforms")
    if not found and "platforms" not in source.top.positions:
        if not source.torn:  # it may stand in the recipe that could not be read
            fault(source.place, "the recipe needs the field 'platforms'", "write [linux/amd64]")
    elif not found and not fault.inside(place):
        fault(place, "the list of platforms is empty")
    if len(set(found)) < len(found):
        fault(source.top.at("platforms"), "duplicate platform")
    return tuple(sorted(set(found), key=str))


def _is_faulty(entry: FieldValues, field: str, fault: FaultCollector) -> bool:
    """Whether a field that is there has a fault already, so that its value is missing."""
    return field in entry.positions and fault.inside(entry.at(field))


def _archives(entries: tuple[FieldValues, ...], fault: FaultCollector) -> Iterable[Archive]:
    if not entries:
        yield from defaults.archives()
    for entry in entries:
        name = entry.get("name")
        keys = tuple(_keyring(text, entry.place) for text in entry.get("keys", ()))
        if name not in defaults.KNOWN_ARCHIVES:
            for field in ("keys", "mirrors"):
                if not entry.get(field) and not _is_faulty(entry, field, fault):
                    fault(entry.place, f"the archive {name} needs the field {field!r}")
        if not entry.get("suites") and not _is_faulty(entry, "suites", fault):
            fault(entry.at("suites"), f"the archive {name} has no suites")
        yield Archive(
            name=name,
            suites=entry.get("suites"),
            components=entry.get("components") or ("main",),
            mirrors=tuple(_mirror(text, entry.place) for text in entry.get("mirrors", ())),
            keys=keys,
            packages=entry.get("packages", ()),
            place=entry.place,
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
    """A path of the recipe as a path of this machine."""
    return Path(place.file).parent / text


def _packages(entries: tuple[FieldValues, ...], fault: FaultCollector) -> Iterable[PackageChoice]:
    for entry in entries:
        if entry.get("slices") == ():
            fault(
                entry.at("slices"),
                "empty list of slices",
                "for the whole package, remove the field",
            )
        if entry.get("slices") and entry.get("exclude"):
            fault(entry.at("exclude"), "exclude applies to whole packages, not to slices")
        yield PackageChoice(
            name=entry.get("name"),
            exclude=tuple(chain.from_iterable(entry.get("exclude", ()))),
            slices=entry.get("slices", ()),
            version=entry.get("version"),
            suite=entry.get("suite"),
            platforms=entry.get("platforms", ()),
            place=entry.place,
        )


#: What programs of Debian take for granted most: a shell, the commands of scripts, C.UTF-8.
_MINIMAL = ("base-files", "base-passwd", "coreutils", "dash", "libc-bin")


def _with_implied(
    packages: tuple[PackageChoice, ...], source: RecipeText, locales: Collection[str]
) -> tuple[PackageChoice, ...]:
    """With whole packages that other fields stand for, if the recipe does not choose them."""
    implied = {
        "essential": _MINIMAL if source.top.get("essential") == "minimal" else (),
        "locales": ("locales-all",) if locales else (),
    }
    chosen = {package.name for package in packages}
    return (
        *packages,
        *(
            PackageChoice(name=name, place=source.top.at(field))
            for field, names in implied.items()
            for name in names
            if name not in chosen
        ),
    )


def _pins(entries: tuple[FieldValues, ...], fault: FaultCollector) -> Iterable[Pin]:
    for entry in entries:
        if not entry.get("version") and not entry.get("suite"):
            fault(entry.place, "a pin needs version or suite")
        yield Pin(
            name=entry.get("name"),
            version=entry.get("version"),
            suite=entry.get("suite"),
            platforms=entry.get("platforms", ()),
            place=entry.place,
        )


def _file(
    entry: FieldValues, accounts: Accounts, boundaries: Boundaries, fault: FaultCollector
) -> Files:
    place: FilePosition = entry.place
    common: dict[str, Any] = {
        "to": entry.get("to"),
        "replace": entry.get("replace", False),
        "platforms": entry.get("platforms", ()),
        "place": place,
    }
    if "image" in entry.values:
        owner = (
            accounts.owner(entry.get("owner"), entry.at("owner")) if entry.get("owner") else None
        )
        reference, digest = entry.get("image")
        return ImageFiles(
            image=reference,
            digest=digest,
            path=entry.get("path"),
            mode=entry.get("mode"),
            uid=owner[0] if owner else None,
            gid=owner[1] if owner else None,
            **common,
        )
    uid, gid = accounts.owner(entry.get("owner", "0:0"), entry.at("owner"))
    if "text" in entry.values:
        if entry.get("to").endswith("/"):
            fault(entry.at("to"), "an inline file needs a name, but its path ends in /")
        text, mode = entry.get("text"), entry.get("mode", 0o644)
        return InlineFile(text=text, mode=mode, uid=uid, gid=gid, **common)
    if "part" in entry.values:
        return PartFiles(
            part=entry.get("part"), path=entry.get("path"), mode=entry.get("mode"),
            uid=uid, gid=gid, **common,
        )  # fmt: skip
    return LocalFiles(
        source=beside(place, entry.get("from")),
        written=entry.get("from"),
        boundary=boundaries.of(place.file),
        mode=entry.get("mode"),
        uid=uid,
        gid=gid,
        exclude=entry.get("exclude", ()),
        **common,
    )


def _links(entries: tuple[FieldValues, ...], fault: FaultCollector) -> Iterable[Link]:
    for entry in entries:
        if entry.get("path") == "/":
            fault(entry.at("path"), "invalid path '/': the root is a directory")
        yield Link(
            path=entry.get("path").rstrip("/"),
            target=entry.get("target"),
            replace=entry.get("replace", False),
            platforms=entry.get("platforms", ()),
            place=entry.place,
        )


def _directories(
    entries: tuple[FieldValues, ...], accounts: Accounts, fault: FaultCollector
) -> Iterable[Directory]:
    for entry in entries:
        uid, gid = accounts.owner(entry.get("owner", "0:0"), entry.at("owner"))
        yield Directory(
            path=entry.get("path").rstrip("/") or "/",
            mode=entry.get("mode", 0o755),
            uid=uid,
            gid=gid,
            platforms=entry.get("platforms", ()),
            place=entry.place,
        )


def _vex(entries: tuple[FieldValues, ...], fault: FaultCollector) -> Iterable[VexStatement]:
    for entry in entries:
        status, justification = entry.get("status"), entry.get("justification", "")
        if (status == "not_affected") != bool(justification):
            fault(
                entry.place,
                "not_affected requires a justification; other statuses do not take one",
            )
        yield VexStatement(
            vulnerability=entry.get("vulnerability"),
            packages=entry.get("packages", ()),
            status=status,
            justification=justification,
            reason=entry.get("reason"),
            by=entry.get("by"),
            date=entry.get("date"),
        )


def _configs(
    source: RecipeText, accounts: Accounts, fault: FaultCollector
) -> tuple[Config, Mapping[Platform, Config]]:
    common, special = Config(), dict[Platform, Config]()
    for platform, entry in source.configs:
        config = Config(**entry.values)
        if config.user:
            whole = any(not each.get("slices") for each in source.lists["packages"])
            accounts.check_user(config.user, entry.at("user"), packages=whole)
        if platform is None:
            common = join_configs(common, config)
        else:
            special[platform] = join_configs(special.get(platform, Config()), config)
    return common, special


def _local_packages(source: RecipeText) -> Path | None:
    folder = source.top.get("local_packages")
    return None if folder is None else beside(source.top.at("local_packages"), folder)


def _test(entry: FieldValues, accounts: Accounts) -> ImageTest:
    kind = next(kind for kind in TEST_KINDS if entry.get(kind) is not None)
    owner = entry.get("owner")
    uid, gid = accounts.owner(owner, entry.at("owner")) if owner is not None else (None, None)
    return ImageTest(
        name=entry.get("name"),
        kind=kind,
        path=entry.get(kind) if kind in ("file", "absent", "elf") else "",
        package=entry.get("package", ""),
        version=entry.get("version", ""),
        mode=entry.get("mode"),
        uid=uid,
        gid=gid,
        target=entry.get("target"),
        contains=tuple(entry.get("contains", ()) or entry.get("output", ())),
        config=dict(entry.get("config", {})),
        command=tuple(entry.get("run", ())),
        exit=entry.get("exit", 0),
        platforms=entry.get("platforms", ()),
        place=entry.place,
    )


def _layers(source: RecipeText, fault: FaultCollector) -> Layers:
    entry: FieldValues | None = source.top.get("layers")
    if entry is None:
        return Layers()
    split: tuple[tuple[str, ...], ...] = entry.get("split", ())
    if "split" in entry.values:
        most = MOST_LAYERS - 2  # below them what no entry names, above them the recipe's own files
        if not split or not all(split):
            fault(entry.at("split"), "split has no packages", "write it like [[libc6], [python3*]]")
        if len(split) > most:
            fault(entry.at("split"), f"split has {len(split)} entries; at most {most} are allowed")
        return Layers(strategy="split", split=split)
    return Layers(strategy=entry.get("strategy"))


def _check_platforms(source: RecipeText, recipe: Recipe, fault: FaultCollector) -> None:
    """Note a fault for an entry of a platform that no file of the chain is built for."""
    known = source.known
    hint = "the recipe is built for " + ", ".join(map(str, recipe.platforms))
    entries = (*recipe.packages, *recipe.pins, *recipe.files, *recipe.links, *recipe.directories)
    for entry in entries:
        for platform in entry.platforms:
            if known and platform not in known:
                fault(entry.place, f"the recipe has no platform {platform}", hint)
    for special, config in source.configs:
        if special is not None and known and special not in known:
            fault(config.place, f"the recipe has no platform {special}", hint)
