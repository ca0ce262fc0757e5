"""Modules and crates that compiled programs say they were built from, as packages.

Go's build information and cargo-auditable's data; names found in strings alone are not
taken for packages.
"""

from __future__ import annotations

from collections.abc import Iterator

from homeport.inspection.binaries.elf import MAGIC as ELF_MAGIC
from homeport.inspection.binaries.facts import BinaryFacts
from homeport.inspection.opened import Opened
from homeport.inspection.paths import shown_path
from homeport.inspection.report import Package


def compiled_packages(opened: Opened) -> Iterator[Package]:
    """Every module and crate of every program of the final tree, with the program's path."""
    for path, facts in final_binaries(opened):
        where = shown_path(path)
        if facts.go is not None:
            modules = [facts.go.module] if facts.go.module else []
            for module in (*modules, *facts.go.dependencies):
                yield Package(manager="go", name=module.path, version=module.version, where=where)
            for name, version in ({} if facts.go.dependencies else facts.go.versions).items():
                yield Package(manager="go", name=name, version=version, where=where)
        if facts.rust is not None and facts.rust.crates_by == "audit data":
            for crate in facts.rust.crates:
                yield Package(manager="rust", name=crate.name, version=crate.version, where=where)


def final_binaries(opened: Opened) -> Iterator[tuple[bytes, BinaryFacts]]:
    """The ELF files of the final tree and what they say, in the order of paths."""
    final = opened.history.final
    for path in sorted(path for path in final if final[path].entry.start == ELF_MAGIC):
        if facts := opened.binaries.get(final[path].entry.sha256):
            yield path, facts
