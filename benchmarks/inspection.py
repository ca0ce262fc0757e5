"""How long looking into an image takes, against unpacking it and against a peer.

    .venv/bin/python -P benchmarks/inspection.py [--small-files N] [--size MB] [--peer DIVE]
        [--folder DIR]

Makes a docker archive of many small files and one of few large ones, two gzip layers and one
GB each, and measures in turns, the best of three: the floor (``tar -tvzf`` of every layer), a
first look with an empty cache, a second look, and dive's ``--json`` on the same archive if
given. Beside the time on the clock stands that of the processors, which other work on the
machine disturbs less, and the memory of the largest process. ``--folder`` keeps the images for
another run.

The figures in docs/inspect.md are beside dive 0.13.1.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# dive reads CI as a wish to check its rules, and fails.
QUIET = {name: value for name, value in os.environ.items() if name != "CI"}
WORDS = [hashlib.sha256(str(n).encode()).hexdigest().encode() for n in range(4000)]


def content(size: int, seed: int) -> bytes:
    """Bytes that compress about as programs do: words in random order."""
    choose = random.Random(seed)
    return b" ".join(choose.choices(WORDS, k=size // 65 + 1))[:size]


def layer(names: list[str], size: int, seed: int) -> bytes:
    buffer = io.BytesIO()
    pool = content(max(size * 4, 1 << 22), seed)
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for number, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.size, info.mode = size, 0o644
            at = (number * 7919) % (len(pool) - size) if len(pool) > size else 0
            archive.addfile(info, io.BytesIO(pool[at : at + size]))
    return buffer.getvalue()


def docker_archive(path: Path, layers: list[bytes], folder: Path) -> list[Path]:
    """An archive as ``docker save`` writes it since 25; also each layer as a file of its own."""
    packed: list[Path] = []
    config = {
        "architecture": "amd64", "os": "linux", "config": {}, "history": [],
        "rootfs": {"type": "layers", "diff_ids": [
            "sha256:" + hashlib.sha256(one).hexdigest() for one in layers]},
    }  # fmt: skip
    with tarfile.open(path, "w") as archive:

        def add(name: str, data: bytes) -> None:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))

        names = []
        for number, one in enumerate(layers):
            data = gzip.compress(one, 6)
            file = folder / f"{path.stem}-{number}.tar.gz"
            file.write_bytes(data)
            packed.append(file)
            names.append(f"blobs/sha256/{hashlib.sha256(data).hexdigest()}")
            add(names[-1], data)
        add("config.json", json.dumps(config).encode())
        manifest = [{"Config": "config.json", "RepoTags": ["bench:1"], "Layers": names}]
        add("manifest.json", json.dumps(manifest).encode())
    return packed


@dataclass
class Best:
    """The best of several runs of a command."""

    wall: float = float("inf")
    cpu: float = float("inf")
    memory: int = 0  # MB

    def run(self, *commands: Sequence[str]) -> None:
        began, before = time.perf_counter(), os.times()
        for argv in commands:
            process = subprocess.Popen(
                argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=QUIET
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(f"{argv[0]} failed with {process.returncode}")
            self.memory = max(self.memory, usage.ru_maxrss >> 10)
        after = os.times()
        self.wall = min(self.wall, time.perf_counter() - began)
        used = after.children_user + after.children_system
        self.cpu = min(self.cpu, used - before.children_user - before.children_system)

    def row(self, name: str, what: str, note: str = "") -> None:
        print(f"{name:<12} {what:<18} {self.wall:8.2f} {self.cpu:8.2f} {self.memory:8}  {note}")


def look(archive: Path, cache: Path) -> list[str]:
    return [
        sys.executable, "-P", "-m", "homeport", "inspect", f"docker-archive:{archive}", "--format",
        "json", "--cache-dir", str(cache),
    ]  # fmt: skip


def measure(name: str, archive: Path, layers: list[Path], peer: str | None, folder: Path) -> None:
    floor, first, second, dive = Best(), Best(), Best(), Best()
    for turn in range(3):
        floor.run(*(["tar", "-tvzf", str(one)] for one in layers))
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            first.run(look(archive, Path(cache)))
            second.run(look(archive, Path(cache)))
            second.run(look(archive, Path(cache)))
        if peer and turn < 2:
            answer = str(folder / "dive.json")
            dive.run((peer, f"docker-archive://{archive}", "--json", answer))
    floor.row(name, "tar -tvzf")
    first.row("", "first look", f"{first.wall / floor.wall:.2f} x tar")
    second.row("", "second look")
    if peer:
        dive.row("", Path(peer).name, f"{dive.wall / first.wall:.1f} x the first look")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small-files", type=int, default=210_000, help="files of 4 KiB")
    parser.add_argument("--size", type=int, default=1024, help="MiB of the few large files")
    parser.add_argument("--peer", help="dive's program")
    parser.add_argument("--folder", type=Path, help="where the images are kept")
    options = parser.parse_args()
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}")
    print(f"{'':<12} {'':<18} {'wall s':>8} {'cpu s':>8} {'MB':>8}")
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        half = options.small_files // 2
        names = [[f"l{part}/d{n % 500}/f{n}" for n in range(half)] for part in (0, 1)]
        archive, layers = made(folder / f"small-{half}.tar", names, 4096)
        measure("many small", archive, layers, options.peer, folder)
        names = [[f"l{part}/f{n}" for n in range(4)] for part in (0, 1)]
        archive, layers = made(folder / f"large-{options.size}.tar", names, options.size << 17)
        measure("few large", archive, layers, options.peer, folder)


def made(archive: Path, names: list[list[str]], size: int) -> tuple[Path, list[Path]]:
    """The image of two layers in ``archive``, from an earlier run if it is there."""
    layers = [archive.parent / f"{archive.stem}-{part}.tar.gz" for part in (0, 1)]
    if not archive.exists():
        # In a process of its own: what this one takes would be counted as its children's.
        process = multiprocessing.get_context("spawn").Process(
            target=make, args=(archive, names, size)
        )
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"{archive} was not made")
    return archive, layers


def make(archive: Path, names: list[list[str]], size: int) -> None:
    unfinished = archive.with_suffix(".new")
    layers = [layer(each, size, part) for part, each in enumerate(names)]
    docker_archive(unfinished, layers, archive.parent)
    unfinished.rename(archive)


if __name__ == "__main__":
    main()
