"""Tests of recipes and of other files, on images that are built for them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from builders.building import BuildWorld
from builders.deb import deb, file, link
from builders.freshness import FreshWorld
from builders.programs import program
from builders.runtime import runtime
from homeport.content.thread_pools import Pools
from homeport.errors import HomeportError, UsageError
from homeport.imagetests.results import CheckedImage, results_junit, results_text
from homeport.imagetests.run import ImageTestRequest, run_tests
from homeport.imagetests.running import _namespaces, _places
from homeport.imagetests.structure_tests import BadTests
from homeport.oci.platform import native_platform
from homeport.progress import CancelToken

NATIVE = native_platform().architecture
OTHER = "arm64" if NATIVE == "amd64" else "amd64"
HEAD = "packages: [tool]\nconfig: {entrypoint: [/usr/bin/tool], user: '7'}\n"


class ToolWorld(BuildWorld):
    """A package with a program that prints ``hello`` and one that fails, for two platforms."""

    def __init__(self, root: Path) -> None:
        super().__init__(
            root,
            [
                deb("tool", "1-1", architecture, files={
                    "usr/bin/tool": file(program(architecture, "hello\n"), mode=0o755),
                    "usr/bin/fails": file(program(architecture, "broken\n", 3), mode=0o755),
                    "etc/tool.conf": file("level = 3\n", uid=5, gid=6),
                    "etc/link": link("tool.conf"),
                })
                for architecture in ("amd64", "arm64")
            ],
        )  # fmt: skip

    def test(self, tests: str, head: str = HEAD, **options: Any) -> CheckedImage:
        self.write_recipe(f"platforms: [linux/{NATIVE}]\n{head}tests:\n{tests}")
        return self.run(str(self.home / "homeport.yaml"), **options)

    def run(self, subject: str, **options: Any) -> CheckedImage:
        with Pools(CancelToken(), processor=2) as pools, self.connections(pools) as connections:
            ready = runtime(self.store, pools=pools, progress=self.notes)
            return run_tests(
                ImageTestRequest(subject=subject, **options),
                ready,
                connections,
                connections.open_image,
            )


@pytest.fixture
def world(tmp_path: Path) -> ToolWorld:
    return ToolWorld(tmp_path)


@pytest.mark.parametrize(
    ("test", "why"),
    [
        ("file: /etc/tool.conf", ""),
        ("file: /etc/none", "/etc/none is not there"),
        ("file: /usr/bin/tool, mode: '0755', owner: '0:0'", ""),
        ("file: /usr/bin/tool, mode: '0700'", "/usr/bin/tool has mode 0755"),
        ("file: /etc/tool.conf, owner: '0:0'", "/etc/tool.conf belongs to 5:6"),
        ("file: /etc/tool.conf, contains: [level = 3]", ""),
        ("file: /etc/link, contains: [level = 3]", ""),
        ("file: /etc/tool.conf, contains: [level = 4]",
         "/etc/tool.conf does not have 'level = 4'"),
        ("file: /etc/link, target: tool.conf", ""),
        ("file: /etc/link, target: other", "/etc/link is a link to tool.conf"),
        ("absent: /etc/none", ""),
        ("absent: /etc/link", "/etc/link is there"),
        ("package: tool, version: 1-1", ""),
        ("package: tool, version: 1-2", "tool is 1-1"),
        ("package: none", "no package database has none"),
        ("elf: /usr/bin/tool", ""),
        ("elf: /etc/tool.conf", "/etc/tool.conf is not an ELF file"),
        ("""config: {User: '7', Entrypoint: '["/usr/bin/tool"]'}""", ""),
        ("config: {User: '8'}", 'User is "7"'),
    ],
)  # fmt: skip
def test_files_packages_and_config_are_looked_at(world: ToolWorld, test: str, why: str) -> None:
    (result,) = world.test(f"  - {{name: one, {test}}}").results
    assert (result.state, result.why) == ("failed" if why else "passed", why)


def test_a_program_for_another_machine_is_found(world: ToolWorld) -> None:
    head = HEAD + "files: [{from: ./foreign, to: /usr/bin/foreign}]\n"
    (world.home / "foreign").write_bytes(program(OTHER, "x"))
    (result,) = world.test("  - {name: one, elf: /usr/bin/foreign}", head).results
    assert result.why == f"/usr/bin/foreign is for {OTHER}, not for linux/{NATIVE}"


RUN = """\
  - {name: greets, run: [/usr/bin/tool], output: [hello]}
  - {name: by its name, run: [tool]}
  - {name: code, run: [/usr/bin/fails], exit: 3}
  - {name: wrong code, run: [/usr/bin/fails]}
  - {name: wrong text, run: [/usr/bin/tool], output: [goodbye]}
