"""What a fleet costs: many recipes on seven platforms over a generated, signed archive.

    .venv/bin/python -P benchmarks/fleet.py [--sizes 50,200,1000] [--work DIR]

Makes an archive of 300 packages, recipes that take 6 to 14 of them, and their lockfiles; then the
archive moves: a fix that touches every recipe, some that touch a few, a rebuild on one
architecture. Prints seconds and the largest memory of ``outdated`` and of ``update --dry-run`` on
the whole tree, each in a process of its own with what earlier runs cached, and how they grow.
Exit code 1 if a size of 1,000 or more passes a bound of issue 22: ``outdated`` 10 s, the plan
60 s, 500 MB.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from builders.archive import SEVEN, Archive, archive, suite
from builders.deb import deb

HOMEPORT = [sys.executable, "-P", "-m", "homeport"]
PACKAGES = 300
BOUNDS = {"outdated": 10.0, "update": 60.0}
MOST_MEMORY = 500e6
_LINE = "{:<10} {:>8} {:>8} {:>10} {:>10} {:>5}  {}"


@dataclass(frozen=True)
class Run:
    """One finished command: seconds, seconds of processor, bytes of memory, and its JSON."""

    seconds: float
    processor: float
    memory: int
    document: dict[str, object]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sizes", default="50,200,1000", help="numbers of recipes")
    options.add_argument("--work", type=Path, help="an empty folder that stays")
    asked = options.parse_args()
    sizes = sorted(int(word) for word in asked.sizes.split(","))
    with tempfile.TemporaryDirectory(prefix="homeport-fleet-") as temporary:
        work = asked.work or Path(temporary)
        work.mkdir(exist_ok=True)
        missed = run(work, sizes)
    for line in missed:
        print(f"missed: {line}")
    sys.exit(1 if missed else 0)


def run(work: Path, sizes: list[int]) -> list[str]:
    """Measure every size; what passes its bound."""
    now = datetime.now(UTC).replace(microsecond=0)
    mirror = archive(work / "mirror", [suite(date=now - timedelta(days=9), valid_for=None)])
    publish(mirror, now - timedelta(days=8), moved=False)
    (work / "key.asc").write_bytes(mirror.certificate)
    env = {**os.environ, "HOMEPORT_CACHE_DIR": str(work / "cache"), "HOMEPORT_QUIET": "1"}
    fleet = work / "fleet"
    write_recipes(fleet, mirror, work / "key.asc", sizes[-1])
    began = time.perf_counter()
    for kind in range(KINDS):
        lock_kind(fleet, kind, sizes[-1], env)
    print(f"{sizes[-1]} lockfiles of {len(SEVEN)} platforms in {time.perf_counter() - began:.1f} s")
    publish(mirror, now - timedelta(hours=1), moved=True)
    print(_LINE.format("command", "recipes", "seconds", "processor", "ms/recipe", "MB", "found"))
    measure(["outdated", str(fleet / "r00000")], env)  # the new state's indexes are cached now
    measure(["update", str(fleet / "r00000"), "--dry-run"], env)
    return [line for size in sizes for line in measure_size(fleet, size, env)]


def measure_size(fleet: Path, size: int, env: dict[str, str]) -> list[str]:
    missed = []
    wanted = [str(fleet / f"r{number:05}") for number in range(size)]
    if size == len(list(fleet.iterdir())):
        wanted = [str(fleet)]
    for command, options in (("outdated", ["--no-inputs"]), ("update", ["--dry-run"])):
        done = measure([command, *wanted, *options], env)
        found = summary(command, done.document)
        row = (command, size, f"{done.seconds:.2f}", f"{done.processor:.2f}",
               f"{1000 * done.seconds / size:.1f}", f"{done.memory / 1e6:.0f}", found)  # fmt: skip
        print(_LINE.format(*row), flush=True)
        if size >= 1000 and done.seconds > BOUNDS[command]:
            missed.append(f"{command} of {size} recipes took {done.seconds:.1f} s")
        if size >= 1000 and done.memory > MOST_MEMORY:
            missed.append(f"{command} of {size} recipes took {done.memory / 1e6:.0f} MB")
    return missed


def summary(command: str, document: dict[str, object]) -> str:
    """What was found, so that a fast run that did nothing is seen."""
    if command == "outdated":
        subjects = document["subjects"]
        assert isinstance(subjects, list)
        return f"{sum(len(subject['changes']) for subject in subjects)} changes"
    recipes = document["recipes"]
    assert isinstance(recipes, list)
    updated = [recipe for recipe in recipes if recipe["outcome"] == "updated"]
    failed = [recipe for recipe in recipes if recipe["outcome"] == "failed"]
    if failed:
        raise SystemExit(f"{failed[0]['name']} failed: {failed[0]['error']}")
    return f"{len(updated)} would be updated"


def measure(arguments: list[str], env: dict[str, str]) -> Run:
    """Run a command to its end, with its memory. Exit code 4 is an answer."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as log:
        began = time.perf_counter()
        child = subprocess.Popen(
            [*HOMEPORT, *arguments, "--format", "json"], env=env, stdout=out, stderr=log
        )
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        log.seek(0)
        text = out.read()
        if child.returncode not in (0, 4):
            raise SystemExit(f"homeport {arguments[0]} failed:\n{log.read().decode()[-2000:]}")
    # Standard output has the document first, and an error's document after it.
    document, _ = json.JSONDecoder().raw_decode(text.decode())
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, document)


