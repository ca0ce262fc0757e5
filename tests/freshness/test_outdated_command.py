"""``homeport outdated`` as it is typed: copies of images, commits of parts, other Homeports."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builders.deb import deb
from builders.http_server import Server, serving
from builders.locking import World
from builders.recipe import recipe_file
from builders.small_registry import small_registry
from homeport import __version__
from homeport.cli.main import run

RECIPE = """
archives: [{{name: test, suites: [trixie], mirrors: ["{url}"], keys: [key.asc]}}]
steps: {{os_release: false}}
packages: [app]
files: [{{text: "{text}", to: /etc/text}}]
"""


@dataclass
class Shell:
    """A folder with a recipe, and a registry."""

    world: World
    host: str

    def write(self, text: str) -> None:
        recipe_file(self.world.home, RECIPE.format(url=self.world.archive.url, text=text))

    def run(self, *arguments: str) -> tuple[int, str]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            code = run(list(arguments))
        return code, out.getvalue()

    def ask(self, *arguments: str) -> Any:
        """The first JSON document that the command prints: its answer, before an error's."""
        _, text = self.run(*arguments, "--format", "json")
        return json.JSONDecoder().raw_decode(text)[0]

    def build(self, text: str) -> None:
        self.write(text)
        done = self.run("build", ".", "--push", f"{self.host}/up/tool:1")
        assert done[0] == 0, done[1]

    def inputs(self, *subject: str) -> list[tuple[str, str, str]]:
        (one,) = self.ask("outdated", *subject, "--no-changelogs")["subjects"]
        return [(i["level"], i["what"], i["text"]) for i in one["inputs"]]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    world = World(tmp_path, [deb("app", files={"usr/bin/app": b"x"})], valid_for=None)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(world.home)
    with small_registry() as registry:
        yield Shell(world, registry.host)


def test_an_imported_copy_tells_that_its_upstream_moved_and_is_gone(shell: Shell) -> None:
    upstream, home = f"{shell.host}/up/tool:1", f"{shell.host}/home/tool:1"
    shell.build("one")
    assert shell.run("import", upstream, home)[0] == 0
    assert shell.inputs(home, "--like", ".") == []
    shell.build("two")
    ((level, what, text),) = shell.inputs(home, "--like", ".")
    assert (level, what) == ("error", upstream)
    assert text.startswith("moved: the copy is of sha256:")
    assert shell.inputs(home, "--like", ".", "--no-inputs") == []
    assert shell.run("delete", upstream)[0] == 0
    assert shell.inputs(home, "--like", ".") == [
        ("warning", upstream, "is gone from its registry: the copy is the only one")
    ]


