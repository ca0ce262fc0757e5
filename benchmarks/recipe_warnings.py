"""The warnings of recipes' builds: how many, of which kind, and whether each names what ends it.

    .venv/bin/python -P benchmarks/recipe_warnings.py [RECIPE...]

Each recipe (absent: all of examples/images) is locked in a folder of its own if it has no
lockfile, and assembled for this machine's platform; nothing is written beside it.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

from homeport.app import Settings, open_app
from homeport.building.assembled import assembled
from homeport.building.request import BuildRequest
from homeport.errors import HomeportError

EXAMPLES = Path(__file__).parents[1] / "examples" / "images"
#: What a warning says that a person can paste into the recipe.
_LINE = re.compile(
    r"\b(packages|files|links|accounts|directories|config|steps|essential|alternatives|without"
    r"|exclude|replace|slices|locales|warnings): ?[\[{\w]"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="a recipe or its folder")
    recipes = parser.parse_args().recipes or sorted(map(str, EXAMPLES.iterdir()))
    counts: dict[str, int] = {}
    without_line = 0
    with open_app(Settings.load()) as app:
        for recipe in recipes:
            with tempfile.TemporaryDirectory() as folder:
                request = BuildRequest(
                    recipe=recipe, platforms=("native",), lockfile=Path(folder, "x.lock")
                )
                try:
                    with assembled(request, app.runtime, app._connections()) as found:
                        warnings = found.warnings
                except HomeportError as error:
                    print(f"{recipe}: failed: {error}", flush=True)
                    continue
            counts[recipe] = len(warnings)
            print(f"{len(warnings):3} {recipe}", flush=True)
            for warning in warnings:
                named = bool(_LINE.search(warning))
                without_line += not named
                print(f"      {'' if named else 'NO LINE '}{warning}", flush=True)
    total = sum(counts.values())
    print(f"{len(counts)} images, {total} warnings, {total / max(len(counts), 1):.2f} an image")
    print("images by warnings:", dict(sorted(Counter(counts.values()).items())))
    print(f"warnings that name no line of a recipe: {without_line}")


if __name__ == "__main__":
    sys.exit(main())
