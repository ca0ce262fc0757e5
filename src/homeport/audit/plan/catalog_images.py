"""The public images that recipes of the catalog stand in for, under every name that they have.

``catalog/NAME/replaces.txt`` beside a recipe lists them, one repository a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from homeport.audit.facts import original_name
from homeport.oci.reference import Reference

_LIST = "replaces.txt"


@cache
def recipes_by_image() -> Mapping[str, str]:
    """Repository, with its registry → the recipe that builds an image in its place."""
    found: dict[str, str] = {}
    for folder in sorted(files("homeport.catalog").iterdir(), key=lambda entry: entry.name):
        listed = folder / _LIST
        if listed.is_file() and (folder / "homeport.yaml").is_file():
            for line in listed.read_text(encoding="utf-8").splitlines():
                if name := line.partition("#")[0].strip():
                    found[name] = folder.name
    return found


def recipe_for(reference: Reference) -> str:
    """The recipe for an image, or for the one that it is a copy of; ``""`` for none."""
    recipes = recipes_by_image()
    return recipes.get(reference.name) or recipes.get(original_name(reference.name), "")
