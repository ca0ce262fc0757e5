"""How long builds take, beside other ways of making the same image.

    .venv/bin/python -P benchmarks/build.py [--runs N] [--work DIR] [--peer NAME=COMMAND]…

Prints one table: wall and processor seconds and the largest process's memory, medians of N
runs. Rows of Homeport use a cache of their own. The rows of mmdebstrap + umoci need root or
user namespaces and both programs (Debian has them); without them they say so. A ``--peer`` is
a command line that builds an image of the same packages in an empty working directory, for
example ``--peer 'apko=apko build apko.yaml t out.tar'``.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import homeport

HOMEPORT = [sys.executable, "-m", "homeport"]
NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


@dataclass(frozen=True)
class Run:
    """One finished command: seconds, seconds of processor, bytes of its largest process."""

    wall: float
    processor: float
    memory: int


def measure(command: list[str], *, cwd: Path, env: dict[str, str]) -> Run:
    """Run ``command`` to its end; fail loudly if it fails."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(command, cwd=cwd, env=env, stdout=log, stderr=log)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            log.seek(0)
            raise SystemExit(f"{shlex.join(command)} failed:\n{log.read().decode()[-2000:]}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def row(name: str, runs: list[Run]) -> None:
    print(
        f"{name:<48} {statistics.median(r.wall for r in runs):>8.2f} "
        f"{statistics.median(r.processor for r in runs):>8.2f} "
        f"{max(r.memory for r in runs) / 1e6:>8.0f}",
        flush=True,
    )


class Homeport:
    """Homeport with a cache and a copy of the recipe of its own."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.cache = work / "cache"
        self.env = {**os.environ, "HOMEPORT_CACHE_DIR": str(self.cache), "HOMEPORT_QUIET": "1"}
        self.recipe = work / "recipe" / "homeport.yaml"
        self.recipe.parent.mkdir()
        self.recipe.write_text(
            "homeport: 1\nname: dockerfile-copy\nextends: dockerfile-copy\n"
            "files:\n  - from: local\n    to: /etc/local\n"
        )
        (self.recipe.parent / "local").write_text("0\n")
        # The catalog's packages, so that a mirror in mid-sync does not stand in the way.
        catalog = Path(homeport.__file__).parent / "catalog/dockerfile-copy"
        shutil.copy(catalog / "dockerfile-copy.lock", self.recipe.parent)

    def build(self, *options: str) -> Run:
        output = self.work / "out"
        shutil.rmtree(output, ignore_errors=True)
        command = [*HOMEPORT, "build", str(self.recipe), "-o", f"oci:{output}", *options]
        return measure(command, cwd=self.work, env=self.env)

    def cold(self) -> Run:
        shutil.rmtree(self.cache, ignore_errors=True)
        return self.build()

    def changed(self, number: int) -> Run:
        (self.recipe.parent / "local").write_text(f"{number} {time.time_ns()}\n")
        return self.build()


def homeport_rows(work: Path, runs: int) -> list[str]:
    bench = Homeport(work)
    bench.build("--locked")  # resolving is measured by benchmarks/index.py
    row("homeport, 7 platforms, cold with downloads", [bench.cold() for _ in range(runs)])
    row(
        "homeport, 7 platforms, only packages cached",
        [bench.build("--no-cache") for _ in range(runs)],
    )
    row(
        "homeport, 7 platforms, one local file changed",
        [bench.changed(number) for number in range(runs)],
    )
    row("homeport, 7 platforms, nothing changed", [bench.build() for _ in range(runs)])
    native = f"linux/{NATIVE}"
    row(
        f"homeport, {native}, only packages cached",
        [bench.build("--no-cache", "--platform", native) for _ in range(runs)],
    )
    row(
        f"homeport, {native}, nothing changed",
        [bench.build("--platform", native) for _ in range(runs)],
    )
    done = subprocess.run(
        [*HOMEPORT, "build", str(bench.recipe), "-o", f"oci:{work}/out", "--format", "json"],
        cwd=work,
        env=bench.env,
        capture_output=True,
        check=True,
    )
    platforms = json.loads(done.stdout)["platforms"]
    return next(p["packages"] for p in platforms if p["platform"] == native)


def mmdebstrap_row(work: Path, packages: list[str], runs: int) -> None:
    name = f"mmdebstrap + umoci, linux/{NATIVE}, same packages"
    missing = [tool for tool in ("mmdebstrap", "umoci") if shutil.which(tool) is None]
    if missing:
        print(f"{name:<48} not run: no {' and no '.join(missing)} here")
        return
    script = (
        "set -e; rm -rf root oci;"
        f"mmdebstrap --quiet --variant=extract --include={','.join(packages)} "
        f"--architectures={NATIVE} trixie root $MIRROR;"
        "umoci --log error init --layout oci; umoci --log error new --image oci:t;"
        "umoci --log error insert --image oci:t root /"
    )
    mirror = os.environ.get("HOMEPORT_DEBIAN_MIRROR", "")
    env = {**os.environ, "MIRROR": mirror}
    folder = work / "mmdebstrap"
    folder.mkdir()
    row(name, [measure(["sh", "-c", script], cwd=folder, env=env) for _ in range(runs)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--work", type=Path, help="a directory on the filesystem to measure")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    options = parser.parse_args()
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, {options.runs} runs")
    print(f"{'':<48} {'wall s':>8} {'cpu s':>8} {'MB':>8}")
    with tempfile.TemporaryDirectory(dir=options.work) as name:
        work = Path(name)
        packages = homeport_rows(work, options.runs)
        mmdebstrap_row(work, packages, min(options.runs, 3))
        for number, peer in enumerate(options.peer):
            title, _, command = peer.partition("=")
            folder = work / f"peer{number}"
            folder.mkdir()
            shell = ["sh", "-c", command]
            env = dict(os.environ)
            row(title, [measure(shell, cwd=folder, env=env) for _ in range(options.runs)])


if __name__ == "__main__":
    main()
