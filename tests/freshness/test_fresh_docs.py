"""Every command of docs/fresh.md, in its order, with the exit code that the page says."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from builders.archive import Suite, archive, suite
from builders.forge import forge
from builders.freshness import entry, package
from builders.small_registry import SmallRegistry, small_registry
from builders.updating import git
from homeport.cli.main import run

PAGE = Path(__file__).parents[2] / "docs/fresh.md"
FIRST = datetime.now(UTC).replace(microsecond=0) - timedelta(days=20)
RECIPE = """\
homeport: 1
name: {name}
archives: [{{name: test, suites: [trixie, trixie-security], mirrors: ["{url}"], keys: [key.asc]}}]
steps: {{os_release: false}}
platforms: [linux/amd64, linux/arm64]
packages: [libzstd1, lib2]
config: {{labels: {{org.opencontainers.image.version: "1.2"}}}}
tests: [{{name: it is there, file: /usr/bin/libzstd1}}]
"""
STRUCTURE = """\
schemaVersion: 2.0.0
fileExistenceTests: [{name: there, path: /usr/bin/lib2, shouldExist: true}]
"""
TRAVIS = """\
language: minimal
services: [docker]
script: [docker build -t me/tool .]
deploy: {provider: script, script: docker push me/tool, on: {tags: true}}
"""
WORKFLOW = """\
on: push
jobs:
  image:
    runs-on: ubuntu-latest
    steps:
      - uses: docker/build-push-action@v6
        with: {push: true, tags: me/tool:1, platforms: "linux/amd64,linux/arm64"}
