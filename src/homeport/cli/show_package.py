"""``homeport show``: one package of the archives, its slices and its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from homeport.cli.options import Session, common
from homeport.cli.platform_options import read_platform
from homeport.cli.recipe_archives import package_platform_option, recipe_option
from homeport.cli.recipe_options import catalog_option, mirrors_option
from homeport.cli.screen import Column, Screen
from homeport.quantities import counted, human_size

if TYPE_CHECKING:
    from homeport.authoring.package_search import ShownPackage

_SLICES = (Column(name="slice"), Column(name="paths", right=True), Column(name="needs", least=24))
_FILES = (
    Column(name="size", right=True),
    Column(name="slices", least=8, drop=1),
    Column(name="path", least=40),
)


@click.command(
    name="show",
    epilog="""\b
Examples:
  homeport show curl
  homeport show curl --files --platform linux/arm64
  homeport show busybox --recipe images/tools --format json
""",
)
@click.argument("package")
@click.option("--files", is_flag=True, help="Fetch the package and list what is in it.")
@recipe_option
@package_platform_option
@mirrors_option
@catalog_option
@common
def command(
    session: Session, *, package: str, files: bool, recipe: str, platform: str | None,
    mirrors: tuple[str, ...],
) -> None:  # fmt: skip
    """Show a package of the archives.

    Its version, size, dependencies and slices; with --files its paths, and the slices that take
    them.
    """
    with session.app() as app:
        found = app.show_package(
            package, recipe=recipe, platform=read_platform(platform), mirrors=mirrors, files=files
        )
    session.output.write(
        {"schema": "homeport-show/v1", **msgspec.to_builtins(found)},
        _text(found, session.screen),
        quiet_text="\n".join(each.path for each in found.paths or ()) or found.version,
    )


def _text(found: ShownPackage, screen: Screen) -> str:
    facts = {
        "version": f"{found.version} ({found.suite})",
        "also": ", ".join(found.others),
        "source": f"{found.source} {found.source_version}",
        "size": f"{human_size(found.size)}, installed {human_size(found.installed_size)}",
        "depends": found.depends,
        "provides": found.provides,
        "homepage": found.homepage,
    }
    lines = [f"{screen.styled(found.name, 'title')}: {found.summary}", ""]
    lines += [f"{name:<9} {value}" for name, value in facts.items() if value]
    if found.slices:
        rows = [(each.slice, str(len(each.paths)), ", ".join(each.needs)) for each in found.slices]
        lines += ["", screen.table(_SLICES, rows)]
    if found.paths is not None:
        rows = [
            (human_size(each.size) if each.type == "file" else "", " ".join(each.slices), each.path)
            for each in found.paths
            if each.type != "directory"
        ]
        lines += ["", screen.table(_FILES, rows), counted(len(rows), "file")]
    name = f"{found.name}_{found.slices[0].slice}" if found.slices else found.name
    return "\n".join([*lines, "", f"next: homeport add {name}"])