def test_an_image_of_a_stranger_leads_to_no_address_inside_the_network(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its annotation names a service of another private address, which is not asked."""
    shell.build("one")
    home = f"{shell.host}/home/tool:1"
    with serving(address="127.0.0.2") as inside:
        name = f"127.0.0.2:{inside.port}/up/tool:1"
        recipe = shell.world.home / "homeport.yaml"
        base = "org.opencontainers.image.base"
        notes = f"{{{base}.name: '{name}', {base}.digest: 'sha256:{'1' * 64}'}}"
        recipe.write_text(f"{recipe.read_text()}config: {{annotations: {notes}}}\n")
        assert shell.run("build", ".", "--push", home)[0] == 0
        (one,) = shell.ask("outdated", home, "--like", ".", "--no-changelogs")["subjects"]
        ((what, why),) = [(each["what"], each["why"]) for each in one["unknown"]]
        assert (what, inside.requests) == (name, [])
        assert "127.0.0.2" in why
        monkeypatch.setenv("HOMEPORT_TRUSTED_HOSTS", "127.0.0.2")
        shell.ask("outdated", home, "--like", ".", "--no-changelogs")
        assert inside.requests != []


def test_a_copy_that_a_recipe_takes_files_of_is_asked_about_too(shell: Shell) -> None:
    shell.build("one")
    home = f"{shell.host}/home/tool:1"
    shell.run("import", f"{shell.host}/up/tool:1", home)
    digest = shell.ask("digest", home)["digest"]
    recipe_file(
        shell.world.home,
        RECIPE.format(url=shell.world.archive.url, text="x").replace(
            "files: [", f"files: [{{image: '{home}@{digest}', path: /etc/text, to: /etc/a}}, "
        ),
    )
    assert shell.run("lock", ".")[0] == 0
    assert shell.inputs(".") == []
    shell.run("build", ".", "--push", f"{shell.host}/up/tool:1")
    ((level, what, _),) = shell.inputs(".")
    assert (level, what) == ("error", f"{shell.host}/up/tool:1")


def test_a_lockfile_of_another_homeport_is_a_note(shell: Shell) -> None:
    shell.write("one")
    shell.run("lock", ".")
    path = shell.world.home / "test.lock"
    path.write_text(path.read_text().replace(f'"homeport": "{__version__}"', '"homeport": "0.0.9"'))
    assert shell.inputs(".") == [
        ("note", "homeport", f"0.0.9 locked this, {__version__} checks it")
    ]
    assert shell.run("outdated", ".", "--no-changelogs")[0] == 0


@contextlib.contextmanager
def index(*names: str, **more: Any) -> Iterator[Server]:
    """A package index as PEP 691 has it."""
    with serving() as server:
        files = [{"filename": name, "url": f"../{name}", "hashes": {}} for name in names]
        document = {"meta": {"api-version": "1.1"}, "name": "homeport", "files": files, **more}
        body = json.dumps(document).encode()
        server.answers["/simple/homeport/"] = lambda _request: (200, {}, body)
        yield server


def test_a_newer_homeport_is_told_by_the_index_that_is_named_and_by_no_other(
    shell: Shell,
) -> None:
    shell.write("one")
    shell.run("lock", ".")
    names = (
        "homeport-99.1.0-py3-none-any.whl", "homeport-0.0.1.tar.gz", "homeport-99.2.0rc1.tar.gz",
        "homeport_extra-100.0-py3-none-any.whl",
    )  # fmt: skip
    with index(*names) as server:
        code, text = shell.run("outdated", ".", "--index", server.url("/simple/"))
        assert (code, f"note: Homeport 99.1.0 is newer than this one, {__version__}" in text) == (
            0, True,
        )  # fmt: skip
        (request,) = server.requests
        assert request.headers["accept"] == "application/vnd.pypi.simple.v1+json"
        seen = shell.ask("outdated", ".")["homeport"]
        assert seen == {"version": __version__, "newest": "", "why": ""}
        assert len(server.requests) == 1


def test_an_index_that_cannot_be_read_is_not_known(shell: Shell) -> None:
    shell.write("one")
    shell.run("lock", ".")
    with serving() as server:
        server.file("/simple/homeport/", b"<html>")
        code, text = shell.run("outdated", ".", "--index", server.url("/simple"))
        assert code == 1
        assert "did not return the JSON of PEP 691" in text


@pytest.mark.parametrize("name", ["./absent/homeport.yaml", "absent.yaml", "./absent", "x.lock"])
def test_a_file_that_is_not_there_is_a_usage_error_and_no_image(shell: Shell, name: str) -> None:
    out = io.StringIO()
    with contextlib.redirect_stderr(out):
        assert run(["outdated", name]) == 2
    assert out.getvalue() == f"error: {name}: no such file or directory\n"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("dockerfile-cpoy", "did you mean dockerfile-copy?"),
        ("zzzz", "homeport catalog list has the recipes; an image is written REGISTRY/zzzz"),
    ],
)
def test_a_bare_name_that_is_no_recipe_is_a_usage_error_and_asks_no_registry(
    shell: Shell, name: str, hint: str
) -> None:
    out = io.StringIO()
    with contextlib.redirect_stderr(out):
        assert run(["outdated", name]) == 2
    assert f"{name}: neither a recipe of the catalog, nor a file or folder here" in out.getvalue()
    assert hint in out.getvalue()
    assert f"docker.io/library/{name}" in out.getvalue()


def test_an_image_that_cannot_be_read_is_told_without_counting_its_packages(shell: Shell) -> None:
    code, text = shell.run("outdated", f"{shell.host}/absent:1")
    assert (code, text.split("\n")[0]) == (1, f"{shell.host}/absent:1: could not be checked")
