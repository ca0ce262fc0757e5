"""``homeport recipe``: check, explain or show a recipe, or print the schema for editors."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.options import Session, common
from homeport.cli.platform_options import read_platform
from homeport.cli.recipe_options import allow_outside_option, catalog_option
from homeport.cli.screen import Screen, columns
from homeport.cli.subcommand import CommandGroup
from homeport.quantities import counted, human_size

if TYPE_CHECKING:
    from homeport.building.explain import ExplainedPackage, Explanation
    from homeport.building.made_by_steps import ShownRecipe

_MOST = 10  # files that the text names
_SHOWN = 3  # programs that the text names
_STEP_COLUMNS = columns("step", "on", "paths", right=(2,))
_COLUMNS = columns("package", "size", "files", "loaded", "why", right=(1, 2))


@click.group(cls=CommandGroup, name="recipe")
def command() -> None:
    """Check, explain or show a recipe, or print the JSON Schema for editors."""


@command.command(
    epilog="""\b
Examples:
  homeport recipe check                     ./homeport.yaml
  homeport recipe check ./my/homeport.yaml
"""
)
@click.argument("recipe", default="./homeport.yaml")
@allow_outside_option
@catalog_option
@common
def check(session: Session, recipe: str, allow_outside: tuple[Path, ...]) -> None:
    """Check a recipe and its slices, without the network.

    RECIPE is a recipe file, its directory, or a name of the catalog.  [default:
    ./homeport.yaml] All errors are reported at once.
    """
    with session.app() as app:
        found = app.check_recipe(recipe, allow_outside=allow_outside)
    document = {
        "schema": "homeport-recipe-check/v1",
        "name": found.name,
        "file": str(found.path),
        "platforms": list(map(str, found.platforms)),
    }
    session.output.write(document, f"{found.path}: {found.name}: valid")


@command.command(
    epilog="""\b
Examples:
  homeport recipe schema > homeport.schema.json
  homeport recipe schema --slices > slices.schema.json
then, as the first line of a recipe:
  # yaml-language-server: $schema=homeport.schema.json
"""
)
@click.option("--slices", is_flag=True, help="Print the schema of slice files.")
@common
def schema(session: Session, slices: bool) -> None:
    """Print the JSON Schema of recipes."""
    with session.app() as app:
        click.echo(json.dumps(app.recipe_schema(slices=slices), indent=2))


@command.command(
    epilog="""\b
Examples:
  homeport recipe explain ./my/homeport.yaml
  homeport recipe explain . --platform linux/arm64 --format json
"""
)
@click.argument("recipe", default="./homeport.yaml")
@click.option(
    "--platform",
    metavar="OS/ARCH[/VARIANT]",
    envvar="HOMEPORT_PLATFORM",
    help="Platform to explain.  [default: this machine's]",
)
@allow_outside_option
@catalog_option
@common
def explain(
    session: Session, recipe: str, platform: str | None, allow_outside: tuple[Path, ...]
) -> None:
    """Explain why each package is in an image and what could be left out.

    RECIPE is a recipe file, its directory, or a name of the catalog.  [default:
    ./homeport.yaml] What programs load by name at run time is not seen: run the image without
    a package before you trust the proposal.
    """
    wanted = read_platform(platform)
    with session.app() as app:
        found = app.recipe_explain(recipe, platform=wanted, allow_outside=allow_outside)
    session.output.write(_explanation_document(found), _explanation_text(found, session.screen))


@command.command(
    epilog="""\b
Examples:
  homeport recipe show ./my/homeport.yaml
  homeport recipe show . --expanded               # each path and account
  homeport recipe show . --platform linux/arm64 --format json
