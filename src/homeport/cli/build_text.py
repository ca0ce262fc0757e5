"""What ``homeport build`` prints, of one recipe and of several: tables, documents, warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from homeport.building.request import BuildResult
from homeport.cli.screen import Column, Screen
from homeport.printable import printable
from homeport.quantities import human_size

if TYPE_CHECKING:
    from homeport.publishing.builds import RecipeBuilt

_COLUMNS = (
    Column(name="platform"),
    Column(name="digest"),
    Column(name="layers", right=True, drop=4),
    Column(name="compressed", right=True),
    Column(name="raw", right=True, drop=2),
    Column(name="packages", right=True, drop=3),
    Column(name="time", right=True, drop=1),
)
_RECIPES = (
    Column(name="recipe"),
    Column(name="digest"),
    Column(name="platforms", right=True, drop=2),
    Column(name="compressed", right=True),
    Column(name="time", right=True, drop=1),
)


def result_warnings(result: BuildResult) -> list[str]:
    """Every warning once, with the platforms that it is about unless that is all."""
    about: dict[str, list[str]] = {}
    for each in result.built.images:
        for line in each.warnings:
            about.setdefault(line, []).append(str(each.platform))
    count = len(result.built.images)
    return [
        line if len(platforms) == count else f"{line} ({', '.join(platforms)})"
        for line, platforms in about.items()
    ]


def result_document(result: BuildResult) -> dict[str, Any]:
    """docs/formats/build.md."""
    return {
        "schema": "homeport-build/v1",
        "recipe": result.recipe.name,
        "digest": str(result.built.index.digest),
        "lockfile": str(result.locked.path),
        "relocked": result.locked.reason,
        "outputs": [
            {
                "address": str(written.address),
                "digest": str(written.digest),
                "copied": written.copied,
                "copied_bytes": written.copied_bytes,
            }
            for written in result.written
        ],
        "signer": result.signer or None,
        "compared": result.compared,
        "fresh": result.fresh,
        "loaded": result.loaded and {"engine": result.loaded.engine, "name": result.loaded.name},
        "platforms": [
            {
                "platform": str(each.platform),
                "digest": str(each.image.digest),
                "layers": [
                    {
                        "digest": str(layer.digest),
                        "diff_id": str(layer.diff_id),
                        "size": layer.size,
                        "raw_size": layer.raw_size,
                    }
                    for layer in each.layers
                ],
                "packages": [file.id.name for file in each.packages],
                "versions": {file.id.name: file.id.version for file in each.packages},
                "accounts": {"users": each.accounts.users, "groups": each.accounts.groups},
                "seconds": round(each.seconds, 3),
                "cached": each.cached,
                "warnings": list(each.warnings),
                "omitted_depends": list(each.declared),
            }
            for each in result.built.images
        ],
    }


def result_text(result: BuildResult, screen: Screen) -> str:
    rows = [
        (
            str(each.platform),
            str(each.image.digest),
            str(len(each.layers)),
            human_size(sum(layer.size for layer in each.layers)),
            human_size(sum(layer.raw_size for layer in each.layers)),
            str(len(each.packages)),
            "cached" if each.cached else f"{each.seconds:.2f} s",
        )
        for each in result.built.images
    ]
    lines = [screen.table(_COLUMNS, rows), ""]
    lines += _accounts(result)
    lines += [f"{written.address}  {written.digest}" for written in result.written]
    if result.compared:
        lines.append("built twice, the second time from downloads alone: all digests agree")
    elif result.fresh:
        lines.append("built without cached results; --check compares with a second build")
    if result.signer:
        lines.append(f"signed by {result.signer}")
    if result.loaded:
        lines.append(f"loaded into {result.loaded.engine} as {result.loaded.name}")
    return "\n".join(lines)


def _accounts(result: BuildResult) -> list[str]:
    """Users that packages make, then groups that are not theirs; the same on all platforms."""
    users: dict[str, int] = {}
    groups: dict[str, int] = {}
    for each in result.built.images:
        users |= each.accounts.users
        groups |= {
            name: gid for name, gid in each.accounts.groups.items()
            if each.accounts.users.get(name) != gid
        }  # fmt: skip
    return [
        f"{kind}: {', '.join(f'{name} {number}' for name, number in sorted(found.items()))}"
        for kind, found in (("users", users), ("groups", groups)) if found
    ]  # fmt: skip


def builds_document(built: Sequence[RecipeBuilt]) -> dict[str, Any]:
    """docs/formats/build.md."""
    return {
        "schema": "homeport-builds/v1",
        "images": [
            {
                "recipe": each.recipe,
                "outcome": "failed" if each.result is None else "built",
                "build": result_document(each.result) if each.result else None,
                "error": each.error.to_json() if each.error else None,
            }
            for each in built
        ],
    }


def builds_text(built: Sequence[RecipeBuilt], screen: Screen) -> str:
    """A row for each image, where it is, then what failed."""
    results = [each.result for each in built if each.result is not None]
    lines = []
    if results:
        lines += [screen.table(_RECIPES, list(map(_row, results))), ""]
        lines += [f"{one.address}  {one.digest}" for each in results for one in each.written]
    for each in built:
        if each.error is not None:
            hint = f" ({printable(each.error.hint)})" if each.error.hint else ""
            lines.append(f"{printable(each.recipe)}: failed: {printable(each.error.what)}{hint}")
    return "\n".join(lines)


def _row(result: BuildResult) -> tuple[str, ...]:
    images = result.built.images
    seconds = sum(each.seconds for each in images)
    return (
        result.recipe.name,
        str(result.built.index.digest),
        str(len(images)),
        human_size(sum(layer.size for each in images for layer in each.layers)),
        "cached" if all(each.cached for each in images) else f"{seconds:.2f} s",
    )


def builds_warnings(built: Sequence[RecipeBuilt]) -> list[str]:
    """Every warning once for each recipe, with its name."""
    return [
        f"{each.recipe}: {line}"
        for each in built if each.result is not None for line in result_warnings(each.result)
    ]  # fmt: skip


def builds_quiet(built: Sequence[RecipeBuilt]) -> str:
    """A name and a digest a line."""
    return "\n".join(
        f"{each.recipe} {each.result.built.index.digest}"
        for each in built if each.result is not None
    )  # fmt: skip
