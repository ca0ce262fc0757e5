"""The catalog against Debian's real archive: every slice finds its paths everywhere.

As of a date whose state is kept by mirrors and by Debian's snapshot archive.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from builders.recipe import recipe_file
from homeport.cli.main import run
from homeport.recipe.boundary import Boundary
from homeport.recipe.catalog import shipped_catalog
from homeport.recipe.lock.model import Lockfile
from homeport.recipe.lock.reading import read_lockfile
from homeport.recipe.slices.reading import SliceFolders, slice_name

pytestmark = pytest.mark.network
SEVEN = (
    "[linux/386, linux/amd64, linux/arm/v7, linux/arm64, linux/ppc64le, linux/riscv64, linux/s390x]"
)
AS_OF = "2026-10-30"


#: Packages that trixie does not have, or has for another Python.
_OF_SID = re.compile(
    r"crane|(lib)?python3\.14.*|python3-.*"
    r"|libcurl4-gnutls|libgpgme45|libproc2-1|libsodium26|libsubid6"
)
#: Packages that have lost files in sid, or lack them on a platform there.
_NOT_IN_SID = re.compile(r"containerd|docker\.io|openssh-client|tini")


def test_every_slice_of_the_catalog_matches_on_all_seven_platforms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [name for name in _sliced() if not _OF_SID.fullmatch(name)]
    _lock_all_slices(names, "", tmp_path, capsys)


def test_every_slice_of_sid_matches_on_all_seven_platforms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of packages that sid does not have any more are found by their successors."""
    names = [name for name in _sliced() if not _NOT_IN_SID.fullmatch(name)]
    archives = "archives: [{name: debian, suites: [sid]}]\n"
    lockfile = _lock_all_slices(names, archives, tmp_path, capsys)
    assert "libcurl4-gnutls_libs" in map(str, lockfile.slices)
    assert "libcurl3t64-gnutls_libs" not in map(str, lockfile.slices)


@pytest.mark.parametrize("words", [["jq"], ["git", "--for", "git"], ["python3-yaml"]])
def test_a_proposed_slice_of_a_real_package_works_alone(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    platforms = ["--platform", "linux/amd64,linux/arm64"]
    written = f"slices/{words[0]}.yaml"
    assert run(["slice", "propose", *words, *platforms, "-o", written]) == 0, capsys.readouterr()
    assert run(["slice", "check", *platforms]) == 0, capsys.readouterr()
    assert "No known slice" not in (tmp_path / written).read_text()


def _sliced() -> list[str]:
    return [path.stem for path in sorted(shipped_catalog().slices.glob("*.yaml"))]


def _lock_all_slices(
    packages: list[str], archives: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> Lockfile:
    """Locks every slice, or its successor's."""
    catalog = shipped_catalog()
    folders = SliceFolders([catalog.slices], Boundary((catalog.slices,)))
    slices = [f"{name}_{slice}" for name in packages for slice in folders.of_package(name)]
    text = f"{archives}platforms: {SEVEN}\npackages: [{', '.join(slices)}]"
    path = recipe_file(folder, text)
    assert run(["lock", str(path), "--as-of", AS_OF]) == 0, capsys.readouterr().err
    lockfile = read_lockfile(folder / "test.lock")
    assert lockfile is not None
    named = [(each, folders.get(slice_name(each))) for each in slices]
    locked = set(map(str, lockfile.slices))
    assert not [
        name
        for name, definition in named
        if name not in locked and (definition is None or str(definition.next) not in locked)
    ]
    return lockfile


def test_the_catalogs_lock_is_what_its_state_gives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Made again from the same state, it is the same packages."""
    catalog = shipped_catalog()
    target = tmp_path / "again.lock"
    arguments = ["lock", "dockerfile-copy", "--as-of", AS_OF, "--lockfile", str(target)]
    assert run([*arguments, "--format", "json"]) == 0, capsys.readouterr().err
    assert json.loads(capsys.readouterr().out)["reason"] == "missing"
    again = read_lockfile(target)
    shipped = read_lockfile(catalog.directory / "dockerfile-copy" / "dockerfile-copy.lock")
    assert again is not None
    assert shipped is not None
    assert again.platforms == shipped.platforms
    assert again.slices == shipped.slices