KINDS = 25
PLATFORMS = (
    "linux/amd64, linux/arm64, linux/arm/v7, linux/386, linux/ppc64le, linux/riscv64, linux/s390x"
)


def names_of(kind: int) -> list[str]:
    """The packages that recipes of one kind take; ``lib0`` is in all."""
    choose = random.Random(kind)
    return sorted({"lib0", *(f"lib{choose.randrange(1, PACKAGES)}" for _ in range(6 + kind % 9))})


def write_recipes(fleet: Path, mirror: Archive, key: Path, count: int) -> None:
    for number in range(count):
        folder = fleet / f"r{number:05}"
        folder.mkdir(parents=True)
        names = ", ".join(f'"{name}"' for name in names_of(number % KINDS))
        (folder / "key.asc").write_bytes(key.read_bytes())
        (folder / "homeport.yaml").write_text(
            f"homeport: 1\nname: r{number:05}\nplatforms: [{PLATFORMS}]\n"
            f"archives:\n  - name: fleet\n    suites: [trixie]\n"
            f"    mirrors: ['{mirror.url}']\n    keys: [key.asc]\n"
            f"packages: [{names}]\nsteps: {{os_release: false}}\n"
        )


def lock_kind(fleet: Path, kind: int, count: int, env: dict[str, str]) -> None:
    """Lock one recipe of a kind; the others of it have the same lockfile but for their name."""
    first = fleet / f"r{kind:05}"
    if not first.is_dir():
        return
    command = [*HOMEPORT, "lock", str(first)]
    done = subprocess.run(command, env=env, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"homeport lock {first} failed:\n{done.stderr.decode()[-2000:]}")
    text = (first / f"r{kind:05}.lock").read_text()
    for number in range(kind + KINDS, count, KINDS):
        name = f"r{number:05}"
        (fleet / name / f"{name}.lock").write_text(text.replace(f"r{kind:05}", name))


def publish(mirror: Archive, date: datetime, *, moved: bool) -> None:
    packages: list[bytes] = []
    for number in range(PACKAGES):
        version = "1.0-1"
        if moved and (number == 0 or number % 40 == 1):
            version = "1.0-1+deb13u1"
        name = f"lib{number}"
        depends = f"lib0 (>= 1.0), lib{number // 2}" if number > 1 else ""
        for architecture in SEVEN:
            mine = "1.0-1+b1" if moved and number == 5 and architecture == "s390x" else version
            packages.append(package(name, mine, architecture, depends))
    mirror.publish(suite(packages=packages, date=date, valid_for=None, version="13.7"))


def package(name: str, version: str, architecture: str, depends: str) -> bytes:
    log = (
        f"{name} ({version}) trixie; urgency=medium\n\n  * Fix CVE-2026-{1000 + len(name)}.\n\n"
        " -- A <a@fleet.example>  Fri, 09 Jan 2026 10:00:00 +0000\n"
    )
    doc = f"usr/share/doc/{name}"
    relations = {"depends": depends} if depends else {}
    source = {"Source": f"{name} (1.0-1)"} if "+b" in version else None
    return deb(
        name, version, architecture, fields=source,
        files={
            f"usr/lib/{name}.so": f"{version} {architecture}".encode() * 40,
            f"{doc}/copyright": b"free",
            f"{doc}/changelog.Debian.gz": gzip.compress(log.encode(), mtime=0),
        },
        **relations,
    )  # fmt: skip


if __name__ == "__main__":
    main()
