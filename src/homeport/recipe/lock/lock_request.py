"""What a recipe asks of the archives, as one digest (docs/formats/lockfile.md, "The request").

Two recipes with the same request need the same lockfile. Local files, accounts, config
and mirrors are not part of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import msgspec

from homeport.content.digest import Digest
from homeport.oci.platform import Platform
from homeport.recipe.entries import PackageChoice
from homeport.recipe.local_packages import local_packages
from homeport.recipe.model import Recipe
from homeport.recipe.platforms import debian_architecture
from homeport.recipe.slices.model import COPYRIGHT, Slice, SliceName
from homeport.recipe.slices.reading import SliceFolders
from homeport.yamlfile.position import FilePosition

#: Whether the archives have a package for a Debian architecture.
Available = Callable[[str, str], bool]
OS_RELEASE = SliceName(package="base-files", slice="os-release")


def wanted_slices(recipe: Recipe, platform: Platform) -> dict[SliceName, FilePosition]:
    """The slices that the recipe names for a platform, and the one of its step os-release.

    If base-files is taken as a whole, the step adds nothing.
    """
    choices = [choice for choice in recipe.packages if choice.applies_to(platform)]
    wanted = {
        SliceName(package=choice.name, slice=slice): choice.place
        for choice in choices
        for slice in choice.slices
    }
    whole = {choice.name for choice in choices if choice.whole}
    if recipe.steps.os_release and OS_RELEASE.package not in whole:
        wanted.setdefault(OS_RELEASE, recipe.place)
    return wanted


def reached_slices(
    recipe: Recipe, folders: SliceFolders, available: Available | None = None
) -> dict[Platform, dict[SliceName, Slice]]:
    """Per platform, the slices that it has by choice or by need. Faults stay in ``folders``.

    available: as for ``SliceFolders.reach``, by Debian's name of the architecture
    """
    return {
        platform: folders.reach(
            wanted_slices(recipe, platform).items(),
            debian_architecture(platform),
            available and partial(available, debian_architecture(platform)),
        )
        for platform in recipe.platforms
    }


def with_successors(recipe: Recipe, folders: SliceFolders, available: Available) -> Recipe:
    """``recipe`` with the names that its sliced packages have in these archives."""
    choices: list[PackageChoice] = []
    for choice in recipe.packages:
        names: dict[str, list[Platform]] = {}
        for platform in filter(choice.applies_to, recipe.platforms):
            has = partial(available, debian_architecture(platform))
            there = {
                folders.current(SliceName(package=choice.name, slice=slice), has).package
                for slice in choice.slices
            }
            # Of slices that went different ways each is found by its own name.
            name = there.pop() if len(there) == 1 else choice.name
            names.setdefault(name, []).append(platform)
        choices += (
            [choice]
            if not names.keys() - {choice.name}
            else [
                msgspec.structs.replace(choice, name=name, platforms=tuple(platforms))
                for name, platforms in names.items()
            ]
        )
    return msgspec.structs.replace(recipe, packages=tuple(choices))


def used_definitions(
    reached: Mapping[Platform, Mapping[SliceName, Slice]],
) -> dict[SliceName, Slice]:
    """Every definition that some platform uses, sorted, without ``copyright``."""
    found = {name: slice for slices in reached.values() for name, slice in slices.items()}
    return {name: found[name] for name in sorted(found) if name.slice != COPYRIGHT}


def request_digest(
    recipe: Recipe, slices: Mapping[SliceName, Slice], *, programs: bool = True
) -> Digest:
    """The digest of what ``recipe`` asks, with the definitions of the slices that it reaches.

    programs: with the programs that containers start, for which Essential packages are locked;
              lockfiles of before that were made without
    """
    local = [[file.name, str(file.digest)] for file in local_packages(recipe)]
    asked = {
        "platforms": sorted(map(str, recipe.platforms)),
        "archives": [
            {
                "name": archive.name,
                "suites": archive.suites,
                "components": archive.components,
                "keys": sorted(key.name for key in archive.keys),
                # Left out while empty, so that older lockfiles stay valid.
                **({"packages": sorted(archive.packages)} if archive.packages else {}),
            }
            for archive in recipe.archives
        ],
        "packages": _sorted(
            {
                "name": choice.name,
                "slices": sorted(choice.slices),
                "version": choice.version,
                "suite": choice.suite,
                "platforms": sorted(map(str, choice.platforms)),
            }
            for choice in recipe.packages
        ),
        "pins": _sorted(
            {
                "name": pin.name,
                "version": pin.version,
                "suite": pin.suite,
                "platforms": sorted(map(str, pin.platforms)),
            }
            for pin in recipe.pins
        ),
        # Left out while empty, too.
        **({"variant": recipe.variant} if recipe.variant else {}),
        **({"essential": True} if recipe.essential == "true" else {}),
        **({"local_packages": local} if local else {}),
        **({"programs": started} if programs and (started := _started(recipe)) else {}),
        "without": sorted(recipe.without),
        "steps": {"os_release": recipe.steps.os_release, "copyright": recipe.steps.copyright},
        "slices": {str(name): _definition(slice) for name, slice in slices.items()},
    }
    return Digest.of(_canonical(asked).encode())


def needs_essentials(recipe: Recipe) -> bool:
    """Whether Essential packages are locked for what its programs start."""
    whole = any(choice.whole for choice in recipe.packages)
    return whole and recipe.essential in ("", "needed", "minimal") and not recipe.variant


def _started(recipe: Recipe) -> list[list[str]]:
    if not needs_essentials(recipe):
        return []
    configs = ((platform, recipe.config_for(platform)) for platform in recipe.platforms)
    return sorted([str(of), *(*each.entrypoint, *each.cmd)[:1]] for of, each in configs)


def _definition(slice: Slice) -> dict[str, Any]:
    return {
        # Left out while empty, too.
        **({"successor": slice.successor} if slice.successor else {}),
        "paths": [[path.path, sorted(path.architectures)] for path in slice.paths],
        "needs": [[str(need.name), sorted(need.architectures)] for need in slice.needs],
    }


def _sorted(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(entries, key=_canonical)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
