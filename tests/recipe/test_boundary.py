"""What a recipe names lies below its folder: a stranger's recipe reads nothing of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from homeport.assemble.local_files import local_nodes
from homeport.budget import LimitExceeded
from homeport.cli.main import run
from homeport.content.blob import BytesBlob
from homeport.errors import Faults, HomeportError
from homeport.progress import CancelToken
from homeport.recipe.boundary import Boundary, OutsideRecipe
from homeport.recipe.catalog import shipped_catalog
from homeport.recipe.checking import check_recipe
from homeport.recipe.entries import LocalFiles
from homeport.recipe.loading import find_and_load, load_recipe

SECRET = "MARKER-SECRET"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recipe's folder with links of every kind; the secret lies beside it."""
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/key").write_text(SECRET)
    folder = tmp_path / "repository"
    (folder / "tree").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "chain").symlink_to("link")
    (folder / "up").symlink_to("../secret")
    (folder / "linked").symlink_to("../secrets")
    (folder / "tree/inner").symlink_to(tmp_path / "secret")
    (folder / "inside").symlink_to("tree/file")
    (folder / "tree/file").write_text("good")
    return folder


def recipe(folder: Path, text: str, allow_outside: tuple[Path, ...] = ()) -> tuple[LocalFiles, ...]:
    path = folder / "homeport.yaml"
    path.write_text(f"homeport: 1\nname: t\nplatforms: [linux/amd64]\n{text}")
    found = load_recipe(path, shipped_catalog(), allow_outside)
    return tuple(files for files in found.files if isinstance(files, LocalFiles))


def contents(files: tuple[LocalFiles, ...]) -> list[bytes]:
    nodes = [node for each in files for _, node in local_nodes(each, 0, CancelToken())]
    return [node.content.data for node in nodes if isinstance(node.content, BytesBlob)]


@pytest.mark.parametrize(
    "source",
    ["../secret", "tree/../../secret", "link", "chain", "up", "linked", "linked/key", "..",
     "/proc/self/environ", "/dev/zero", "/etc"],
)  # fmt: skip
def test_a_recipe_names_no_file_outside_its_folder(folder: Path, source: str) -> None:
    files = recipe(folder, f"files: [{{from: {source}, to: /stolen/}}]")

    with pytest.raises(OutsideRecipe, match="is outside the recipe's folder") as caught:
        contents(files)
    assert caught.value.where["line"] == 4
    with pytest.raises(Faults) as faults:
        check_recipe(str(folder))
    assert [fault.id for fault in faults.value.faults] == ["outside-recipe"]


def test_an_absolute_path_outside_is_refused_and_one_inside_is_not(folder: Path) -> None:
    outside = recipe(folder, f"files: [{{from: {folder.parent}/secret, to: /x}}]")
    with pytest.raises(OutsideRecipe):
        contents(outside)
    inside = recipe(folder, f"files: [{{from: {folder}/tree/file, to: /x}}]")
    assert contents(inside) == [b"good"]


def test_links_that_stay_inside_are_followed_and_those_in_a_tree_are_copied_as_links(
    folder: Path,
) -> None:
    assert contents(recipe(folder, "files: [{from: inside, to: /x}]")) == [b"good"]
    (tree,) = recipe(folder, "files: [{from: tree, to: /x}]")
    nodes = dict(local_nodes(tree, 0, CancelToken()))
    assert nodes[b"x/inner"].type == "symlink"
    assert contents((tree,)) == [b"good"]


def test_a_directory_that_the_user_allows_may_be_named(folder: Path) -> None:
    text = "files: [{from: ../secrets/key, to: /x}, {from: linked, to: /y}]"
    allowed = (folder.parent / "secrets",)
    assert contents(recipe(folder, text, allowed)) == [SECRET.encode()] * 2
    with pytest.raises(OutsideRecipe):
        contents(recipe(folder, "files: [{from: ../secret, to: /x}]", allowed))


@pytest.mark.parametrize("extends", ["../secret.yaml", "./link.yaml", "/proc/self/environ"])
def test_a_recipe_outside_is_neither_extended_nor_quoted(folder: Path, extends: str) -> None:
    (folder.parent / "secret.yaml").write_text(SECRET)
    (folder / "link.yaml").symlink_to("../secret.yaml")

    with pytest.raises(Faults) as caught:
        recipe(folder, f"extends: {extends}")
    text = "\n".join(f"{fault.what} {fault.hint}" for fault in caught.value.faults)
    assert "is outside the recipe's folder" in text
    assert SECRET not in text


