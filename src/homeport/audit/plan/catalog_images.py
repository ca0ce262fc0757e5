"""The public images that recipes of the catalog stand in for, under every name that they have.

``catalog/NAME/replaces.txt`` beside a recipe lists them, one repository a line. What a recipe of
the user's catalog stands in for comes before what Homeport's do.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from homeport.audit.facts import original_name
from homeport.oci.reference import Reference
from homeport.recipe.catalog import Catalog, current_catalog

_LIST = "replaces.txt"


@cache
def recipes_by_image(catalog: Catalog) -> Mapping[str, str]:
    """Repository, with its registry → the recipe that builds an image in its place."""
    found: dict[str, str] = {}
    for folder in catalog.folders:
        for listed in sorted(folder.glob(f"*/{_LIST}")):
            recipe = listed.parent.name
            if catalog.recipe_file(recipe) is None:
                continue
            for line in listed.read_text(encoding="utf-8").splitlines():
                if name := line.partition("#")[0].strip():
                    found.setdefault(name, recipe)
    return found


def recipe_for(reference: Reference) -> str:
    """The recipe for an image, or for the one that it is a copy of; ``""`` for none."""
    recipes = recipes_by_image(current_catalog())
    return recipes.get(reference.name) or recipes.get(original_name(reference.name), "")
