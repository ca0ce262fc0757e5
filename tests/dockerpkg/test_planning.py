"""Order, selection, loops, platforms, and what counts as published."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dockerpkg.trees import add_image, plan_of, remote, tree_at
from homeport.dockerpkg.building import BuildOptionsOfTree
from homeport.dockerpkg.dependencies import DependencyLoop
from homeport.dockerpkg.lockfile import BadLockfile, LockedImage, TreeLock, read_lock, write_lock
from homeport.dockerpkg.planning import LacksPlatform, PlanOptions, TreePlan
from homeport.dockerpkg.project import Project
from homeport.dockerpkg.tree import Tree
from homeport.errors import AnswerNo, Faults, UsageError
from homeport.oci.platform import parse_platforms
from homeport.progress import CancelToken, Silent


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "images"


def order(plan: TreePlan) -> list[str]:
    return [name for name, image in plan.images.items() if image.selected]


def four(root: Path) -> Tree:
    add_image(root, "a")
    add_image(root, "b", control="Depends: a\n")
    add_image(root, "c", control="Depends: b\n")
    add_image(root, "d", control="Depends: a, c\n")
    return tree_at(root, registry="r.example")


def test_parents_come_first_and_a_selection_brings_what_it_needs(root: Path) -> None:
    tree = four(root)
    assert order(plan_of(tree)) == ["a", "b", "c", "d"]
    assert order(plan_of(tree, options=PlanOptions(select="*/c:*"))) == ["a", "b", "c"]
    with pytest.raises(UsageError, match="matches no image"):
        plan_of(tree, options=PlanOptions(select="c"))


def test_a_loop_is_named(root: Path) -> None:
    add_image(root, "a", control="Depends: b\n")
    add_image(root, "b", control="Depends: a\n")
    with pytest.raises(DependencyLoop, match="a → b → a"):
        plan_of(tree_at(root))


def test_a_long_chain_is_no_fault(root: Path) -> None:
    add_image(root, "i0000")
    for number in range(1, 1500):
        add_image(root, f"i{number:04}", control=f"Depends: i{number - 1:04}\n")
    assert len(order(plan_of(tree_at(root), options=PlanOptions(pull=False)))) == 1500


def test_images_that_templates_name_are_parents_too_with_a_warning(root: Path) -> None:
    add_image(root, "z")
    add_image(root, "a", 'FROM scratch\nCOPY --from={{ "z" | image_tag }} /x /x\n')
    add_image(root, "b", "FROM {{ registry }}/a:latest\n")
    plan = plan_of(tree_at(root, registry="r.example"))
    assert order(plan) == ["z", "a", "b"]
    assert [line.partition(": ")[2] for line in plan.warnings] == [
        "names z, which control does not", "names a, which control does not",
    ]  # fmt: skip


def test_a_name_of_another_tree_is_no_parent(root: Path) -> None:
    add_image(root, "a", control="Depends: elsewhere\n")
    plan = plan_of(tree_at(root))
    assert plan.images["a"].parents == ()
    assert plan.graph.elsewhere["a"] == ("elsewhere",)


def test_an_image_is_published_if_its_tag_has_the_label_of_these_inputs(root: Path) -> None:
    tree = four(root)
    inputs = {name: image.inputs for name, image in plan_of(tree).images.items()}
    remotes = {
        "r.example/a:1": remote("a", inputs=inputs["a"]),
        "r.example/b:1": remote("b", inputs="sha256:other"),
        "r.example/c:1": remote("c"),
    }
    states = {name: image.state for name, image in plan_of(tree, remotes).images.items()}
    assert states == {"a": "published", "b": "changed", "c": "published", "d": "to_build"}


def test_the_lockfile_knows_the_inputs_of_images_without_a_label(root: Path) -> None:
    tree = four(root)
    locked = LockedImage(
        reference="r.example/c:1", digest=remote("c").digest, inputs="sha256:older"
    )
    plan = plan_of(tree, {"r.example/c:1": remote("c")}, TreeLock(images={"c": locked}))
    assert plan.images["c"].state == "changed"


@pytest.mark.parametrize("file", ["changed", "new", "parent", "platforms", "base"])
def test_whatever_decides_the_image_is_in_its_inputs(root: Path, file: str) -> None:
    add_image(root, "p")
    folder = add_image(
        root, "a", 'FROM {{ "p" | image_tag }}\nCOPY --from=x.example/y:1 / /\n',
        control="Depends: p\n", files={"changed": "1", ".dockerignore": "ignored\n"},
    )  # fmt: skip
    tree = tree_at(root)
    base = {"x.example/y:1": remote("1")}
    before = plan_of(tree, base).images["a"].inputs
    (folder / "ignored").write_text("not sent")
    assert plan_of(tree, base).images["a"].inputs == before
    options = PlanOptions()
    if file in ("changed", "new"):
        (folder / file).write_text("2")
    elif file == "parent":
        (root / "p" / "more").write_text("2")
    elif file == "platforms":
        options = PlanOptions(platforms=tuple(parse_platforms(["linux/amd64"]) or ()))
    else:
        base = {"x.example/y:1": remote("2")}
    assert plan_of(tree, base, options=options).images["a"].inputs != before


def test_platforms_of_control_limit_those_of_the_tree(root: Path) -> None:
    add_image(root, "a", control="Platforms: linux/amd64\n")
    add_image(root, "b")
    plan = plan_of(tree_at(root, platforms=["linux/amd64", "linux/arm64"]))
    found = {name: [str(p) for p in each.platforms] for name, each in plan.images.items()}
    assert found == {"a": ["linux/amd64"], "b": ["linux/amd64", "linux/arm64"]}


def test_a_parent_that_lacks_a_platform_is_named(root: Path) -> None:
    add_image(root, "a", control="Platforms: linux/amd64\n")
    add_image(root, "b", control="Depends: a\n")
    with pytest.raises(LacksPlatform, match=r"b is built for linux/arm64, its parent a is not"):
        plan_of(tree_at(root, platforms=["linux/amd64", "linux/arm64"]))


def test_a_base_that_lacks_a_platform_is_named(root: Path) -> None:
    add_image(root, "a", "FROM x.example/base:1\n")
    tree = tree_at(root, platforms=["linux/amd64", "linux/arm64"])
    remotes = {"x.example/base:1": remote("1", "linux/amd64")}
    with pytest.raises(LacksPlatform, match=r"linux/arm64, which its base x.example/base:1 lacks"):
        plan_of(tree, remotes)


def test_a_base_for_the_builders_platform_needs_no_other(root: Path) -> None:
    add_image(
        root, "a",
        "FROM --platform=$BUILDPLATFORM x.example/base:1 AS b\nFROM scratch\nCOPY --from=b /x /\n",
    )  # fmt: skip
    tree = tree_at(root, platforms=["linux/amd64", "linux/arm64"])
    plan = plan_of(tree, {"x.example/base:1": remote("1", "linux/amd64")})
    assert plan.bases == {"x.example/base:1": remote("1").digest}


def test_without_asking_registries_bases_are_those_of_the_lockfile(root: Path) -> None:
    add_image(root, "a", "FROM x.example/base:1\n")
    lock = TreeLock(bases={"x.example/base:1": remote("7").digest})
    image = plan_of(tree_at(root), lock=lock, options=PlanOptions(pull=False)).images["a"]
    assert (image.bases, image.state) == ({"x.example/base:1": remote("7").digest}, "unknown")


def test_all_bad_templates_are_told_at_once(root: Path) -> None:
    add_image(root, "a", "{{ x }}")
    add_image(root, "b", "FROM x\nCOPY <<EOF /x\n")
    with pytest.raises(Faults) as raised:
        plan_of(tree_at(root))
    assert len(raised.value.faults) == 2


def test_the_lockfile_comes_back_as_written_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "docker-pkg.lock.json"
    lock = TreeLock(bases={"b": remote("b").digest, "a": remote("a").digest})
    write_lock(path, lock)
    assert read_lock(path) == lock
    path.write_text('{"schema": "homeport-docker-pkg-lock/v1", "bases": {"a": "latest"}}')
    with pytest.raises(BadLockfile, match="invalid digest"):
        read_lock(path)


def test_no_clobber_builds_nothing_if_a_tag_was_made_from_other_inputs(root: Path) -> None:
    tree = four(root)
    project = Project(
        root, tree.configuration, root.parent / "config.yaml",
        lookup={"r.example/b:1": remote("b", inputs="sha256:other")}.get,
        access=cast("Any", SimpleNamespace(progress=Silent())), cancel=CancelToken(),
    )  # fmt: skip
    with pytest.raises(AnswerNo, match=r"made from other inputs before: r\.example/b:1"):
        project.build(PlanOptions(), BuildOptionsOfTree(publish=True, no_clobber=True))
