"""How many bytes an update sends again, with one layer, with `layers: auto`, and at the least.

    .venv/bin/python -P benchmarks/layers.py [--at-once]
    .venv/bin/python -P benchmarks/layers.py --record LISTS    # make the recorded data again

Replays real updates: 24 images as main of bookworm (12.15) and trixie (13.8) had them, and what
-updates and -security of 2026-11-28 changed in them (`data/layers.json`: source package, bytes
of its packages, whether it was updated). Each updated source package is one release of the
image, as it was then; `--at-once` replays all of them as one release. In the column `auto` the
layers are made with the counts of the other release alone, so nothing was known of what is
replayed; `shipped` has the counts that Homeport ships, which are of both. Bytes are those of the
packages, which compress like layers.

`--record` reads Packages files of main, -updates and -security (amd64, unpacked) from LISTS,
named `bookworm`, `bookworm-security`, `trixie-updates`…, and also writes the counts that
Homeport ships.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from homeport.assemble import layering
from homeport.debian.version import parse_version
from homeport.recipe.entries import MOST_LAYERS

DATA = Path(__file__).parent / "data" / "layers.json"
COUNTS = Path(layering.__file__).parent / layering.COUNTS
RELEASES = {"bookworm": "12", "trixie": "13"}
IMAGES = {
    "apache": "apache2",
    "chromium": "chromium",
    "curl": "curl ca-certificates",
    "ffmpeg": "ffmpeg",
    "gcc": "gcc g++ make",
    "git": "git openssh-client",
    "golang": "golang-go",
    "haproxy": "haproxy",
    "imagemagick": "imagemagick",
    "jre": "default-jre-headless",
    "libreoffice": "libreoffice-writer-nogui",
    "mariadb": "mariadb-server",
    "nginx": "nginx base-files",
    "node": "nodejs npm",
    "php": "php-cli php-fpm php-mysql php-curl php-xml php-gd",
    "podman": "podman",
    "postfix": "postfix",
    "postgres": "postgresql dash coreutils",
    "python": "python3 python3-pip",
    "redis": "redis-server",
    "slim": "apt dpkg bash coreutils passwd util-linux perl-base tar gzip grep sed findutils login",
    "sshd": "openssh-server",
    "static": "tzdata ca-certificates",
    "tomcat": "tomcat10",
}
HEAD = """\
# How often Debian updates a source package in the life of a release: the N of +debRuN in the
# newest version of main, -updates and -security of bookworm (12.15) and trixie (13.8), the
# larger of the two; 8 at least where each update is a new upstream version. Numbers that end
# a name or come before a dash are left out of it (postgresql-17 is "postgresql-").
# Written by benchmarks/layers.py --record.
"""
Row = tuple[str, int, bool]
Counts = Mapping[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description="Bytes that updates send again")
    parser.add_argument("--at-once", action="store_true", help="all updates in one release")
    parser.add_argument("--record", type=Path, metavar="LISTS")
    args = parser.parse_args()
    if args.record:
        record(args.record)
    data = json.loads(DATA.read_text())
    print(f"{'release':<10}{'image':<13}{'MB':>6}{'updates':>9}", end="")
    print(f"{'one':>9}{'auto':>9}{'shipped':>9}{'least':>9}")
    sums = [0, 0, 0, 0]
    for release, images in data["images"].items():
        (other,) = (counts for name, counts in data["counts"].items() if name != release)
        for image, rows in images.items():
            found = replay(rows, (other, layering.update_counts()), at_once=args.at_once)
            sums = [total + each for total, each in zip(sums, found, strict=True)]
            size, updates = sum(row[1] for row in rows), sum(row[2] for row in rows)
            shown = "".join(f"{each / 1e6:>9.1f}" for each in found)
            print(f"{release:<10}{image:<13}{size / 1e6:>6.0f}{updates:>9}{shown}")
    print(f"{'all':<38}" + "".join(f"{each / 1e6:>9.1f}" for each in sums))
    one, auto, shipped, least = sums
    for name, sent in (("auto", auto), ("shipped", shipped)):
        print(
            f"{name}: {sent / least:.2f} times the least, {1 - sent / one:.0%} less than one layer"
        )


def replay(rows: Iterable[Row], known: Iterable[Counts], *, at_once: bool) -> list[int]:
    """Bytes sent again with one layer, with ``auto`` by each of ``known``, and at the least."""
    sizes = {source: size for source, size, _ in rows}
    updated = [source for source, _, changed in rows if changed]
    one = sum(sizes.values()) * (bool(updated) if at_once else len(updated))
    return [
        one,
        *(sent_again(sizes, updated, counts, at_once=at_once) for counts in known),
        sum(sizes[source] for source in updated),
    ]


def sent_again(
    sizes: Mapping[str, int], updated: list[str], counts: Counts, *, at_once: bool
) -> int:
    layer_of = layering.group_sources(sizes, counts, MOST_LAYERS - 1)
    layers: dict[int, int] = defaultdict(int)
    for source, layer in layer_of.items():
        layers[layer] += sizes[source]
    moved = [layer_of[source] for source in updated]
    return sum(layers[layer] for layer in (set(moved) if at_once else moved))


def record(lists: Path) -> None:
    """Write what the Packages files of ``lists`` say as the recorded data and the counts."""
    images: dict[str, dict[str, list[Row]]] = {}
    counts: dict[str, dict[str, int]] = {}
    for release, number in RELEASES.items():
        old = newest([lists / release])
        new = newest([lists / f"{release}{part}" for part in ("", "-updates", "-security")])
        images[release] = {
            image: sorted(rows_of(closure(old, names.split()), new))
            for image, names in IMAGES.items()
        }
        counts[release] = count(new.values(), number)
    DATA.write_text(json.dumps({"images": images, "counts": counts}, separators=(",", ":")) + "\n")
    both = {
        name: max(each.get(name, 0) for each in counts.values())
        for name in sorted(set().union(*counts.values()))
    }
    COUNTS.write_text(HEAD + "".join(f"{name} {number}\n" for name, number in both.items()))


def newest(files: Iterable[Path]) -> dict[str, dict[str, str]]:
    """Package → the fields of its newest version."""
    found: dict[str, dict[str, str]] = {}
    for file in files:
        for text in file.read_text().split("\n\n"):
            fields = dict(re.findall(r"(?m)^([A-Za-z-]+): *(.*)$", text))
            old = found.get(fields.get("Package", ""))
            if fields and (
                old is None or parse_version(old["Version"]) < parse_version(fields["Version"])
            ):
                found[fields["Package"]] = fields
    return found


def closure(packages: Mapping[str, dict[str, str]], names: list[str]) -> dict[str, dict[str, str]]:
    """The packages that ``names`` depend on; the first alternative that there is."""
    providers: dict[str, list[str]] = defaultdict(list)
    for name, fields in packages.items():
        for provided in re.findall(r"[a-z0-9][a-z0-9+.-]+", fields.get("Provides", "")):
            providers[provided].append(name)
    found: dict[str, dict[str, str]] = {}
    todo = list(names)
    while todo:
        name = todo.pop()
        if name in found or name not in packages:
            continue
        fields = found[name] = packages[name]
        for group in f"{fields.get('Depends', '')},{fields.get('Pre-Depends', '')}".split(","):
            wanted = [re.split(r"[ :(\[]", each.strip())[0] for each in group.split("|")]
            known = [each for each in wanted if each in packages]
            known += [min(providers[each]) for each in wanted if providers.get(each)]
            todo += [each for each in known[:1] if not found.keys() & set(wanted)]
    return found


def rows_of(image: Mapping[str, dict[str, str]], new: Mapping[str, dict[str, str]]) -> list[Row]:
    rows: dict[str, Row] = {}
    for name, fields in image.items():
        source = fields.get("Source", name).split()[0]
        _, size, updated = rows.get(source, ("", 0, False))
        changed = new[name]["Version"] != fields["Version"]
        rows[source] = source, size + int(fields["Size"]), updated or changed
    return list(rows.values())


def count(packages: Iterable[dict[str, str]], number: str) -> dict[str, int]:
    """Source package, without numbers in its name → updates so far."""
    found: dict[str, int] = {}
    for fields in packages:
        source, *version = fields.get("Source", fields["Package"]).split()
        text = version[0] if version else fields["Version"]
        update = re.search(rf"(-0\+|~|\+)deb{number}u(\d+)", text)
        if update:
            least = 0 if update[1] == "+" else 8
            name = layering.without_numbers(source)
            found[name] = max(found.get(name, 0), int(update[2]), least)
    return dict(sorted(found.items()))


if __name__ == "__main__":
    main()