"""
)
@click.argument("recipe", default="./homeport.yaml")
@click.option("--expanded", is_flag=True, help="List each path and account that is made.")
@click.option(
    "--platform",
    metavar="OS/ARCH[/VARIANT]",
    envvar="HOMEPORT_PLATFORM",
    help="Platform to show.  [default: this machine's]",
)
@allow_outside_option
@catalog_option
@common
def show(
    session: Session,
    recipe: str,
    expanded: bool,
    platform: str | None,
    allow_outside: tuple[Path, ...],
) -> None:
    """Show what steps make in an image in place of packages' scripts.

    RECIPE is a recipe file, its directory, or a name of the catalog.  [default:
    ./homeport.yaml] Nothing is written. A step is switched off by 'steps: {NAME: false}'.
    """
    wanted = read_platform(platform)
    with session.app() as app:
        found = app.recipe_show(recipe, platform=wanted, allow_outside=allow_outside)
    text = _shown_text(found, session.screen, expanded=expanded)
    session.output.write(_shown_document(found), text)


def _shown_document(found: ShownRecipe) -> dict[str, Any]:
    """docs/formats/catalog.md."""
    return {
        "schema": "homeport-recipe-show/v1",
        "recipe": found.recipe,
        "platform": str(found.platform),
        "steps": [
            {
                "name": step.name,
                "on": step.on,
                "made": [
                    {
                        "path": each.path,
                        "type": each.type,
                        "mode": f"{each.mode:04o}",
                        "uid": each.uid,
                        "gid": each.gid,
                        "size": each.size,
                        "target": each.target,
                    }
                    for each in step.made
                ],
            }
            for step in found.steps
        ],
        "accounts": [
            {"kind": each.kind, "name": each.name, "number": each.number} for each in found.accounts
        ],
    }


def _shown_text(found: ShownRecipe, screen: Screen, *, expanded: bool) -> str:
    rows = [
        (step.name, "yes" if step.on else "no", str(len(step.made)) if step.made else "")
        for step in found.steps
    ]
    lines = [screen.table(_STEP_COLUMNS, rows)]
    if not expanded:
        return "\n".join([*lines, "", "each path and account: --expanded"])
    for step in filter(lambda each: each.made, found.steps):
        lines += ["", step.name]
        for each in step.made:
            link = f" -> {each.target}" if each.target else ""
            owner = f"{each.uid}:{each.gid}"
            lines.append(f"  {each.type:<9} {each.mode:04o} {owner:>9}  {each.path}{link}")
    for kind in ("user", "group"):
        of_kind = [f"{each.name} {each.number}" for each in found.accounts if each.kind == kind]
        if of_kind:
            lines += ["", f"{kind}s", f"  {', '.join(of_kind)}"]
    return "\n".join(lines)


def _explanation_document(found: Explanation) -> dict[str, Any]:
    """docs/formats/catalog.md."""
    return {
        "schema": "homeport-recipe-explain/v1",
        "recipe": found.recipe,
        "platform": str(found.platform),
        "packages": [
            {
                "name": each.name,
                "version": each.version,
                "size": each.size,
                "files": each.files,
                "why": list(each.why),
                "slices": list(each.slices),
                "used": each.used,
                "started": [{"path": one.path, "by": one.by} for one in each.started],
            }
            for each in found.packages
        ],
        "without": list(found.without),
        "saves": found.saves,
        "unreached": [{"path": path, "size": size} for path, size in found.unreached],
    }


def _explanation_text(found: Explanation, screen: Screen) -> str:
    rows = [
        (
            each.name,
            human_size(each.size),
            str(each.files),
            "" if each.used else "no",
            _why(each),
        )
        for each in found.packages
    ]
    lines = [screen.table(_COLUMNS, rows)]
    if found.without:
        lines += [
            "",
            f"could be left out, which saves {human_size(found.saves)}; in the recipe:",
            f"  without: [{', '.join(found.without)}]",
        ]
    if found.unreached:
        size = human_size(sum(size for _, size in found.unreached))
        count = counted(len(found.unreached), "program, library or script", "programs, libraries "
                        "and scripts")  # fmt: skip
        lines += ["", f"not loaded from the entrypoint: {count}, {size}; the largest:"]
        lines += [f"  {human_size(size):>9}  {path}" for path, size in found.unreached[:_MOST]]
    return "\n".join(lines)


def _started(package: ExplainedPackage) -> str:
    """``/usr/bin/git may start env, cat and 3 more``: the programs, by what starts most."""
    by = Counter(each.by for each in package.started).most_common(1)[0][0]
    names = list(
        dict.fromkeys(
            each.path.rpartition("/")[2] for each in package.started
            if each.by == by and "*" not in each.path and each.path
        )
    )  # fmt: skip
    more = len({each.path.rpartition("/")[2] for each in package.started} - {"*"}) - _SHOWN
    shown = ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
    if any("C.utf8" in each.path for each in package.started):
        return f"{by} needs C.UTF-8"
    return f"{by} may start {shown}" if names else f"{by} needs it"


def _why(package: ExplainedPackage) -> str:
    """``in the recipe``, or the way from a package that is."""
    if package.started:
        return _started(package)
    slices = f" (slices {', '.join(package.slices)})" if package.slices else ""
    if len(package.why) == 1:
        return f"in the recipe{slices}"
    return (" > ".join(package.why[:-1]) or "a slice needs it") + slices
