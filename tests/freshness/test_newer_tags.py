"""Newer versions among tags: only of the same form."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.content.digest import Digest
from homeport.freshness.inputs import moved_images
from homeport.freshness.model import Input, Unknown
from homeport.freshness.newer_tags import newer_tag
from homeport.recipe.catalog import shipped_catalog
from homeport.recipe.loading import load_recipe
from homeport.registry.errors import RateLimited

DIGEST = "sha256:" + "1" * 64


@pytest.mark.parametrize(
    ("tag", "tags", "newest"),
    [
        ("1.2.3", ["1.2.3", "1.2.10", "1.3.0", "2.0.0"], ("1.2.10", True)),
        ("1.2.3", ["1.2.2", "1.3.0", "latest"], ("1.3.0", False)),
        ("3.13-slim", ["3.14", "3.13-slim", "3.13.1-slim"], None),
        ("3.13-slim", ["3.14-slim"], ("3.14-slim", False)),
        ("1.2", ["20260101", "1.20260101", "1.2-rc1"], None),
        ("v1", ["2", "v2"], ("v2", False)),
        ("1.2.2026110100", ["1.2.2026112800"], ("1.2.2026112800", True)),
        ("latest", ["1", "2"], None),
        ("1.0", [], None),
    ],
)
def test_only_versions_of_the_same_form_are_newer(
    tag: str, tags: list[str], newest: tuple[str, bool] | None
) -> None:
    assert newer_tag(tag, tags) == newest


def test_a_newer_version_is_told_and_tags_that_cannot_be_listed_are_unknown(
    tmp_path: Path,
) -> None:
    file = tmp_path / "homeport.yaml"
    file.write_text(
        "homeport: 1\nname: t\nplatforms: [linux/amd64]\npackages: [tzdata]\nfiles:\n"
        f"  - image: registry.example/a/b:1.2.3@{DIGEST}\n    path: /x\n    to: /x\n"
    )
    recipe = load_recipe(file, shipped_catalog())

    def refused(_name: str) -> list[str]:
        raise RateLimited("too many requests")

    def digest_of(_address: str) -> Digest:
        return Digest.parse(DIGEST)

    assert list(moved_images(recipe, digest_of, lambda _name: ["1.2.4"])) == [
        Input(level="error", what="registry.example/a/b:1.2.3", text="1.2.4 is newer")
    ]
    assert list(moved_images(recipe, digest_of, refused)) == [
        Unknown(what="the tags of registry.example/a/b", why="too many requests")
    ]
