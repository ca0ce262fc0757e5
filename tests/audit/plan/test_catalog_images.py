"""Which images of others the catalog has recipes for."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.audit import TODAY, lay_out
from homeport.audit.auditing import AuditRequest, audit, plan
from homeport.audit.plan.catalog_images import recipe_for, recipes_by_image
from homeport.oci.reference import parse_reference
from homeport.recipe.catalog import shipped_catalog


@pytest.mark.parametrize(("name", "recipe"), sorted(recipes_by_image().items()))
def test_every_recipes_images_are_planned_as_builds(tmp_path: Path, name: str, recipe: str) -> None:
    assert recipe in shipped_catalog().names()
    assert parse_reference(name).name == name
    lay_out({"compose.yaml": f"services: {{a: {{image: '{name}:1.0'}}}}\n"}, tmp_path)
    request = AuditRequest(paths=["."], root=tmp_path, home="registry.example/m", today=TODAY)
    audited = audit(request)
    made = plan(audited, request)
    if audited.dead:  # nothing needs what a file names like this
        return
    assert [(i.action, i.recipe) for i in made.images if i.image == f"{name}:1.0"] == (
        [("build", recipe)]
    )


def test_copies_of_an_image_are_known_by_its_recipe() -> None:
    assert recipe_for(parse_reference("mirror.gcr.io/tonistiigi/binfmt")) == "binfmt"
    assert recipe_for(parse_reference("tonistiigi/binfmt@sha256:" + "0" * 64)) == "binfmt"
    assert recipe_for(parse_reference("quay.io/tonistiigi/binfmt")) == ""