"""
RAN = [
    ("passed", ""), ("passed", ""), ("passed", ""), ("failed", "exit code 3: broken"),
    ("failed", "the output does not have 'goodbye'"),
]  # fmt: skip
NOT_RUN = [("not-run", "this machine allows no user namespaces")] * len(RAN)


def test_commands_run_in_namespaces_of_their_own(world: ToolWorld) -> None:
    found = [(result.state, result.why) for result in world.test(RUN).results]
    assert found == (RAN if _namespaces() else NOT_RUN)


def test_a_command_finds_a_containers_devices_and_the_image_keeps_what_it_has(
    tmp_path: Path,
) -> None:
    assert "null" in _places(tmp_path)
    assert (tmp_path / "dev/urandom").read_bytes() == b""
    assert (tmp_path / "proc").is_dir()
    other = tmp_path / "other"
    other.mkdir()
    (other / "dev").symlink_to(tmp_path / "elsewhere")
    assert _places(other) == ()
    assert not (tmp_path / "elsewhere").exists()
    third = tmp_path / "third"
    (third / "dev").mkdir(parents=True)
    (third / "dev/null").symlink_to("/etc/passwd")
    assert "null" not in _places(third)


def test_commands_of_another_platform_run_by_an_emulator_or_are_not_run(world: ToolWorld) -> None:
    name = {"arm64": "qemu-aarch64-static", "amd64": "qemu-x86_64-static"}[OTHER]
    world.write_recipe(f"platforms: [linux/{OTHER}]\n{HEAD}tests:\n{RUN}")
    results = world.run(str(world.home / "homeport.yaml")).results
    if shutil.which(name) is None:
        why = f"this machine does not run linux/{OTHER}, and has no {name}"
        assert [(r.state, r.why) for r in results] == [("not-run", why)] * len(RAN)
    else:
        assert [(r.state, r.why) for r in results] == (RAN if _namespaces() else NOT_RUN)


def test_what_may_not_run_is_not_run_and_never_passed(world: ToolWorld) -> None:
    tested = world.test(RUN, run=False)
    assert {result.state for result in tested.results} == {"not-run"}
    assert results_text(tested).splitlines()[-1].endswith("0 tests passed, 5 not run")
    suite = ElementTree.fromstring(results_junit(tested))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "0", "5")


def test_tests_for_one_platform_are_only_looked_at_there(world: ToolWorld) -> None:
    world.write_recipe(
        f"platforms: [linux/amd64, linux/arm64]\n{HEAD}tests:\n"
        "  - {name: one, absent: /etc/none, platforms: [linux/arm64]}\n"
        "  - {name: all, elf: /usr/bin/tool}\n"
    )
    results = world.run(str(world.home / "homeport.yaml")).results
    assert [(r.name, r.platform, r.state) for r in results] == [
        ("all", "linux/amd64", "passed"), ("one", "linux/arm64", "passed"),
        ("all", "linux/arm64", "passed"),
    ]  # fmt: skip


STRUCTURE = """\
schemaVersion: 2.0.0
fileExistenceTests:
  - {name: there, path: /etc/tool.conf, shouldExist: true, permissions: "-rw-r--r--", uid: 5,
     gid: 6}
  - {name: not there, path: /etc/none, shouldExist: false}
  - {name: wrong, path: /etc/link, shouldExist: false}