def test_slices_outside_are_not_read(folder: Path) -> None:
    (folder.parent / "slices").mkdir()
    (folder.parent / "slices/pp.yaml").write_text(SECRET)
    (folder / "slices").symlink_to("../slices")
    (folder / "homeport.yaml").write_text(
        "homeport: 1\nname: t\nplatforms: [linux/amd64]\npackages: [pp_bins]\n"
    )
    with pytest.raises(Faults) as caught:
        check_recipe(str(folder))
    text = "\n".join(fault.what for fault in caught.value.faults)
    assert "slices/pp.yaml is outside the recipe's folder" in text
    assert SECRET not in text


def test_a_dockerfile_and_its_context_stay_inside(folder: Path) -> None:
    (folder / "Dockerfile").symlink_to("../secret")
    parts = "parts: [{name: a, from: {dockerfile: Dockerfile, context: ..}}]\n"
    (folder / "homeport.yaml").write_text(
        "homeport: 1\nname: t\nplatforms: [linux/amd64]\n"
        f"{parts}files: [{{part: a, path: /x, to: /x}}]\n"
    )
    with pytest.raises(Faults) as caught:
        check_recipe(str(folder))
    found = [fault.what for fault in caught.value.faults]
    assert [what.rpartition(" is outside")[0] for what in found] == [
        f"{folder}/..",
        f"{folder}/Dockerfile",
    ]


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(HomeportError, match="not a regular file"):
        contents(recipe(folder, "files: [{from: pipe, to: /x}]"))
    with pytest.raises(Faults, match="1 fault"):
        recipe(folder, "extends: ./pipe")


def test_a_directory_that_becomes_a_link_after_it_was_resolved_is_not_followed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    realpath = os.path.realpath

    def swap(path: object, **options: bool) -> str:
        found = realpath(path, **options)  # type: ignore[call-overload]
        if str(path).endswith("tree/file"):
            (folder / "tree").rename(folder / "old")
            (folder / "tree").symlink_to(folder.parent / "secrets")
        return str(found)

    (folder.parent / "secrets/file").write_text(SECRET)
    monkeypatch.setattr(os.path, "realpath", swap)
    with pytest.raises(OSError, match="Not a directory"):
        Boundary((folder,)).read(folder / "tree/file", 100)


@pytest.mark.parametrize("patterns", [400, 4_000])
def test_what_excluding_costs_is_bounded_whatever_the_number_of_patterns_and_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch, patterns: int
) -> None:
    """400 patterns may be tried on ten times as many files as 4,000."""
    text = ", ".join(f'"!x{number}"' for number in range(patterns))
    files = recipe(folder, f"files: [{{from: tree, to: /x, exclude: [{text}]}}]")
    monkeypatch.setenv("HOMEPORT_LIMIT_STEPS", "2002")
    allowed = 2002 // (1 + patterns // 4)
    for number in range(allowed - 2):  # the tree has two entries
        (folder / f"tree/{number}").touch()
    assert contents(files) == [b"good"]

    (folder / "tree/more").touch()
    with pytest.raises(LimitExceeded, match=r"tree: more than 2,002 steps of work"):
        contents(files)


@pytest.mark.parametrize("command", ["recipe check", "lock", "build", "outdated", "graph", "test"])
@pytest.mark.parametrize("below", [False, True], ids=["the folder", "a tree"])
def test_a_folder_whose_recipe_is_a_link_quotes_no_file_of_the_user(
    command: str, below: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "secret").write_text(SECRET)
    place = tmp_path / "tree/sub" if below else tmp_path / "tree"
    place.mkdir(parents=True)
    (place / "homeport.yaml").symlink_to(tmp_path / "secret")
    (place / "homeport.lock").write_text("{}")
    assert run([*command.split(), str(tmp_path / "tree"), "--offline"]) in (0, 1, 2)
    shown = capsys.readouterr()
    assert SECRET not in shown.out + shown.err


def test_a_catalog_whose_recipe_is_a_link_quotes_no_file_of_the_user(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "catalog/a").mkdir(parents=True)
    (tmp_path / "catalog/a/homeport.yaml").symlink_to(tmp_path / "secret")
    for command in (["catalog", "list"], ["catalog", "show", "a"], ["recipe", "check", "a"]):
        assert run([*command, "--catalog", str(tmp_path / "catalog")]) in (1, 2)
        shown = capsys.readouterr()
        assert SECRET not in shown.out + shown.err


def test_a_file_that_the_user_names_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/homeport.yaml").write_text(
        "homeport: 1\nname: t\nplatforms: [linux/amd64]\npackages: [lib]\n"
    )
    (tmp_path / "mine.yaml").symlink_to("real/homeport.yaml")
    assert find_and_load(str(tmp_path / "mine.yaml"), catalog=shipped_catalog()).name == "t"


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text(
        "homeport: 1\nname: t\nplatforms: [linux/amd64]\npackages: [lib]\n"
    )
    (tmp_path / "homeport.yaml").symlink_to("real.yaml")
    assert find_and_load(str(tmp_path), catalog=shipped_catalog()).name == "t"
