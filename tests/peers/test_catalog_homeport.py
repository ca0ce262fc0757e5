"""Homeport inside its own image: Debian's packages alone, and the digests known outside."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from homeport.cli.main import run as homeport

pytestmark = [pytest.mark.network, pytest.mark.root, pytest.mark.peer("chroot")]
NONROOT = 65532


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image of this machine, unpacked with its owners."""
    folder = tmp_path_factory.mktemp("image")
    assert homeport(
        ["build", "homeport", "--locked", "--no-attest", "--platform", "native", "-o",
         f"oci:{folder}/layout", "--compression-level", "12"]
    ) == 0  # fmt: skip
    blobs = folder / "layout/blobs/sha256"
    (image,) = json.loads((folder / "layout/index.json").read_text())["manifests"]
    found = json.loads((blobs / image["digest"][7:]).read_text())
    if "manifests" in found:
        found = json.loads((blobs / found["manifests"][0]["digest"][7:]).read_text())
    unpacked = folder / "root"
    unpacked.mkdir()
    for layer in found["layers"]:
        subprocess.run(
            ["tar", "-xpzf", blobs / layer["digest"][7:], "-C", unpacked, "--numeric-owner"],
            check=True,
        )
    for path in (folder, folder.parent):
        path.chmod(0o755)
    return unpacked


def inside(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """As the image's user, with the image's variables."""
    program = os.environ["PATH"] + ":/usr/sbin:/sbin"
    chroot = shutil.which("chroot", path=program)
    assert chroot is not None
    variables = {
        "HOME": "/home/nonroot", "PATH": "/usr/bin", "LANG": "C.UTF-8",
        "CRYPTOGRAPHY_OPENSSL_NO_LEGACY": "1",
    }  # fmt: skip
    return subprocess.run(
        [chroot, f"--userspec={NONROOT}:{NONROOT}", root, *words],
        env=variables, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_it_builds_the_copy_helper_to_the_digest_known_outside(root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    build = ["build", "dockerfile-copy", "--locked", "--no-attest", "--cache-dir"]
    assert homeport([*build, str(cache), "-o", f"oci:{tmp_path}/outside"]) == 0
    shutil.copytree(cache, root / "work/cache")
    for path in [root / "work/cache", *(root / "work/cache").rglob("*")]:
        os.chown(path, NONROOT, NONROOT, follow_symlinks=False)
    done = inside(
        root, "/usr/bin/homeport", *build, "/work/cache", "--offline", "--no-cache", "-o",
        "oci:/work/inside",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    digests = [
        json.loads((folder / "index.json").read_text())["manifests"][0]["digest"]
        for folder in (tmp_path / "outside", root / "work/inside")
    ]
    assert digests[0] == digests[1]


def test_every_module_finds_what_it_imports_but_two_that_debian_has_not(root: Path) -> None:
    program = (
        "import importlib, pkgutil, homeport, sqlite3, bz2, lzma, ctypes, ssl\n"
        "missing = []\n"
        "for module in pkgutil.walk_packages(homeport.__path__, 'homeport.'):\n"
        "    if module.name.endswith('__main__'): continue\n"
        "    try: importlib.import_module(module.name)\n"
        "    except ImportError: missing.append(module.name)\n"
        "print(missing)"
    )
    done = inside(root, "/usr/bin/python3.14", "-I", "-c", program)
    # textual and tree-sitter are no packages of Debian: docs/limits.md.
    explorer = [
        f"homeport.explorer.{name}"
        for name in ("dialogs", "pair_screen", "rows", "screen", "tree_app")
    ]
    assert (done.stdout, done.stderr) == (f"{explorer}\n", "")
    shell = "from homeport.debian.scripts.shell_parser import parse_shell; parse_shell(b'')"
    told = inside(root, "/usr/bin/python3.14", "-I", "-c", shell).stderr
    assert "NoShellParser: shell scripts of packages require tree_sitter, which is not" in told


def test_it_has_no_shell_and_is_small(root: Path) -> None:
    assert inside(root, "/bin/sh", "-c", "true").returncode == 127
    assert sorted(os.listdir(root / "usr/bin")) == ["homeport", "python3.14"]
    layers = root.parent.joinpath("layout/blobs/sha256").iterdir()
    assert max(path.stat().st_size for path in layers) < 20_000_000


def test_commands_answer_inside(root: Path) -> None:
    (root / "work/Dockerfile").write_text("FROM tonistiigi/binfmt\n")
    done = inside(root, "/usr/bin/homeport", "audit", "/work/Dockerfile")
    assert "tonistiigi/binfmt:latest" in done.stdout
    assert "homeport" in inside(root, "/usr/bin/homeport", "catalog", "list", "-q").stdout.split()
