"""Same inputs, same bytes: on this machine under varied conditions, and on every machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from builders.archive import DATE
from builders.building import BuildWorld
from builders.deb import deb, file, link

RECIPE = """
packages: [tool]
files:
  - {from: tree, to: /opt/tree}
  - {text: "inline\\n", to: /etc/inline}
accounts: {users: [{name: app, uid: 1000}]}
steps: {os_release: false}
config: {entrypoint: [/usr/bin/tool], labels: {a: b, c: d}}
"""

#: What these inputs become, wherever and whenever they are built. A change here means that
#: every image of every user gets another digest: say so in CHANGELOG.md.
FIXED = "sha256:f911db08d78af1256a94acbf08c655c922e69e288a62b1293db5d68f26aa4591"


def world(root: Path) -> BuildWorld:
    """Always the same archive, lockfile and local files."""
    files = {
        "usr/bin/tool": file(bytes(range(256)) * 4000, mode=0o755),
        "usr/share/doc/tool/copyright": b"licence",
        "usr/lib/a": link("b"),
        "usr/lib/b": b"b" * 70_000,
        "usr/share/\udcff".encode("utf-8", "surrogateescape").decode("latin-1"): b"odd name",
    }
    return BuildWorld(root, [deb("tool", files=files)], date=DATE)


def write_tree(home: Path, *, backwards: bool = False) -> None:
    """The same files, made in another order, so that directories list them otherwise."""
    tree = home / "tree"
    tree.mkdir()
    names = [f"{number:02}" for number in range(30)]
    for name in reversed(names) if backwards else names:
        (tree / name).write_text(name)
        (tree / name).chmod(0o700 if name.endswith("5") else 0o600)


def test_the_digest_of_fixed_inputs_is_fixed(tmp_path: Path) -> None:
    here = world(tmp_path)
    write_tree(here.home)
    assert str(here.build(RECIPE).built.images[0].layers[0].digest) == FIXED


CONDITIONS: dict[str, dict[str, Any]] = {
    "umask": {"umask": 0o077},
    "time zone": {"env": {"TZ": "Pacific/Auckland"}},
    "locale": {"env": {"LC_ALL": "C", "LANG": "tr_TR.UTF-8"}},
    "hash seed": {"env": {"PYTHONHASHSEED": "1"}},
    "another hash seed": {"env": {"PYTHONHASHSEED": "4242"}},
    "one processor": {"processors": 1},
    "directory order": {"backwards": True},
    "user and home": {"env": {"HOME": "/nonexistent", "USER": "other", "LOGNAME": "other"}},
    "no bytecode, isolated mode": {"flags": ["-I", "-B"]},
}


@pytest.fixture(scope="module")
def recipe_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with recipe, lockfile and local files, and the address of its archive."""
    here = world(tmp_path_factory.mktemp("world"))
    write_tree(here.home)
    here.ensure_lock(here.recipe(RECIPE))  # the lockfile, by the clock of the tests
    return here.home, here.archive.url


@pytest.fixture(scope="module")
def plain(recipe_home: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return _built(recipe_home, tmp_path_factory.mktemp("plain"), {})


@pytest.mark.parametrize("condition", CONDITIONS)
def test_an_image_does_not_depend_on(
    condition: str, recipe_home: tuple[Path, str], plain: list[str], tmp_path: Path
) -> None:
    assert _built(recipe_home, tmp_path, CONDITIONS[condition]) == plain


def test_an_image_does_not_depend_on_the_folder_or_on_times_in_it(
    recipe_home: tuple[Path, str], plain: list[str], tmp_path: Path
) -> None:
    home, url = recipe_home
    copy = tmp_path / "somewhere else"
    shutil.copytree(home, copy, copy_function=shutil.copy)
    assert _built((copy, url), tmp_path, {}) == plain


@pytest.mark.root
def test_an_image_does_not_depend_on_who_owns_local_files(
    recipe_home: tuple[Path, str], plain: list[str], tmp_path: Path
) -> None:
    home, url = recipe_home
    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    for path in copy.rglob("*"):
        os.chown(path, 1234, 5678)
    assert _built((copy, url), tmp_path, {}) == plain


def test_an_image_does_depend_on_its_files(
    recipe_home: tuple[Path, str], plain: list[str], tmp_path: Path
) -> None:
    home, url = recipe_home
    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    (copy / "tree/00").write_text("changed")
    assert _built((copy, url), tmp_path, {}) != plain


def _built(recipe_home: tuple[Path, str], work: Path, condition: dict[str, Any]) -> list[str]:
    """Digests of the index and its parts, built by the command in a process of its own."""
    home, url = recipe_home
    if condition.get("backwards"):
        copy = work / home.name
        shutil.copytree(home, copy, ignore=shutil.ignore_patterns("tree"))
        write_tree(copy, backwards=True)
        home = copy
    command = [
        sys.executable, *condition.get("flags", []), "-m", "homeport", "build", str(home),
        "-o", "oci:out", "--locked", "--mirror", f"test={url}", "--format", "json",
        "--cache-dir", "cache",
    ]  # fmt: skip

    def vary() -> None:
        os.umask(condition.get("umask", 0o022))
        if (count := condition.get("processors")) and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:count])

    done = subprocess.run(
        command,
        cwd=work,
        env={**os.environ, **condition.get("env", {})},
        capture_output=True,
        preexec_fn=vary,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    (image,) = document["platforms"]
    return [document["digest"], image["digest"], image["layers"][0]["diff_id"]]
