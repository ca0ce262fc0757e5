"""``homeport graph --repository``: layers that published images share, read from a registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.published import ask, published_world

RECIPE = """
archives: [{{name: test, suites: [trixie], mirrors: ["{url}"], keys: [../key.asc]}}]
name: {name}
steps: {{os_release: false}}
platforms: [linux/amd64]
packages: [app]
files: [{{to: /etc/name, text: {text}}}]
layers: {{split: [[app]]}}
"""


def test_layers_of_published_images_are_compared_and_what_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with published_world(tmp_path, monkeypatch) as (registry, world):
        (world.home / "homeport.yaml").unlink()
        for name, text in (("one", "a"), ("two", "b"), ("unpublished", "c")):
            folder = world.home / name
            folder.mkdir()
            recipe = RECIPE.format(url=world.archive.url, name=name, text=text)
            (folder / "homeport.yaml").write_text("homeport: 1" + recipe)
            ask(registry, "build", f"./{name}", "-o", "oci:out", "--allow-outside", ".")
            if name != "unpublished":
                ask(registry, "push", "oci:out", f"HOST/team/{name}:latest")
        found = ask(registry, "graph", ".", "--repository", "HOST/team", "--allow-outside", ".")
        assert found["layers_read"] == 2
        (shared,) = found["layers"]
        assert shared["recipes"] == ["one", "two"]
        assert {
            ("team/one", shared["digest"]),
            ("team/two", shared["digest"]),
        } <= registry.blobs.keys()
        assert any("team/unpublished" in address for address, _ in found["failed"])
