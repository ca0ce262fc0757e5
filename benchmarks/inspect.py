"""How long looking into an image takes, against unpacking it and against a peer.

    .venv/bin/python -P benchmarks/inspect.py [--small-files N] [--size MB] [--peer DIVE]

Makes a docker archive of many small files and one of few large ones, two gzip layers each,
and measures the best of three: the floor (``tar -tvzf`` of every layer), a first look with
an empty cache, a second look, and dive's ``--json`` on the same archive if given.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

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
    """A ``docker save`` archive with gzip layers; also each layer as a file of its own."""
    packed = []
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
            names.append(f"{number}.tar.gz")
            add(names[-1], data)
        add("config.json", json.dumps(config).encode())
        manifest = [{"Config": "config.json", "RepoTags": ["bench:1"], "Layers": names}]
        add("manifest.json", json.dumps(manifest).encode())
    return packed


def best(call: Callable[[], object], times: int = 3) -> float:
    found = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return min(found)


def run(*argv: str) -> None:
    subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def look(archive: Path, cache: Path) -> None:
    run(
        sys.executable, "-P", "-m", "homeport", "inspect", f"docker-archive:{archive}", "--format",
        "json", "--cache-dir", str(cache),
    )  # fmt: skip


def measure(name: str, archive: Path, layers: list[Path], peer: str | None, folder: Path) -> None:
    floor = best(lambda: [run("tar", "-tvzf", str(one)) for one in layers])
    caches = iter(range(100))
    first = best(lambda: look(archive, folder / f"cache-{name}-{next(caches)}"))
    second = best(lambda: look(archive, folder / f"cache-{name}-0"))
    print(f"{name:<12} floor (tar -tvzf) {floor:6.2f} s")
    print(f"{'':<12} first look       {first:6.2f} s  {first / floor:.2f} x the floor")
    print(f"{'':<12} second look      {second:6.2f} s")
    if peer:
        answer = str(folder / "dive.json")
        argv = (peer, f"docker-archive://{archive}", "--json", answer)
        taken = best(lambda: run(*argv), 1)
        print(f"{'':<12} {Path(peer).name:<16} {taken:6.2f} s  {taken / first:.1f} x ours")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small-files", type=int, default=60_000, help="files of 4 KiB")
    parser.add_argument("--size", type=int, default=256, help="MiB of the few large files")
    parser.add_argument("--peer", help="dive's program")
    options = parser.parse_args()
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        half = options.small_files // 2
        small = [
            layer([f"l{part}/d{n % 500}/f{n}" for n in range(half)], 4096, part) for part in (0, 1)
        ]
        archive = folder / "small.tar"
        measure("many small", archive, docker_archive(archive, small, folder), options.peer, folder)
        large = [
            layer([f"l{part}/f{n}" for n in range(4)], options.size << 17, part) for part in (0, 1)
        ]
        archive = folder / "large.tar"
        measure("few large", archive, docker_archive(archive, large, folder), options.peer, folder)


if __name__ == "__main__":
    main()