fileContentTests:
  - {name: content, path: /etc/tool.conf, expectedContents: ['level\\s=\\s\\d'],
     excludedContents: ['secret.*']}
metadataTest:
  entrypoint: [/usr/bin/tool]
  user: '7'
  exposedPorts: ['80']
commandTests:
  - {name: hello, command: tool, expectedOutput: ['h.llo']}
  - {name: prepared, command: tool, setup: [[/bin/true]]}
"""


def test_a_file_of_container_structure_test_is_carried_out(world: ToolWorld) -> None:
    world.test("  - {name: one, absent: /none}")
    world.build(world.home / "homeport.yaml")
    tests = world.root / "structure.yaml"
    tests.write_text(STRUCTURE)
    tested = world.run(f"oci:{world.root / 'out'}", tests=(str(tests),))
    ran = "passed" if _namespaces() else "not-run"
    assert [(r.name, r.state) for r in tested.results] == [
        ("there", "passed"), ("not there", "passed"), ("wrong", "failed"), ("content", "passed"),
        ("metadata", "passed"), ("hello", ran), ("prepared", "not-run"),
        ("metadataTest exposedPorts", "not-run"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["schemaVersion: 1.0.0\n", "a: [\n", "[]\n", "schemaVersion: 2.0.0\ncommandTests: 3\n"]
)
def test_other_files_are_no_tests(world: ToolWorld, text: str) -> None:
    world.test("  - {name: one, absent: /none}")
    tests = world.root / "tests.json"
    tests.write_text(text)
    with pytest.raises(BadTests):
        world.run(str(world.home / "homeport.yaml"), tests=(str(tests),))


def test_an_image_without_any_test_is_a_usage_error(world: ToolWorld) -> None:
    world.write_recipe(f"platforms: [linux/{NATIVE}]\n{HEAD}")
    with pytest.raises(UsageError) as caught:
        world.run(str(world.home / "homeport.yaml"))
    assert "has no tests" in caught.value.what


@pytest.mark.parametrize(
    ("subject", "what", "hint"),
    [
        ("nothing", "the catalog has no recipe 'nothing'", "./nothing; an image is tested"),
        ("./nothing", "missing file nothing", "homeport init"),
        ("nothing/", "missing file nothing", "an image is tested by tests that you name: --tests"),
        ("no.yaml", "missing file no.yaml", "homeport init"),
        ("r.example/app:1", "there is no recipe r.example/app:1, and for the image", "--tests"),
        ("oci:app", "there is no recipe oci:app, and for the image", "--tests FILE"),
    ],
)
def test_what_is_no_recipe_says_what_was_looked_for_and_what_to_do(
    world: ToolWorld, subject: str, what: str, hint: str
) -> None:
    with pytest.raises(HomeportError) as caught:
        world.run(subject)
    assert caught.value.what.startswith(what)
    assert hint in (caught.value.hint or "")
    assert "--tests FILE" in (caught.value.hint or "")
    assert caught.value.exit_code == 2


def test_tests_change_neither_the_image_nor_the_lockfile(tmp_path: Path) -> None:
    world = FreshWorld(tmp_path, {"trixie": [deb("tool", "1-1", files={"usr/bin/tool": b"x"})]})
    recipe = world.lock_recipe("packages: [tool]")
    before = (world.home / "test.lock").read_bytes()
    world.recipe("packages: [tool]\ntests: [{name: one, file: /usr/bin/tool}]")
    world.ensure_lock(world.loaded())
    assert (world.home / "test.lock").read_bytes() == before
    assert json.loads(before)["recipe"] == recipe.name