"""
TRACKER = {"zstd": {"CVE-2026-1": {"releases": {"trixie": {"status": "open"}}}}}
#: What a reader has that the page does not name: the archive of a published image is the test's.
MORE = {
    "homeport outdated registry.example/team/tool:1.2": "--like ./my/homeport.yaml",
    "homeport outdated registry.example/mirror/tool:1": "--like ./quiet/homeport.yaml",
}


def commands() -> Iterator[tuple[str, int]]:
    """Each command line of the page and its exit code."""
    for block in re.findall(r"^```console\n(.*?)^```", PAGE.read_text(), re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                text, _, comment = line.removeprefix("$ ").partition("   # exit code ")
                yield text, int(comment.partition(":")[0] or 0)


class Reader:
    """A folder as the page's reader has it: recipes that were locked 20 days ago."""

    def __init__(self, root: Path, registry: SmallRegistry) -> None:
        self.root, self.host = root, registry.host
        self.archive = archive(root / "mirror", [self._first(), self._security()])
        self.work = root / "work"
        for folder, name in (("my", "tool"), ("images/one", "one"), ("images/two", "two")):
            self._write(self.work / folder, name, self.archive.url)
        self._commit()
        for recipe in ("./my", "./images/one", "./images/two"):
            self.ok("lock", f"{recipe}/homeport.yaml")
        git(self.work, "add", "-A")
        git(self.work, "commit", "-qm", "Lock")
        git(self.work, "push", "-q", "origin", "main")
        self.ok("build", "./my/homeport.yaml", "-o", "oci:tool.oci")
        self.ok("publish", "./my/homeport.yaml", f"{self.host}/team/tool", "--version", "1.2")
        self._copy()
        self._files()
        self._move()

    def ok(self, *arguments: str) -> None:
        assert run(list(arguments)) == 0, arguments

    def _first(self, *newer: bytes, days: int = 0) -> Suite:
        zstd = package("libzstd1", "1-1", "all", source="zstd")
        packages = (zstd, package("lib2", "1-1", "all", log=[entry("lib2", "1-1")]), *newer)
        return suite("trixie", packages, date=FIRST + timedelta(days=days), valid_for=None)

    def _security(self, *packages: bytes, days: int = 0) -> Suite:
        return suite("trixie-security", packages, date=FIRST + timedelta(days=days), valid_for=None)

    def _write(self, folder: Path, name: str, url: str, more: str = "") -> None:
        folder.mkdir(parents=True)
        (folder / "homeport.yaml").write_text(RECIPE.format(name=name, url=url) + more)
        (folder / "key.asc").write_bytes(self.archive.certificate)

    def _commit(self) -> None:
        git(self.root, "init", "-q", "--bare", "-b", "main", str(self.root / "origin.git"))
        git(self.work, "init", "-q", "-b", "main")
        for name, value in (("user.name", "Me"), ("user.email", "me@home.example")):
            git(self.work, "config", name, value)
        git(self.work, "remote", "add", "origin", str(self.root / "origin.git"))

    def _copy(self) -> None:
        """An image whose archive does not move, imported from an upstream."""
        still = archive(self.root / "still", [self._first(), self._security()])
        self._write(self.work / "quiet", "quiet", still.url)
        (self.work / "quiet/key.asc").write_bytes(still.certificate)
        self.ok("build", "./quiet/homeport.yaml", "--push", f"{self.host}/up/tool:1")
        self.ok("import", f"{self.host}/up/tool:1", f"{self.host}/mirror/tool:1")

    def _files(self) -> None:
        (self.work / "tracker.json").write_text(json.dumps(TRACKER))
        (self.work / "structure.yaml").write_text(STRUCTURE)
        (self.work / ".travis.yml").write_text(TRAVIS)
        workflows = self.work / ".github/workflows"
        workflows.mkdir(parents=True)
        (workflows / "docker.yml").write_text(WORKFLOW)
        for name in ("shop", "infra"):
            (self.root / name).mkdir()
            (self.root / name / "Dockerfile").write_text(f"FROM {self.host}/team/tool:1.2\n")

    def _move(self) -> None:
        """A security fix of one package, and an update of the other."""
        log = [entry("zstd", "1-1+deb13u1", "* CVE-2026-1000", distribution="trixie-security")]
        fixed = package("libzstd1", "1-1+deb13u1", "all", source="zstd", log=log)
        log = [entry("lib2", "1-2", "* New."), entry("lib2", "1-1")]
        self.archive.publish(self._first(package("lib2", "1-2", "all", log=log), days=2))
        self.archive.publish(self._security(fixed, days=2))


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    for name in ("GITLAB_CI", "GITHUB_ACTIONS", "CI_REGISTRY", "CI_COMMIT_BRANCH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (("HOME", tmp_path), ("HOMEPORT_CACHE_DIR", tmp_path / "cache")):
        monkeypatch.setenv(name, str(value))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with small_registry() as registry:
        yield Reader(tmp_path, registry)


def test_every_command_of_the_page_does_what_it_says(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    found = list(commands())
    assert len(found) > 30
    with forge("gitlab") as running:
        for name, value in running.variables.items():
            monkeypatch.setenv(name, value)
        for line, code in found:
            more = next((text for start, text in MORE.items() if line.startswith(start)), "")
            words = shlex.split(f"{line} {more}".replace("registry.example", reader.host))
            if words[0].startswith("HOMEPORT_FORGE_TOKEN="):
                monkeypatch.setenv("HOMEPORT_FORGE_TOKEN", running.token)
                words.pop(0)
            assert words[0] == "homeport"
            capfd.readouterr()
            ended = run(words[1:])
            printed = capfd.readouterr()
            assert ended == code, f"{line}\n{printed.out}{printed.err}"
        assert [one["title"] for one in running.requests] == ["2 images: lib2"]
    for name in ("outdated.prom", "outdated.html", "gl.json", "junit.xml", ".gitlab-ci.yml"):
        assert (reader.work / name).stat().st_size > 0


def test_what_the_page_shows_of_a_lockfile_is_what_is_printed(
    reader: Reader, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    assert run(["outdated", "./my/homeport.yaml"]) == 4
    printed = capfd.readouterr()
    assert "hint: lock what is newer: homeport update ./my/homeport.yaml\n" in printed.err
    lines = printed.out.splitlines()
    assert lines[0].startswith("tool: 2 of 2 packages newer, 1 security fix, locked ")
    assert any(
        line.startswith("  security  libzstd1  1-1 → 1-1+deb13u1  [CVE-2026-1000; since ")
        for line in lines
    )
    assert lines[-1] == "  run: homeport update ./my/homeport.yaml"
