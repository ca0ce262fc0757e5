"""Recipes, slices and lockfiles of tests, from short text.

    loaded = recipe(tmp_path, "packages: [hello]")          # a whole Recipe
    faults = faults_of(tmp_path, "pakages: [hello]")        # ["3:1 pakages: the recipe has …"]
    slices(tmp_path, "hello", "bin: {paths: [/usr/bin/hello]}")

The text is put below a head that every recipe needs, unless it brings its own.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

from homeport.errors import Faults
from homeport.recipe.catalog import Catalog
from homeport.recipe.loading import load_recipe
from homeport.recipe.model import Recipe

HEAD = "homeport: 1\nname: test\nplatforms: [linux/amd64]\n"


def catalog(root: Path) -> Catalog:
    """A catalog in ``root/catalog``, empty unless a test fills it."""
    return Catalog(directory=root / "catalog")


def recipe_file(root: Path, text: str, name: str = "homeport.yaml") -> Path:
    """Write a recipe; fields of the head that the text has itself are left out."""
    body = dedent(text).lstrip("\n")
    own = {line.partition(":")[0] for line in body.splitlines()}
    head = [line for line in HEAD.splitlines() if line.partition(":")[0] not in own]
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*head, body]))
    return path


def recipe(root: Path, text: str, name: str = "homeport.yaml") -> Recipe:
    """Load a recipe that has no faults."""
    return load_recipe(recipe_file(root, text, name), catalog(root))


def faults_of(root: Path, text: str, name: str = "homeport.yaml") -> list[str]:
    """Every fault as ``LINE:COLUMN FIELD: what``, the line counted after the head."""
    try:
        recipe(root, text, name)
    except Faults as faults:
        return [describe(fault, len(HEAD.splitlines())) for fault in faults.faults]
    return []


def describe(fault: object, offset: int = 0) -> str:
    where = getattr(fault, "where", {})
    line, column = where.get("line"), where.get("column")
    place = f"{int(line) - offset}:{column} " if line is not None and column is not None else ""
    field = f"{where['field']}: " if where.get("field") else ""
    return f"{place}{field}{fault}"


def slices(root: Path, package: str, text: str, successor: str = "") -> Path:
    """Write ``slices/PACKAGE.yaml`` beside the recipe; the text is the mapping of slices."""
    path = root / "slices" / f"{package}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    body = indent(dedent(text).strip("\n"), "  ")
    following = f"successor: {successor}\n" if successor else ""
    path.write_text(f"homeport: 1\npackage: {package}\n{following}slices:\n{body}\n")
    return path
