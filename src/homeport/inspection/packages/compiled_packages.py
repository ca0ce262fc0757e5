"""Modules and crates recorded in compiled programs, as packages.

Go's build information and cargo-auditable's data; names found only in strings are not
listed as packages. Go's own library, which has vulnerabilities of its own, is the module
``stdlib`` in the version of Go, as in advisories (vuln.go.dev, OSV) and in lists of syft and trivy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from homeport.inspection.binaries.facts import BinaryFacts
from homeport.inspection.model import Package
from homeport.printable import path_text


def compiled_packages(programs: Iterable[tuple[bytes, BinaryFacts]]) -> Iterator[Package]:
    """Every module and crate of programs, with the program's path."""
    for path, facts in programs:
        where = path_text(path)
        if facts.go is not None:
            modules = [facts.go.module] if facts.go.module else []
            for module in (*modules, *facts.go.dependencies):
                yield Package(
                    manager="go", name=module.path, version=module.version, recorded_in=where
                )
            for name, version in ({} if facts.go.dependencies else facts.go.versions).items():
                yield Package(manager="go", name=name, version=version, recorded_in=where)
            # A distribution's builds record no modules: its own advisories are about these.
            if modules or facts.go.dependencies:
                release, _, _experiments = facts.go.version.removeprefix("go").partition(" X:")
                yield Package(manager="go", name="stdlib", version=release, recorded_in=where)
        if facts.rust is not None and facts.rust.crates_evidence == "audit data":
            for crate in facts.rust.crates:
                yield Package(
                    manager="rust", name=crate.name, version=crate.version, recorded_in=where
                )
