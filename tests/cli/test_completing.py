"""The words that a shell is given (tests/peers/test_completion_shells.py drives the shells)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from builders.deb import deb
from builders.images import index
from builders.locking import World
from builders.recipe import recipe_file
from builders.runtime import runtime
from homeport.cli.completing import install_path
from homeport.cli.main import run
from homeport.images.address import LayoutAddress
from homeport.images.transports.oci_layout import OciLayout


@pytest.fixture(autouse=True)
def _work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for tag in ("1.0", "1.1", "2.0"):
        OciLayout(LayoutAddress(path=Path("images"), tag=tag)).write(index(), runtime())
    (tmp_path / "my.yaml").write_text("homeport: 1\n")
    (tmp_path / "saved.tar").write_bytes(b"")
    (tmp_path / ".hidden").write_bytes(b"")


def completed(line: str, shell: str = "bash", **more: str) -> list[str]:
    environment = {
        **os.environ, "COMP_WORDS": line, "_HOMEPORT_COMPLETE": f"{shell}_complete", **more,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "homeport"], env=environment, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return [each.partition(",")[2] for each in done.stdout.split()]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("homeport vali", ["validate"]),
        ("homeport build --comp", ["--compression", "--compression-level"]),
        ("homeport inspect oci", ["oci:", "oci-archive:"]),
        ("homeport inspect oci:", ["oci:images/", "oci:my.yaml", "oci:saved.tar"]),
        ("homeport inspect oci:images:1", ["oci:images:1.0", "oci:images:1.1"]),
        ("homeport diff ./images:2.0 ./images:", ["./images:1.0", "./images:1.1", "./images:2.0"]),
        ("homeport push docker-archive:sav", ["docker-archive:saved.tar"]),
        ("homeport push sav", ["saved.tar"]),
        ("homeport build dockerfile-", ["dockerfile-1.7", "dockerfile-copy"]),
        ("homeport lock ./", ["./images/", "./my.yaml"]),
        ("homeport catalog show dockerfile-", ["dockerfile-1.7", "dockerfile-copy"]),
        ("homeport pull x y --platform linux/amd64,linux/arm6", ["linux/amd64,linux/arm64"]),
        ("homeport audit --deny floa", ["floating"]),
        ("homeport lock dockerfile-copy --update base", ["base-files"]),
        ("homeport add busybox-st", ["busybox-static"]),
        ("homeport init curl_", ["curl_bins"]),
        ("homeport -v cache pru", ["prune"]),
        ("homeport inspect registry.example/a:", []),
    ],
)
def test_what_may_come_is_offered(line: str, words: list[str]) -> None:
    assert completed(line) == words


def test_packages_of_the_index_that_was_opened_last_are_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = {"HOMEPORT_CACHE_DIR": str(tmp_path / "cache")}
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", cache["HOMEPORT_CACHE_DIR"])
    debs = [deb(name, files={f"usr/bin/{name}": b"x"}) for name in ("zqlib", "zqsh", "zqsh-doc")]
    debs.append(deb("zqprovider", provides="zqsh-virtual"))
    world = World(tmp_path / "world", debs, valid_for=None)
    archives = (
        f"[{{name: test, suites: [trixie], mirrors: ['{world.archive.url}'], keys: [key.asc]}}]"
    )
    recipe_file(world.home, f"archives: {archives}\npackages: [zqsh]\n")
    lines = (
        ("homeport add zqs", ["zqsh", "zqsh-doc"]), ("homeport search zql", ["zqlib"]),
        ("homeport init zqsh-", ["zqsh-doc"]), ("homeport show zql", ["zqlib"]),
        ("homeport slice propose zql", ["zqlib"]), ("homeport search ", []),
    )  # fmt: skip
    assert completed("homeport search zql", **cache) == []
    assert run(["search", "zqsh", "--recipe", str(world.home)]) == 0
    assert [(line, completed(line, **cache)) for line, _ in lines] == list(lines)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed_or_installed_where_the_shell_looks(shell: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SHELL": f"/bin/{shell}"}
    printed, installed = (
        subprocess.run(
            [sys.executable, "-m", "homeport", "completion", *words], env=environment,
            capture_output=True, text=True, check=True,
        )
        for words in ([shell], ["--install"])
    )  # fmt: skip
    path = install_path(shell, tmp_path, {})
    assert path.read_text() == printed.stdout
    assert installed.stdout == f"{path}\n"


def test_a_shell_that_is_not_known_is_an_error() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "homeport", "completion", "--install"],
        env={**os.environ, "SHELL": "/bin/tcsh"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "hint: name one: homeport completion --install bash" in done.stderr
