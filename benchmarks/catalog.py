"""Every recipe of the catalog for all its platforms: time, and sizes beside public images.

    python -m benchmarks.catalog [NAME...] [--no-cache] [--record]

Builds from the shipped lockfiles with the user's cache: ``warm``, into an empty layout, and
``same``, once more into the same one. ``--no-cache`` also measures ``fresh``: from downloads alone.
Processor time is that of all threads, so on two quiet cores a build takes half of it or more;
unlike the time on the clock it says something on a machine that others use too. The last line is
one process that builds all of them, each into a layout of its own. The cache must hold all of it:
the whole catalog is 15 GB of packages, pieces and layers, more than the default ``cache.bound``.
``--record`` writes benchmarks/data/catalog.json, of which docs/catalog is made.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from homeport.recipe.catalog import shipped_catalog

RECORD = Path(__file__).parent / "data" / "catalog.json"
#: What is known of public images for linux/amd64, in MB compressed and unpacked, and from where;
#: none is fetched here. ``None``: not known.
PUBLIC: dict[str, tuple[float | None, float | None, str]] = {
    "sbom-scanner": (26.3, 80.5, "the program of docker/buildkit-syft-scanner, built here"),
    "static": (None, 2.0, "distroless static-debian13: around 2 MiB (its README)"),
}


class Build(NamedTuple):
    """One build: seconds on the clock and of processors, and its document."""

    clock: float
    processor: float
    document: Any


def build(names: str | list[str], output: Path | str, *more: str) -> Build:
    """Build a recipe, or several of them, in a process of its own."""
    recipes = [names] if isinstance(names, str) else names
    start, used = time.monotonic(), _used()
    done = subprocess.run(
        [sys.executable, "-m", "homeport", "build", *recipes, "--locked", "--no-attest",
         "--platform", "all", "-o", f"oci:{output}", "--format", "json", "-q", *more],
        stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return Build(time.monotonic() - start, _used() - used, json.loads(done.stdout))


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Print a line a recipe, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--no-cache", action="store_true")
    asked = parser.parse_args()
    names = asked.names or subprocess.run(
        [sys.executable, "-m", "homeport", "catalog", "list", "-q"],
        stdout=subprocess.PIPE, text=True, check=True,
    ).stdout.split()  # fmt: skip
    if not asked.names:  # these are compiled on an engine, unless the cache has the result
        names = [name for name in names if name not in ("dockerfile", "dockerfile-1.7")]
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    totals: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        layout = Path(folder) / "image"
        print(_HEAD)
        for name in names:
            build(name, layout)  # what it needs is in the cache from here on
            shutil.rmtree(layout)
            built = {"warm": build(name, layout), "same": build(name, layout)}
            # Without the cache an engine would make what recipes compile.
            parts = '"outputs"' in (shipped_catalog().directory / name / f"{name}.lock").read_text()
            if asked.no_cache and not parts:
                built["fresh"] = build(name, layout, "--no-cache")
            shutil.rmtree(layout)
            sizes = {
                image["platform"]: [
                    sum(layer[size] for layer in image["layers"]) for size in ("size", "raw_size")
                ]
                for image in built["warm"].document["platforms"]
            }
            record[name] = sizes
            first = sizes.get("linux/amd64") or next(iter(sizes.values()))
            for kind, each in built.items():
                total = totals.setdefault(kind, [0.0, 0.0])
                totals[kind] = [total[0] + each.clock, total[1] + each.processor]
            times = [value for each in built.values() for value in (each.clock, each.processor)]
            print(
                f"{name:16} {len(sizes):9} {first[0] / 1e6:8.2f} {first[1] / 1e6:8.2f} "
                f"{_times(times)}  {_public(name)}".rstrip(),
                flush=True,
            )
        all_times = [seconds for both in totals.values() for seconds in both]
        print(f"{'all':16} {'':9} {'':8} {'':8} {_times(all_times)}")
        if len(names) > 1:
            each = f"{folder}/{{name}}"
            together = [build(names, each), build(names, each)]
            times = [value for run in together for value in (run.clock, run.processor)]
            print(f"{'in one process':16} {'':9} {'':8} {'':8} {_times(times)}")
    if asked.record:
        known = {name: record[name] for name in sorted(record)}
        RECORD.write_text(json.dumps(known, indent=1) + "\n")


_HEAD = (
    f"{'recipe':16} {'platforms':>9} {'MB':>8} {'raw MB':>8} {'warm s':>8} {'cpu s':>8}"
    f" {'same s':>8} {'cpu s':>8} {'fresh s':>8} {'cpu s':>8}  public image: MB, raw MB"
)


def _times(times: list[float]) -> str:
    return " ".join(f"{each:8.2f}" for each in times)


def _public(name: str) -> str:
    compressed, raw, source = PUBLIC.get(name, (None, None, ""))
    sizes = [f"{size:.1f}" if size else "?" for size in (compressed, raw)]
    return f"{', '.join(sizes)} ({source})" if source else ""


if __name__ == "__main__":
    main()
