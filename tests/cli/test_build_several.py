"""``homeport build`` of several recipes: where each goes, and what one that fails changes."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.deb import deb
from builders.locking import World
from builders.recipe import recipe_file
from builders.small_registry import SmallRegistry, small_registry
from homeport.cli.main import run

RECIPE = """
name: {name}
archives: [{{name: test, suites: [trixie], mirrors: ["{url}"], keys: [key.asc]}}]
steps: {{os_release: false}}
packages: [app]
files: [{{from: text, to: /etc/text}}]
"""
NAMES = ("one", "three", "two")


class Fleet:
    """Recipes in folders of their own below the working directory, each with its lockfile."""

    def __init__(self, root: Path) -> None:
        self.world = World(root, [deb("app", files={"usr/bin/app": b"x"})], valid_for=None)
        self.work = root / "work"

    def add(self, name: str, recipe: str = "") -> Path:
        folder = self.work / name
        text = RECIPE.format(name=recipe or name, url=self.world.archive.url)
        recipe_file(folder, text)
        (folder / "text").write_text(name)
        (folder / "key.asc").write_bytes(self.world.archive.certificate)
        return folder

    def ask(self, *arguments: str, code: int = 0, format: str = "json") -> tuple[str, str]:
        out, told = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
            ended = run([*arguments, "--format", format])
        assert ended == code, f"{told.getvalue()}{out.getvalue()}"
        return out.getvalue(), told.getvalue()

    def build(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        return dict(json.loads(self.ask("build", *arguments, code=code)[0]))


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG", "CI_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    made = Fleet(tmp_path)
    for name in NAMES:
        made.add(name)
    monkeypatch.chdir(made.work)
    for name in NAMES:
        made.ask("lock", f"./{name}")
    return made


@pytest.fixture
def registry() -> Iterator[SmallRegistry]:
    with small_registry() as found:
        yield found


def digests(document: dict[str, Any]) -> dict[str, str]:
    """Recipe → digest; every one was built."""
    assert document["schema"] == "homeport-builds/v1"
    assert {image["outcome"] for image in document["images"]} == {"built"}
    return {image["recipe"]: image["build"]["digest"] for image in document["images"]}


def test_each_goes_to_a_layout_of_its_name_with_the_digest_that_it_has_alone(fleet: Fleet) -> None:
    alone = {name: fleet.build(f"./{name}", "-o", "oci:alone")["digest"] for name in NAMES}
    assert digests(fleet.build("./one", "./two", "./three")) == alone
    for name in NAMES:
        index = json.loads(Path(f"{name}.oci/index.json").read_text())
        assert [entry["digest"] for entry in index["manifests"]] == [alone[name]]


@pytest.mark.parametrize("folders", [["."], ["./one", "./two", "three/"], ["./one", "."]])
def test_a_folder_stands_for_all_recipes_below_it_and_each_is_built_once(
    fleet: Fleet, folders: list[str]
) -> None:
    assert sorted(digests(fleet.build(*folders))) == sorted(NAMES)


def test_a_document_of_one_recipe_stays_as_it_is(fleet: Fleet) -> None:
    document = fleet.build("./one", "-o", "oci:out/{name}:1")
    assert document["schema"] == "homeport-build/v1"
    assert document["outputs"][0]["address"] == "oci:out/one:1"


def test_the_recipes_name_replaces_name_in_every_output(
    fleet: Fleet, registry: SmallRegistry
) -> None:
    document = fleet.build(
        ".", "-o", "oci:all:{name}", "-o", "oci-archive:{name}.tar", "--push",
        f"{registry.host}/team/{{name}}:1",
    )  # fmt: skip
    found = digests(document)
    index = json.loads(Path("all/index.json").read_text())
    tags = {
        entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"]
        for entry in index["manifests"]
    }
    assert tags == found
    assert sorted(path.name for path in Path().glob("*.tar")) == ["one.tar", "three.tar", "two.tar"]
    tagged = {repository: tag for repository, tag in registry.tags if tag == "1"}
    assert sorted(tagged) == ["team/one", "team/three", "team/two"]


@pytest.mark.parametrize(
    ("output", "instead"),
    [
        ("oci:out", "oci:out/{name}"),
        ("oci:out:1", "oci:out/{name}:1"),
        ("oci-archive:out/x.tar", "oci-archive:out/{name}.tar"),
        ("docker-archive:x.tar", "docker-archive:{name}.tar"),
        ("docker://r.example/team:1", "docker://r.example/team/{name}:1"),
        ("r.example/team", "docker://r.example/team/{name}"),
        ("-", "oci:{name}.oci"),
        ("oci-archive:-", "oci-archive:{name}.tar"),
    ],
)
def test_an_output_that_all_would_share_is_refused_before_anything_is_built(
    fleet: Fleet, output: str, instead: str
) -> None:
    error = fleet.build("./one", "./two", "-o", output, code=2)["error"]
    assert error["what"] == f"{output}: 2 recipes would be written to one place"
    assert error["hint"] == f"write {instead}"
    assert not list(Path().glob("*.oci"))


def test_two_recipes_of_one_name_are_refused_before_anything_is_built(fleet: Fleet) -> None:
    fleet.add("four", recipe="one")
    error = fleet.build(".", code=2)["error"]
    assert "are both named one" in error["what"]
    assert not list(Path().glob("*.oci"))


def test_one_lockfile_cannot_be_that_of_several(fleet: Fleet) -> None:
    error = fleet.build("./one", "./two", "--lockfile", "x.lock", code=2)["error"]
    assert error["what"] == "--lockfile is for one recipe"


@pytest.mark.parametrize(
    ("break_it", "options", "code"),
    [
        (lambda folder: (folder / "text").unlink(), [], 1),
        (lambda folder: (folder / "two.lock").unlink(), ["--locked"], 4),
        (lambda folder: (folder / "homeport.yaml").write_text("homeport: 1\npakages: []\n"), [], 1),
    ],
)
def test_one_that_fails_does_not_stop_the_others(
    fleet: Fleet, break_it: Any, options: list[str], code: int
) -> None:
    break_it(fleet.work / "two")
    images = fleet.build(".", *options, code=code)["images"]
    outcomes = {image["recipe"].partition("/")[0]: image["outcome"] for image in images}
    assert outcomes == {"one": "built", "three": "built", "two": "failed"}
    (failed,) = (image for image in images if image["outcome"] == "failed")
    assert failed["build"] is None
    assert failed["error"]["what"]
    assert sorted(path.name for path in Path().glob("*.oci")) == ["one.oci", "three.oci"]


def test_the_text_has_a_row_a_recipe_then_where_they_are_then_what_failed(fleet: Fleet) -> None:
    (fleet.work / "two/text").unlink()
    out, told = fleet.ask("build", ".", "--no-progress", code=1, format="text")
    lines = out.splitlines()
    assert lines[0].split() == ["RECIPE", "DIGEST", "PLATFORMS", "COMPRESSED", "TIME"]
    assert [line.split()[0] for line in lines[1:3]] == ["one", "three"]
    assert lines[3] == ""
    assert [line.split()[0] for line in lines[4:6]] == [
        "oci:one.oci:latest",
        "oci:three.oci:latest",
    ]
    assert lines[6].startswith("two: failed: ")
    assert "error: could not build two" in told
    again, _ = fleet.ask("build", "./one", "./three", format="text")
    assert [line.split()[-1] for line in again.splitlines()[1:3]] == ["cached", "cached"]


def test_quiet_prints_a_name_and_a_digest_a_line(fleet: Fleet) -> None:
    found = digests(fleet.build("."))
    out, told = fleet.ask("build", ".", "-q", format="text")
    assert dict(line.split() for line in out.splitlines()) == found
    assert told == ""


def test_if_a_registry_is_gone_the_rest_is_not_tried_there(fleet: Fleet) -> None:
    images = fleet.build(".", "--push", "127.0.0.1:9/team/{name}", code=1)["images"]
    errors = [image["error"]["what"] for image in images]
    assert errors[0].startswith("cannot connect to 127.0.0.1 port 9")
    assert errors[1:] == [f"skipped, because {errors[0]}"] * 2


def test_in_a_folder_without_a_recipe_of_its_own_nothing_is_built_unasked(fleet: Fleet) -> None:
    error = fleet.build(code=2)["error"]
    assert "missing file homeport.yaml" in error["what"]
    assert not list(Path().glob("*.oci"))
