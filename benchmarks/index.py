"""How long package indexes take: unpacking once, opening and asking them afterwards.

    .venv/bin/python -P benchmarks/index.py [--architectures amd64,arm64] [--runs N] [--mirror URL]

Fetches Debian's ``main`` indexes of trixie through this machine's mirror into a throw-away
cache, then measures without the network; medians of N runs, one process. Beside it: what it
would cost to unpack the xz file each time, and to read every field of every stanza.
"""

from __future__ import annotations

import argparse
import lzma
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from homeport.content.blob import Blob
from homeport.content.store import Store
from homeport.content.thread_pools import Pools
from homeport.debian.archive.apt_sources import read_apt_sources
from homeport.debian.archive.keyring import debian_keyring
from homeport.debian.archive.mirror import ExpectedFile
from homeport.debian.archive.mirror_list import MirrorSources, open_mirrors
from homeport.debian.archive.release import index_files, plain_digest
from homeport.debian.archive.release_candidates import read_candidate, suite_location
from homeport.debian.archive.state import SuiteSpec
from homeport.debian.index.index import IndexPart, MergedIndex, open_index, pack_index
from homeport.debian.listed_file import ListedFile
from homeport.net.client import Client
from homeport.progress import CancelToken, Silent
from homeport.runtime import Runtime

#: The closure of Debian's smallest Python with its whole library.
NAMES = [
    "gcc-14-base",
    "libc6",
    "libexpat1",
    "libgcc-s1",
    "libpython3.13-minimal",
    "libssl3t64",
    "libzstd1",
    "openssl-provider-legacy",
    "python3.13-minimal",
    "zlib1g",
    "libbz2-1.0",
    "liblzma5",
    "libffi8",
    "libpython3.13-stdlib",
    "tzdata",
    "media-types",
    "netbase",
    "readline-common",
    "libuuid1",
    "libtinfo6",
    "libsqlite3-0",
    "libreadline8t64",
    "libncursesw6",
    "libdb5.3t64",
    "debconf",
]

Index = tuple[ListedFile, ListedFile, Blob]


def fetch(architectures: list[str], mirror: list[str], cache: Path) -> list[Index]:
    """The indexes, as files of a cache of their own."""
    cancel = CancelToken()
    with Client(cancel=cancel) as client, Pools(cancel) as pools:
        sources = MirrorSources(option=mirror, apt=read_apt_sources())
        mirrors = open_mirrors(["debian"], sources, client).of("debian")
        spec = SuiteSpec(
            archive="debian", suite="trixie", keyring=debian_keyring("debian", "trixie")
        )
        found = []
        for name in ("trixie", "stable"):  # the alias, while the mirror is in mid-sync
            place = suite_location(spec, mirrors[0], name)
            release = read_candidate(spec, place).release
            try:
                for architecture in architectures[len(found) :]:
                    form = index_files(release, "main", architecture)[0][0]
                    plain = plain_digest(release, form)
                    assert plain is not None
                    folder = f"{place.directory}/{form.path.rpartition('/')[0]}/by-hash/SHA256"
                    wanted = ExpectedFile(
                        path=f"{folder}/{form.digest.hex}", digest=form.digest, size=form.size
                    )
                    runtime = Runtime(
                        store=Store(cache), pools=pools, progress=Silent(), cancel=cancel
                    )
                    found.append((form, plain, mirrors[0].fetch(wanted, runtime)))
            except Exception as error:
                print(f"# {name}: {error}", file=sys.stderr)
            if len(found) == len(architectures):
                return found
    raise SystemExit("the mirror does not have all these indexes")


def median_ms(run: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def unpack_each_time(indexes: list[Index]) -> None:
    for _, _, blob in indexes:
        with blob.open() as stream:
            lzma.decompress(stream.read())


def read_every_field(indexes: list[Index]) -> None:
    for _, _, blob in indexes:
        with blob.open() as stream:
            text = lzma.decompress(stream.read())
        for stanza in text.split(b"\n\n"):
            dict(line.partition(b": ")[::2] for line in stanza.split(b"\n"))


def pack_all(indexes: list[Index], workers: int) -> None:
    cancel = CancelToken()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
        store = Store(Path(folder))
        work = [
            pool.submit(pack_index, blob, form, plain, store, cancel)
            for form, plain, blob in indexes
        ]
        for item in work:
            item.result()


def open_and_ask(indexes: list[Index], store: Store) -> None:
    for _, plain, _ in indexes:
        packed = open_index(plain.digest, store)
        assert packed is not None
        index = MergedIndex("any", [IndexPart(packed=packed, archive="debian", suite="trixie")])
        for name in NAMES:
            index.named(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architectures", default="amd64")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--mirror", action="append", default=[])
    options = parser.parse_args()
    architectures = options.architectures.split(",")
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        indexes = fetch(architectures, options.mirror, cache)
        store = Store(cache)
        for form, plain, blob in indexes:
            pack_index(blob, form, plain, store, CancelToken())
        packed = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows = {
            "unpack xz every time": partial(unpack_each_time, indexes),
            "unpack and read every field, in Python": partial(read_every_field, indexes),
            "first time: verify, unpack, pack (1 thread)": partial(pack_all, indexes, 1),
            "first time: verify, unpack, pack (2 threads)": partial(pack_all, indexes, 2),
            f"afterwards: open and ask {len(NAMES)} names": partial(open_and_ask, indexes, store),
        }
        size = sum(plain.size for _, plain, _ in indexes) / 1e6
        print(f"{len(indexes)} indexes, {size:.0f} MB of text; medians of {options.runs}, ms")
        for name, run in rows.items():
            print(f"{name:<48}{median_ms(run, options.runs):>10.1f}", flush=True)
        print(f"{'memory of the process after packing, MB':<48}{packed:>10.0f}")


if __name__ == "__main__":
    main()
