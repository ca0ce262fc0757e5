"""How long signing and verifying an image of seven platforms takes, on a registry on loopback.

    python benchmarks/attest.py [--rounds N] [--fallback] [--peer PROGRAM]

Wall time of the commands and what they compute (user and system time, which other loads of the
machine change less), best of N, against the limit. The registry is the one of the tests, in a
process of its own; ``--fallback`` makes it one without a list of referrers. ``--peer`` is a cosign,
which verifies the index alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIMIT = 500  # ms, for verifying seven platforms
SERVER = """
import sys
sys.path[:0] = [{tests!r}]
from builders.small_registry import small_registry
with small_registry(referrers={referrers}, page=1000) as registry:
    print(registry.host, flush=True)
    sys.stdin.read()
"""
IMAGE = """
import sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
from builders.signed_images import seven_platforms
from homeport.app import Settings, open_app
from homeport.images.address import parse_destination
with open_app(Settings(cache_dir=Path({cache!r}))) as app:
    app.destination(parse_destination({address!r})).write(seven_platforms(), app.runtime)
"""


@contextmanager
def registry(referrers: bool) -> Iterator[str]:
    code = SERVER.format(tests=str(ROOT / "tests"), referrers=referrers)
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def timed(*command: str) -> tuple[float, float]:
    """Milliseconds until the command ended, and of processor time."""
    began, before = time.perf_counter(), os.times()
    subprocess.run(command, check=True, capture_output=True)
    took, after = time.perf_counter() - began, os.times()
    busy = sum(after[2:4]) - sum(before[2:4])
    return took * 1000, busy * 1000


def row(name: str, found: tuple[float, float], limit: str = "") -> None:
    print(f"{name:23} {found[0]:7.0f} ms, {found[1]:5.0f} ms CPU   {limit}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--fallback", action="store_true")
    parser.add_argument("--peer", metavar="PROGRAM")
    options = parser.parse_args()
    with registry(not options.fallback) as host, tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ |= {"COSIGN_PASSWORD": "x", "HOMEPORT_CACHE_DIR": f"{folder}/cache"}
        address = f"{host}/team/tool:1"
        image = IMAGE.format(tests=str(ROOT / "tests"), cache=f"{folder}/other", address=address)
        subprocess.run([sys.executable, "-c", image], check=True)
        homeport = (sys.executable, "-m", "homeport")
        row("key generate", timed(*homeport, "key", "generate", "-o", "k"))
        row("sign, 16 signatures", timed(*homeport, "sign", address, "--key", "k.key"))
        for name, command, limit in (
            ("sign again", ("sign", address, "--key", "k.key"), ""),
            ("verify, 8 manifests", ("verify", address, "--key", "k.pub"), f"limit {LIMIT} ms"),
        ):
            row(name, min(timed(*homeport, *command) for _ in range(options.rounds)), limit)
        if options.peer:
            peer = (options.peer, "verify", "--key", "k.pub", "--insecure-ignore-tlog",
                    "--allow-http-registry", address)  # fmt: skip
            row("cosign, the index alone", min(timed(*peer) for _ in range(3)))


if __name__ == "__main__":
    main()
