"""What others read in the layers that we write: GNU tar, and gzip on members joined."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from builders.tree import directory, file, hardlink, symlink, tar_bytes, tree
from homeport.content.store import Store
from homeport.progress import CancelToken
from homeport.tree.compression import make_encoder
from homeport.tree.layer_writer import write_layer
from homeport.tree.node import Tree

SECOND = 1_000_000_000
LONG = b"d" * 120 + b"/" + b"n" * 180


def sample() -> Tree:
    return tree(
        {
            "a": hardlink(b"usr/b"),
            LONG: file(b"long"),
            "Főtanúsítvány".encode(): file(b"text", mtime=1_700_000_000 * SECOND),
            b"not \xff utf-8": file(b"bytes", 0o600),
            "link": symlink(b"../" * 50 + b"end"),
            "usr": directory(0o711),
            "usr/b": file(bytes(range(256)) * 2000, 0o755),
        }
    )


def found(root: bytes) -> dict[bytes, tuple[object, ...]]:
    """Path → mode, time, target and content, as the filesystem has them."""
    seen: dict[bytes, tuple[object, ...]] = {}
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            link = os.readlink(path) if os.path.islink(path) else b""
            data = (
                Path(os.fsdecode(path)).read_bytes() if os.path.isfile(path) and not link else b""
            )
            mode = 0 if link else status.st_mode & 0o7777
            seen[os.path.relpath(path, root)] = (mode, link, data)
    return seen


WANTED: dict[bytes, tuple[object, ...]] = {
    b"a": (0o755, b"", bytes(range(256)) * 2000),
    LONG: (0o644, b"", b"long"),
    "Főtanúsítvány".encode(): (0o644, b"", b"text"),
    b"not \xff utf-8": (0o600, b"", b"bytes"),
    b"link": (0, b"../" * 50 + b"end", b""),
    b"usr": (0o711, b"", b""),
    b"usr/b": (0o755, b"", bytes(range(256)) * 2000),
}


@pytest.mark.peer("tar")
def test_gnu_tar_unpacks_every_name_as_it_is(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["tar", "-xpf", "-", "-C", str(root)], input=tar_bytes(sample()), env=environment,
        capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    seen = found(os.fsencode(root))
    seen.pop(b"d" * 120)  # made by tar
    assert seen == WANTED
    assert os.stat(root / "a").st_ino == os.stat(root / "usr/b").st_ino
    assert (root / "Főtanúsítvány").stat().st_mtime == 1_700_000_000


@pytest.mark.peer("gzip")
def test_gzip_reads_a_layer_of_many_members_as_one_stream(tmp_path: Path) -> None:
    layer = write_layer(sample(), make_encoder("gzip"), Store(tmp_path / "store"), CancelToken())
    assert layer.pieces > 1
    done = subprocess.run(
        ["gzip", "-dc"], input=layer.blob.path.read_bytes(), capture_output=True, check=True
    )
    assert done.stdout == tar_bytes(sample())
