"""Unpacking side by side with GNU tar: the same archive, the same tree."""

from __future__ import annotations

import os
import random
import subprocess
import tarfile
from pathlib import Path

import pytest

from builders.copying import described
from homeport.copying.codecs import OPENERS
from homeport.copying.command import Flags, copy
from homeport.copying.rooted import Rooted
from homeport.copying.rules import OLD
from homeport.copying.sources import CopySource

pytestmark = [pytest.mark.peer("tar"), pytest.mark.root]

NAMES = ["a", "b", "c", "é", "long" * 40, "-n", "with space", "new\nline"]
FORMATS = ["gnu", "pax", "ustar", "v7", "oldgnu"]


def grow(directory: Path, chance: random.Random, depth: int = 0) -> None:
    """A directory of everything that tar knows."""
    files: list[Path] = []
    for name in chance.sample(NAMES, chance.randint(1, 6)):
        path = directory / name
        kind = chance.choice(["file", "file", "directory", "link", "hard", "fifo", "sparse", "chr"])
        if kind == "directory" and depth < 3:
            path.mkdir()
            grow(path, chance, depth + 1)
        elif kind == "link":
            path.symlink_to(chance.choice(["a", "../b", "/c", "n" * 120]))
        elif kind == "hard" and files:
            path.hardlink_to(chance.choice(files))
            continue
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "chr":
            os.mknod(path, 0o020644, os.makedev(1, 3))
        else:
            with path.open("wb") as file:
                file.write(os.urandom(chance.choice([0, 1, 511, 512, 5000])))
                if kind == "sparse":
                    file.seek(300_000)
                    file.write(b"end")
            files.append(path)
        os.chown(path, chance.randint(0, 9), chance.randint(0, 9), follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(chance.choice([0o644, 0o755, 0o4711, 0o1777, 0o600]))
        time = chance.randint(0, 2**31) * 10**9
        os.utime(path, ns=(time, time), follow_symlinks=False)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("seed", range(6))
def test_gnu_tar_and_we_unpack_the_same(tmp_path: Path, format: str, seed: int) -> None:
    chance = random.Random(f"{format} {seed}")
    source = tmp_path / "source"
    source.mkdir()
    grow(source, chance)
    sparse = ["-S"] if chance.random() < 0.5 and format in ("gnu", "pax", "oldgnu") else []
    compress = chance.choice(["", "-z", "-j", "-J"])
    archive = tmp_path / "t.tar"
    command = ["tar", f"--format={format}", *sparse, "-C", str(source), "-cf", str(archive), "."]
    # v7 and ustar leave out what they cannot say; both sides then read the same rest.
    subprocess.run([*command, *filter(None, [compress])], stderr=subprocess.DEVNULL, check=False)
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    subprocess.run(
        ["tar", "--same-owner", "-p", "-C", str(theirs), "-xf", str(archive)], check=True
    )
    home, target = Rooted(bytes(tmp_path)), Rooted(bytes(tmp_path))
    copy([CopySource(home, b"t.tar")], target, b"ours/", Flags(rules=OLD, unpack=OPENERS))
    home.close()
    target.close()
    assert described(ours) == described(theirs)


@pytest.mark.parametrize("seed", range(4))
def test_what_pythons_tarfile_writes_comes_out_as_gnu_tar_has_it(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    archive = tmp_path / "t.tar"
    names = [f"d{n}/{chance.choice(NAMES)}" for n in range(6)]
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.mtime, info.mode = chance.randint(0, 2**31), 0o640
            info.uid, info.gid = 3_000_000_000 if chance.random() < 0.3 else 7, 8
            tar.addfile(info)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    subprocess.run(["tar", "-p", "-C", str(theirs), "-xf", str(archive)], check=True)
    home, target = Rooted(bytes(tmp_path)), Rooted(bytes(tmp_path))
    copy([CopySource(home, b"t.tar")], target, b"ours/", Flags(rules=OLD, unpack=OPENERS))
    home.close()
    target.close()
    ours, expected = described(tmp_path / "ours"), described(theirs)
    files = {name for name in expected if b"/" in name}  # implied directories have the time of now
    assert {n: ours[n] for n in files} == {n: expected[n] for n in files}
    assert set(ours) == set(expected)
