"""``homeport search``: packages of the archives and recipes of the catalog."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click
import msgspec

from homeport.cli.options import Session, common
from homeport.cli.platform_options import read_platform
from homeport.cli.recipe_archives import package_platform_option, recipe_option
from homeport.cli.recipe_options import catalog_option, mirrors_option
from homeport.cli.screen import Column, Screen
from homeport.errors import AnswerNo
from homeport.quantities import counted, human_size

if TYPE_CHECKING:
    from homeport.authoring.package_search import SearchResult

_PACKAGES = (
    Column(name="package", least=16),
    Column(name="version", least=12, drop=2),
    Column(name="installed", right=True, drop=3),
    Column(name="slices", right=True, drop=1),
    Column(name="summary", least=24),
)
_RECIPES = (Column(name="recipe"), Column(name="summary", least=24))


@click.command(
    name="search",
    epilog="""\b
Examples:
  homeport search curl
  homeport search http client --platform linux/riscv64
  homeport search ssl -q                   names only
""",
)
@click.argument("words", nargs=-1, required=True, metavar="WORD...")
@recipe_option
@package_platform_option
@mirrors_option
@click.option(
    "--limit-to", "most", type=click.IntRange(min=0), default=50, show_default=True,
    metavar="N", help="Print at most N packages; 0: all of them.",
)  # fmt: skip
@catalog_option
@common
def command(
    session: Session, *, words: tuple[str, ...], recipe: str, platform: str | None,
    mirrors: tuple[str, ...], most: int,
) -> None:  # fmt: skip
    """Search packages, and recipes of the catalog, by words.

    Each WORD is in the name or the summary, in any case. Names that begin with the
    first WORD come first. Exits with 3 if nothing was found.
    """
    with session.app() as app:
        found = app.search_packages(
            words, recipe=recipe, platform=read_platform(platform), mirrors=mirrors
        )
    shown = found.packages[: most or None]
    document = {
        "schema": "homeport-search/v1",
        "platform": found.platform,
        "total": len(found.packages),
        "packages": msgspec.to_builtins(shown),
        "recipes": msgspec.to_builtins(found.recipes),
    }
    limited = msgspec.structs.replace(found, packages=shown)
    if not found.packages and not found.recipes:
        if session.format == "json":
            session.output.write(document, "")
        raise AnswerNo(
            f"nothing found for {' '.join(words)}", hint="search for fewer or shorter words"
        )
    session.output.write(
        document,
        _text(limited, len(found.packages), session.screen),
        quiet_text="\n".join(each.name for each in limited.packages),
    )


def _text(found: SearchResult, total: int, screen: Screen) -> str:
    parts = []
    if found.packages:
        rows = [
            (
                each.name,
                each.version,
                human_size(each.installed_size),
                str(each.slices or ""),
                each.summary,
            )
            for each in found.packages
        ]
        parts.append(screen.table(_PACKAGES, rows))
    if found.recipes:
        rows_of_recipes = [(each.name, each.summary) for each in found.recipes]
        parts.append(screen.table(_RECIPES, rows_of_recipes))
    more = total - len(found.packages)
    closing = counted(total, "package")
    if more:
        closing += f", {more} not shown (--limit-to 0)"
    if found.packages:
        closing += f"; more about one: homeport show {shlex.quote(found.packages[0].name)}"
    return "\n\n".join([*parts, closing])
