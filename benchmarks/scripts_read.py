"""Which packages' maintainer scripts are read, which are known, and which leave a warning.

    .venv/bin/python -P benchmarks/scripts_read.py [--suite trixie] [--platform P] [PACKAGE...]

The packages of `data/server_packages.yaml` (or those named) are locked, a group in a recipe,
with all that they depend on, assembled and not written. A row says of a package's scripts:
`read` (by the interpreter alone), `known` (a file of assemble/system/knowledge says a part or
all), `none` (no script runs at a first installation), `left` (a command is not followed),
`absent` (the suite has no such package). What is left of any package is printed below them,
and why, if the list has a reason for it; without one the exit code is 1.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import msgspec

from homeport.app import App, Settings, open_app
from homeport.assemble.system.knowledge import knowledge_of
from homeport.building.assembled import Assembled, assembled
from homeport.building.request import BuildRequest
from homeport.debian.script_reader import SCRIPTS
from homeport.errors import HomeportError
from homeport.oci.platform import native_platform

DATA = Path(__file__).parent / "data" / "server_packages.yaml"
MIRROR = "http://deb.debian.org/debian"
SUITES = ("bookworm", "trixie", "sid")
_UNKNOWN = re.compile(r"no package is named ([^\s;]+)")
_RECIPE = """\
homeport: 1
name: read
platforms: [{platform}]
archives:
  - {{name: debian, suites: [{suite}]}}
packages: {packages}
"""


class ServerPackages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Packages in groups that can be installed together; ``left``: package → why it warns."""

    packages: dict[str, tuple[str, ...]]
    left: dict[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for names in self.packages.values() for name in names)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one package's scripts. named: the list has it, and not a dependency alone."""

    package: str
    version: str = ""
    state: str
    named: bool = True
    warnings: tuple[str, ...] = ()


def server_packages() -> ServerPackages:
    return msgspec.yaml.decode(DATA.read_bytes(), type=ServerPackages)


def rows(app: App, suite: str, names: Sequence[str], platform: str = "") -> list[Row]:
    """What became of the scripts of ``names`` in one image, and of what they depend on."""
    absent: list[str] = []
    while wanted := [name for name in names if name not in absent]:
        try:
            found = _rows(app, suite, wanted, platform)
        except HomeportError as error:
            unknown = _UNKNOWN.findall(str(error))
            if not unknown:
                raise
            absent += unknown
        else:
            return [*found, *(Row(package=name, state="absent") for name in absent)]
    return [Row(package=name, state="absent") for name in absent]


def _rows(app: App, suite: str, names: Sequence[str], platform: str) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        recipe = _RECIPE.format(
            platform=platform or native_platform(), suite=suite,
            packages=msgspec.json.encode(names).decode(),
        )  # fmt: skip
        Path(folder, "homeport.yaml").write_text(recipe)
        request = BuildRequest(
            recipe=folder, directory=Path(folder), platforms=(platform,) if platform else (),
            as_of=date_of_sid() if suite == "sid" else None,
        )  # fmt: skip
        with assembled(request, app.runtime, app._connections()) as found:
            return list(_rows_of(found, names))


def date_of_sid() -> datetime:
    """Of the mirror's release file, which a mirror may keep longer than it is valid."""
    with urllib.request.urlopen(f"{MIRROR}/dists/sid/InRelease", timeout=60) as answer:
        text = answer.read(4096).decode("utf-8", "replace")
    date = next(line for line in text.splitlines() if line.startswith("Date: "))
    return parsedate_to_datetime(date.removeprefix("Date: ").replace("UTC", "+0000"))


def _rows_of(found: Assembled, names: Iterable[str]) -> Iterator[Row]:
    named = frozenset(names)
    for name, contents in found.contents.items():
        version, known = contents.id.version, knowledge_of(name)
        warnings = tuple(
            each for each in found.warnings
            if each.startswith(f"{name}: ") and " is not run: " in each
        )  # fmt: skip
        state = "read"
        if warnings:
            state = "left"
        elif not any(script in contents.scripts for script in SCRIPTS):
            state = "none"
        elif known is not None and known.holds_for(version):
            state = "known"
        yield Row(
            package=name, version=version, state=state, named=name in named, warnings=warnings
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help="absent: all of the list")
    parser.add_argument("--suite", action="append", choices=SUITES, help="absent: all three")
    parser.add_argument("--platform", default="", help="absent: this machine's")
    options = parser.parse_args()
    groups = [options.packages] if options.packages else [*server_packages().packages.values()]
    unexplained = 0
    with open_app(Settings.load()) as app:
        for suite in options.suite or SUITES:
            found: dict[str, Row] = {}
            for number, names in enumerate(groups, 1):
                print(f"{suite}: image {number} of {len(groups)}", file=sys.stderr, flush=True)
                for row in rows(app, suite, names, options.platform):
                    if row.named or row.package not in found:
                        found[row.package] = row
            unexplained += _print(suite, found.values(), server_packages().left)
    return 1 if unexplained else 0


def _print(suite: str, found: Collection[Row], reasons: Mapping[str, str]) -> int:
    """The table of a suite; how many packages leave a warning that has no reason."""
    for row in sorted(found, key=lambda each: each.package):
        if row.named:
            print(f"{suite:9} {row.state:7} {row.package:28} {row.version}")
    for row in found:
        for warning in row.warnings:
            print(f"{suite:9} {warning}\n    reason: {reasons.get(row.package, 'none')}")
    for named, what in ((True, "named"), (False, "that those depend on")):
        states = Counter(row.state for row in found if row.named is named)
        text = ", ".join(f"{number} {state}" for state, number in states.most_common())
        print(f"{suite}: {sum(states.values())} packages {what}: {text}", flush=True)
    without = [row.package for row in found if row.warnings and row.package not in reasons]
    print(f"{suite}: without a reason: {', '.join(without) or 'none'}", flush=True)
    return len(without)


if __name__ == "__main__":
    sys.exit(main())
