"""The Debian package: equal bytes again, nothing for lintian, and its commands on Debian trixie."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from peers.debian_machine import USER, Machine, digests_inside_and_outside, release, trixie

pytestmark = [pytest.mark.network, pytest.mark.root, pytest.mark.peer("dpkg-deb", "lintian")]


def make(folder: Path, umask: int) -> Path:
    return release("make_deb.py", folder, umask, "--suite", "trixie")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("deb"), 0o022)


def test_the_same_checkout_gives_the_same_package(package: Path, tmp_path: Path) -> None:
    again = make(tmp_path / "again", 0o077)
    assert again.name == package.name
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (package, again)}
    assert len(digests) == 1


def test_lintian_finds_nothing(package: Path) -> None:
    done = subprocess.run(
        ["lintian", "--fail-on", "error,warning", "--tag-display-limit", "0", package],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture(scope="module")
def machine(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    found = trixie(tmp_path_factory.mktemp("machine"))
    (found.upper / "opt").mkdir()
    (found.upper / "opt" / package.name).write_bytes(package.read_bytes())
    done = found.run(
        f"useradd --create-home {USER} && apt-get -o Acquire::Check-Valid-Until=false update -qq &&"
        f" apt-get install -y -qq --no-install-recommends /opt/{package.name}"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return found


def test_it_installs_with_apt_and_says_its_version(machine: Machine) -> None:
    import homeport

    done = machine.run("homeport --version", USER)
    assert (done.stdout.split(), done.stderr) == (["homeport", homeport.__version__], "")
    compiled = machine.run("ls /usr/lib/homeport/lib/python3.13/site-packages/homeport/__pycache__")
    assert "__main__.cpython-313.pyc" in compiled.stdout


def test_a_user_builds_the_digest_that_is_known_elsewhere(machine: Machine, tmp_path: Path) -> None:
    inside, outside = digests_inside_and_outside(machine, "homeport", tmp_path)
    assert inside == outside


def test_every_module_finds_what_it_imports(machine: Machine) -> None:
    """The explorer, time stamps and the shell's grammar too, which Debian has no packages of."""
    program = (
        "import importlib, pkgutil, homeport\n"
        "for module in pkgutil.walk_packages(homeport.__path__, 'homeport.'):\n"
        "    if not module.name.endswith('__main__'): importlib.import_module(module.name)\n"
    )
    done = machine.run(f'/usr/lib/homeport/bin/python3 -I -c "{program}"', USER)
    assert (done.returncode, done.stderr) == (0, "")


def test_manual_pages_and_completions_are_there(machine: Machine) -> None:
    done = machine.run("dpkg -L homeport", USER)
    for path in (
        "/usr/share/man/man1/homeport.1.gz", "/usr/share/man/man1/homeport-build.1.gz",
        "/usr/share/bash-completion/completions/homeport",
        "/usr/share/zsh/vendor-completions/_homeport",
    ):  # fmt: skip
        assert path in done.stdout.splitlines()


def test_removing_it_leaves_nothing(machine: Machine) -> None:
    """Last: what was compiled at the installation goes, too."""
    done = machine.run("apt-get purge -y -qq homeport && ls -d /usr/lib/homeport /usr/bin/homeport")
    assert done.stdout.splitlines()[-1:] != ["/usr/bin/homeport"]
    assert "/usr/lib/homeport" not in done.stdout.splitlines()
