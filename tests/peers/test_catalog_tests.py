"""``homeport test RECIPE`` for recipes of the catalog, on this machine's platform."""

from __future__ import annotations

import json

import pytest

from homeport.cli.main import run
from homeport.recipe.catalog import shipped_catalog

pytestmark = [pytest.mark.network]

#: What every run of CI tests; ``--full`` tests all.
_FEW = ("base", "busybox", "curl", "dockerfile-copy", "python-debug")


@pytest.mark.parametrize(
    "name",
    [
        name if name in _FEW else pytest.param(name, marks=pytest.mark.full)
        for name in shipped_catalog().names()
        if not name.startswith("dockerfile-1") and name != "dockerfile"  # they need an engine
    ],
)
def test_a_recipe_passes_its_own_tests(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["test", name, "--platform", "native", "--format", "json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert {result["state"] for result in results} == {"passed"}
