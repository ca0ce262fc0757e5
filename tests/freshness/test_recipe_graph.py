"""Which recipe needs which, in which order, and what they share."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.freshness import FreshWorld, package
from homeport.freshness.recipe_graph import RecipeGraph, recipe_graph
from homeport.freshness.report.graph import graph_dot, graph_mermaid, graph_text
from homeport.freshness.subjects import find_recipes

DIGEST = "sha256:" + "1" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def recipe(folder: Path, name: str, text: str = "packages: [tzdata]") -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "homeport.yaml").write_text(
        f"homeport: 1\nname: {name}\nplatforms: [linux/amd64]\n{text}\n"
    )


def graph(folder: Path) -> RecipeGraph:
    return recipe_graph(*find_recipes([str(folder)], folder))


def files_of(image: str) -> str:
    return f"files:\n  - image: {image}@{DIGEST}\n    path: /x\n    to: /x\n"


def test_what_others_use_comes_first(folder: Path) -> None:
    recipe(folder, "a-top", files_of("registry.example/team/middle:1"))
    recipe(folder, "middle", files_of("registry.example/team/z-base:1"))
    recipe(folder, "z-base")
    found = graph(folder)
    assert [(n.id, n.order) for n in found.nodes] == [("z-base", 0), ("middle", 1), ("a-top", 2)]
    assert [(e.user, e.kind, e.used) for e in found.edges] == [
        ("a-top", "files", "middle"), ("middle", "files", "z-base"),
    ]  # fmt: skip


def test_a_recipe_that_extends_another_waits_for_it_and_the_catalogs_is_outside(
    folder: Path,
) -> None:
    recipe(folder, "app", "extends: zbase/homeport.yaml")
    recipe(folder / "app", "zbase", "extends: static")
    found = graph(folder)
    assert [(n.id, n.kind, n.order) for n in found.nodes] == [
        ("zbase", "recipe", 0), ("app", "recipe", 1), ("recipe static", "base", 0),
    ]  # fmt: skip
    assert "     extends zbase" in graph_text(found)


def test_an_official_image_of_docker_hub_is_no_recipe_of_that_name(folder: Path) -> None:
    recipe(folder, "python")
    recipe(folder, "tool", files_of("docker.io/library/python:3"))
    kinds = {node.id: node.kind for node in graph(folder).nodes}
    assert kinds == {
        "python": "recipe", "tool": "recipe", "docker.io/library/python:3": "image",
    }  # fmt: skip


def test_inputs_and_dockerfiles_of_parts_are_edges(folder: Path) -> None:
    recipe(folder, "lib")
    recipe(
        folder, "app",
        "parts:\n  - name: built\n    from: {dockerfile: Dockerfile}\n"
        "files:\n  - {part: built, path: /x, to: /x}\n",
    )  # fmt: skip
    (folder / "app" / "Dockerfile").write_text(f"FROM registry.example/t/lib@{DIGEST}\n")
    assert [(e.user, e.kind, e.used) for e in graph(folder).edges] == [("app", "part", "lib")]


def test_recipes_that_need_each_other_are_told_and_still_have_an_order(folder: Path) -> None:
    recipe(folder, "one", files_of("r.example/two:1"))
    recipe(folder, "two", files_of("r.example/one:1"))
    recipe(folder, "three", files_of("r.example/two:1"))
    found = graph(folder)
    assert found.circles == (("one", "two"),)
    assert {n.id: n.order for n in found.nodes}["three"] == 1
    assert {n.order for n in found.nodes if n.id in ("one", "two")} == {0}


def test_a_recipe_that_cannot_be_read_is_told_and_two_of_one_name_are_told_apart(
    folder: Path,
) -> None:
    recipe(folder, "good")
    recipe(folder, "other")
    text = (folder / "good" / "homeport.yaml").read_text()
    (folder / "other" / "homeport.yaml").write_text(text)
    (folder / "bad").mkdir()
    (folder / "bad" / "homeport.yaml").write_text("homeport: 1\nname: [\n")
    found = graph(folder)
    assert len({node.id for node in found.nodes}) == 2
    assert [name for name, _ in found.failed] == [str(folder / "bad" / "homeport.yaml")]


def test_shared_packages_are_counted_once(tmp_path: Path) -> None:
    world = FreshWorld(tmp_path, {"trixie": [package(f"lib{n}", "1-1") for n in (1, 2, 3)]})
    for name, wanted in (("one", "lib1, lib2"), ("two", "lib2, lib3")):
        world.lock_recipe(f"name: {name}\npackages: [{wanted}]")
        (world.home / "homeport.yaml").rename(world.home / f"{name}.yaml")
    found = graph(world.home)
    assert [(p.name, p.recipes) for p in found.packages] == [("lib2", ("one", "two"))]
    assert found.total_size - found.own_size == found.packages[0].size > 0


def test_names_cannot_break_out_of_dot_and_mermaid(folder: Path) -> None:
    recipe(folder, "app", files_of("registry.example/team/tool:1"))
    found = graph(folder)
    assert graph_dot(found).splitlines() == [
        "digraph recipes {", "  rankdir=LR;", '  "app" [label="app"];',
        '  "registry.example/team/tool:1" [label="registry.example/team/tool:1", shape=box];',
        '  "registry.example/team/tool:1" -> "app" [label=files];', "}",
    ]  # fmt: skip
    assert graph_mermaid(found).splitlines() == [
        "graph LR", '  n0("app")', '  n1["registry.example/team/tool:1"]', "  n1 -->|files| n0",
    ]  # fmt: skip
