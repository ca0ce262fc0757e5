"""Every recipe of the catalog for all its platforms: time, and sizes beside public images.

    python -m benchmarks.catalog [NAME...] [--record]

Builds from the shipped lockfiles with the user's cache, then once more. ``--record`` writes
benchmarks/data/catalog.json, of which docs/catalog is made.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RECORD = Path(__file__).parent / "data" / "catalog.json"
#: What projects say of their images' sizes, for linux/amd64; none is fetched here.
PUBLIC = {
    "static": "distroless static-debian13: around 2 MiB unpacked (its README)",
}


def build(name: str, folder: Path) -> tuple[float, Any]:
    """Seconds and the document of one build."""
    shutil.rmtree(folder, ignore_errors=True)
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "homeport", "build", name, "--locked", "--no-attest", "--platform",
         "all", "-o", f"oci:{folder}", "--format", "json", "-q"],
        stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return time.monotonic() - start, json.loads(done.stdout)


def main() -> None:
    """Print a line a recipe, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--record", action="store_true")
    asked = parser.parse_args()
    names = asked.names or subprocess.run(
        [sys.executable, "-m", "homeport", "catalog", "list", "-q"],
        stdout=subprocess.PIPE, text=True, check=True,
    ).stdout.split()  # fmt: skip
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    warm_total = unchanged_total = 0.0
    with tempfile.TemporaryDirectory() as folder:
        layout = Path(folder) / "image"
        print(
            f"{'recipe':16} {'platforms':>9} {'MB':>8} {'raw MB':>8} {'first s':>7} {'again s':>7}"
        )
        for name in names:
            warm, document = build(name, layout)
            again, _ = build(name, layout)
            sizes = {
                image["platform"]: [
                    sum(layer[size] for layer in image["layers"]) for size in ("size", "raw_size")
                ]
                for image in document["platforms"]
            }
            record[name] = sizes
            first = sizes.get("linux/amd64") or next(iter(sizes.values()))
            print(
                f"{name:16} {len(sizes):9} {first[0] / 1e6:8.2f} {first[1] / 1e6:8.2f}"
                f" {warm:7.1f} {again:7.2f}  {PUBLIC.get(name, '')}".rstrip()
            )
            warm_total += warm
            unchanged_total += again
    print(f"{'all':16} {'':9} {'':8} {'':8} {warm_total:7.1f} {unchanged_total:7.2f}")
    if asked.record:
        known = {name: record[name] for name in sorted(record)}
        RECORD.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
