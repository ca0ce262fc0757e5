"""The JSON Schema and the reader agree: what one refuses by shape, so does the other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeport.recipe.catalog import shipped_catalog
from homeport.recipe.schema.fields import read_recipe_text, recipe_schema
from homeport.recipe.slices.reading import slice_schema

pytestmark = pytest.mark.peer("jsonschema")


@pytest.fixture(scope="module")
def validators() -> Any:
    """``jsonschema``'s newest validator."""
    if os.environ.get("CI") == "true" or os.environ.get("HOMEPORT_PEERS") == "1":
        import jsonschema
    else:
        jsonschema = pytest.importorskip("jsonschema")
    return jsonschema.Draft202012Validator


@pytest.mark.parametrize("schema", [recipe_schema(), slice_schema()], ids=["recipe", "slices"])
def test_the_schemas_are_schemas(validators: Any, schema: dict[str, Any]) -> None:
    validators.check_schema(schema)


@pytest.mark.parametrize("path", sorted(shipped_catalog().directory.glob("*/*.yaml")), ids=str)
def test_the_catalogs_files_are_valid(validators: Any, path: Path) -> None:
    schema = slice_schema() if path.parent.name == "slices" else recipe_schema()
    errors = list(validators(schema).iter_errors(yaml.safe_load(path.read_text())))
    assert errors == []


_CASES = [
    ("packages: [libc6_libs, hello, 'a1=1-1', b1/sid]", True),
    ("packages: [{name: hello, slices: [a], platforms: [linux/amd64]}]", True),
    ("packages: [Hello]", False),
    ("packages: hello", False),
    ("packages: [{slices: [a]}]", False),
    ("pakages: [hello]", False),
    ("files: [{from: a, to: /a, mode: '0644', owner: a:b}]", True),
    ("files: [{from: a, text: b, to: /a}]", False),
    ("files: [{to: /a}]", False),
    ("files: [{from: a, to: /a, mode: rwx}]", False),
    ("directories: [/a, {path: /b, mode: '0700'}]", True),
    ("links: [{path: /a}]", False),
    ("config: {env: {A: 1, B: yes, C: x}, entrypoint: [/x], exposed_ports: ['80', 53/udp]}", True),
    ("config: {entrypoint: /x}", False),
    ("config: {stop_signal: TERM}", False),
    ("accounts: {users: [{name: a, uid: 1}]}", True),
    ("accounts: {users: [{name: a, uid: -1}]}", False),
    ("accounts: {users: [{name: a, uid: x}]}", False),
    ("steps: {tmp: false}", True),
    ("steps: {tmp: 1}", False),
    ("steps: {temp: true}", False),
    ("per_platform: {linux/amd64: {packages: [a1], config: {cmd: [x]}}}", True),
    ("per_platform: {linux/amd64: {platforms: [linux/amd64]}}", False),
    ("pins: [{name: a1, version: 1.*}]", True),
    ("archives: [{name: a, suites: [b]}]", True),
    ("archives: [{suites: [b]}]", False),
]


@pytest.mark.parametrize(("text", "good"), _CASES, ids=[text for text, _ in _CASES])
def test_schema_and_reader_agree(validators: Any, text: str, good: bool) -> None:
    whole = f"homeport: 1\n{text}\n"
    _, reader = read_recipe_text(whole.encode(), "x.yaml")
    assert (not reader.faults) is good
    assert validators(recipe_schema()).is_valid(yaml.safe_load(whole)) is good
