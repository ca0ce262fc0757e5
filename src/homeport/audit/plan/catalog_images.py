"""The public images that recipes of the catalog stand in for, under every name that they have.

``catalog/NAME/replaces.txt`` beside a recipe lists them, one repository a line, where it stands in
for some tags only with a pattern of them (``docker.io/library/docker:*-dind``), which counts before
the repository alone. What a recipe of the user's catalog stands in for comes before what
Homeport's do.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache

from homeport.audit.facts import original_name
from homeport.oci.reference import Reference
from homeport.recipe.catalog import Catalog, current_catalog

_LIST = "replaces.txt"


@cache
def recipes_by_image(catalog: Catalog) -> Mapping[str, str]:
    """Repository, perhaps with a pattern of tags → the recipe that builds it in its place."""
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
    tag = reference.tag or ("" if reference.digest else "latest")
    for name in (reference.name, original_name(reference.name)):
        for listed, recipe in recipes.items():
            repository, _, pattern = listed.partition(":")
            if pattern and repository == name and fnmatchcase(tag, pattern):
                return recipe
        if recipe := recipes.get(name, ""):
            return recipe
    return ""
