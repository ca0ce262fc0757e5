"""Packages as an index describes them, and an index in memory.

index(package("a", depends="b (>= 2) | c"), package("b", "1.0"))
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable

from builders.deb import control_text
from homeport.debian.package import Package, parse_package


def package(
    name: str,
    version: str = "1.0",
    architecture: str = "amd64",
    *,
    suite: str = "trixie",
    archive: str = "debian",
    **fields: str,
) -> Package:
    """A package; ``pre_depends="x"`` becomes ``Pre-Depends: x``."""
    headers = {key.replace("_", "-").title(): value for key, value in fields.items()}
    control = control_text(name, version, architecture, fields=headers)
    digest = hashlib.sha256(control.encode()).hexdigest()
    where = f"pool/main/{name[0]}/{name}/{name}_{version}_{architecture}.deb"
    text = f"{control}Filename: {where}\nSize: 1000\nSHA256: {digest}\n"
    return parse_package(text.encode(), archive, suite)


class MemoryIndex:
    """The packages of one architecture, all in memory."""

    def __init__(self, packages: Iterable[Package]) -> None:
        self._named: dict[str, list[Package]] = {}
        self._providers: dict[str, list[Package]] = {}
        for each in packages:
            self._named.setdefault(each.name, []).append(each)
            for name in dict.fromkeys(relation.name for relation in each.provides):
                self._providers.setdefault(name, []).append(each)
        for same in self._named.values():
            same.sort(key=lambda each: each.version, reverse=True)
        for same in self._providers.values():
            same.sort(key=lambda each: each.name)

    def named(self, name: str) -> tuple[Package, ...]:
        return tuple(self._named.get(name, ()))

    def providers(self, virtual: str) -> tuple[Package, ...]:
        return tuple(self._providers.get(virtual, ()))

    def near_names(self, name: str) -> tuple[str, ...]:
        return tuple(difflib.get_close_matches(name, self._named, n=3))


def index(*packages: Package) -> MemoryIndex:
    return MemoryIndex(packages)
