"""Write docs/catalog: a page for each recipe of the catalog, and the list of them.

    python tools/make_catalog_pages.py

What a page says of contents and platforms is the recipe's and its lockfile's; ``page.md`` beside
the recipe says what the image replaces and what differs. Sizes are those that
``benchmarks/catalog.py --record`` measured.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from homeport.recipe.catalog_listing import catalog_recipes
from homeport.recipe.lock.model import Lockfile
from homeport.recipe.lock.reading import read_lockfile
from homeport.recipe.model import Recipe

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = REPOSITORY / "docs" / "catalog"
SIZES = REPOSITORY / "benchmarks" / "data" / "catalog.json"


def pages() -> dict[str, str]:
    """File name → text, of every page."""
    sizes = json.loads(SIZES.read_text()) if SIZES.exists() else {}
    recipes = catalog_recipes()
    found = {f"{recipe.name}.md": page(recipe, sizes.get(recipe.name, {})) for recipe in recipes}
    return {"README.md": overview(recipes, sizes), **found}


def overview(recipes: tuple[Recipe, ...], sizes: dict[str, dict[str, list[int]]]) -> str:
    """The list of recipes."""
    lines = [
        "# The catalog",
        "",
        "What `homeport catalog list` shows, a page each. Build one with `homeport build NAME`, or",
        "add to it with `extends: NAME` in a recipe of your own. Sizes: linux/amd64, compressed.",
        "",
        "| recipe | | platforms | size |",
        "|---|---|---|---|",
    ]
    for recipe in recipes:
        size = sizes.get(recipe.name, {}).get("linux/amd64")
        shown = _megabytes(size[0]) if size else ""
        lines.append(
            f"| [{recipe.name}]({recipe.name}.md) | {recipe.summary} | {len(recipe.platforms)} "
            f"| {shown} |"
        )
    return "\n".join(lines) + "\n"


def page(recipe: Recipe, sizes: dict[str, list[int]]) -> str:
    """One recipe."""
    parts = [f"# {recipe.name}", recipe.summary + "."]
    words = recipe.path.parent / "page.md"
    if words.exists():
        parts.append(words.read_text().strip())
    parts += ["## Image", "\n".join(_config(recipe)), "\n".join(_platforms(recipe, sizes))]
    lockfile = read_lockfile(recipe.path.parent / recipe.lock_name)
    if lockfile is not None:
        parts += ["## Contents", "\n".join(_contents(lockfile))]
    parts.append(
        "<!-- Made by tools/make_catalog_pages.py from "
        f"src/homeport/catalog/{recipe.name}; do not edit. -->"
    )
    return "\n\n".join(parts) + "\n"


def _config(recipe: Recipe) -> Iterator[str]:
    config = recipe.config
    yield "| | |"
    yield "|---|---|"
    if config.entrypoint:
        yield f"| entrypoint | `{' '.join(config.entrypoint)}` |"
    if config.cmd:
        yield f"| command | `{' '.join(config.cmd)}` |"
    yield f"| user | {config.user or 'root'} |"
    for name, value in sorted(config.env.items()):
        yield f"| variable | `{name}={value}` |"
    if recipe.without:
        yield f"| left out | {', '.join(recipe.without)} |"


def _platforms(recipe: Recipe, sizes: dict[str, list[int]]) -> Iterator[str]:
    yield "| platform | compressed | unpacked |"
    yield "|---|---|---|"
    for platform in map(str, recipe.platforms):
        compressed, raw = map(_megabytes, sizes.get(platform, (0, 0)))
        yield f"| {platform} | {compressed} | {raw} |"


def _contents(lockfile: Lockfile) -> Iterator[str]:
    """Packages with their slices, once for all platforms that have the same."""
    yield f"Locked from the archives of {lockfile.date:%Y-%m-%d}."
    yield ""
    yield "| package | version | slices | platforms |"
    yield "|---|---|---|---|"
    rows: dict[tuple[str, str, str], list[str]] = {}
    for platform, packages in lockfile.platforms.items():
        for package in packages:
            slices = ", ".join(package.slices) or "whole"
            rows.setdefault((package.name, package.version, slices), []).append(str(platform))
    for (name, version, slices), on in sorted(rows.items()):
        everywhere = len(on) == len(lockfile.platforms)
        yield f"| {name} | {version} | {slices} | {'all' if everywhere else ', '.join(on)} |"
    for name, part in lockfile.parts.items():
        made = ", ".join(
            dict.fromkeys(f"{source.name} {source.version}" for source in part.sources)
        )
        of = f" of {made}" if made else ""
        yield ""
        yield f"The part `{name}`{of} is compiled and pinned by digest for every platform."


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB" if size else ""


def main() -> int:
    """Write all pages and remove those of recipes that are gone."""
    PAGES.mkdir(exist_ok=True)
    found = pages()
    for path in PAGES.glob("*.md"):
        if path.name not in found:
            path.unlink()
    for name, text in found.items():
        (PAGES / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
