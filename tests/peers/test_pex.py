"""The pex of Homeport: on a Debian with nothing but its Python, as a user."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

import homeport
from peers.debian_machine import USER, Machine, digests_inside_and_outside, release, trixie

pytestmark = [pytest.mark.network, pytest.mark.root, pytest.mark.full]


def make(folder: Path, umask: int, architecture: str = "amd64") -> Path:
    return release("make_pex.py", folder, umask, "--architecture", architecture)


@pytest.fixture(scope="module")
def pex(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("pex"), 0o022)


@pytest.fixture(scope="module")
def machine(pex: Path, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    found = trixie(tmp_path_factory.mktemp("machine"))
    (found.upper / "opt").mkdir()
    (found.upper / "opt/homeport").write_bytes(pex.read_bytes())
    (found.upper / "opt/homeport").chmod(0o755)
    done = found.run(
        f"useradd --create-home {USER} && apt-get -o Acquire::Check-Valid-Until=false update -qq &&"
        " apt-get install -y -qq --no-install-recommends python3"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return found


def test_the_same_checkout_gives_the_same_file(pex: Path, tmp_path: Path) -> None:
    again = make(tmp_path / "again", 0o077)
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (pex, again)}
    assert len(digests) == 1


def test_it_starts_with_the_machines_python(machine: Machine) -> None:
    done = machine.run("/opt/homeport --version", USER)
    assert (done.stdout.split(), done.stderr) == (["homeport", homeport.__version__], "")


def test_a_user_builds_the_digest_that_is_known_elsewhere(machine: Machine, tmp_path: Path) -> None:
    inside, outside = digests_inside_and_outside(machine, "/opt/homeport", tmp_path)
    assert inside == outside


def test_the_file_for_arm64_holds_wheels_for_arm64(tmp_path: Path) -> None:
    """Not run: for every Python the wheels of the other machine, and none of this one."""
    with zipfile.ZipFile(make(tmp_path, 0o022, "arm64")) as archive:
        names = archive.namelist()
    wheels = [Path(name).name for name in names if name.endswith(".whl")]
    assert not [name for name in wheels if "x86_64" in name]
    for tag in ("cp311", "cp312", "cp313", "cp314"):
        assert any(f"-{tag}-" in name and "aarch64" in name for name in wheels)
