"""The input of the resolver: roots, pins and omitted packages."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from homeport.debian.package import Package
from homeport.debian.resolution.archive_order import ArchiveOrder
from homeport.debian.version import parse_version
from homeport.errors import UsageError

_ROOT = re.compile(r"([A-Za-z0-9][A-Za-z0-9+.\-]*)(?:=([^/=\s]+))?(?:/([^/=\s]+))?")


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """Which of a package's versions may be selected.

    version: an exact version, or a pattern that ends in ``*``
    suite:   only from there
    """

    version: str | None = None
    suite: str | None = None

    def allows(self, package: Package) -> bool:
        return self._allows_version(package) and self.suite in (None, package.suite)

    def _allows_version(self, package: Package) -> bool:
        if self.version is None:
            return True
        if self.version.endswith("*"):
            return package.file.id.version.startswith(self.version[:-1])
        return package.version == parse_version(self.version)

    def __str__(self) -> str:
        return (f"={self.version}" if self.version else "") + (
            f"/{self.suite}" if self.suite else ""
        )


class Root(msgspec.Struct, frozen=True, kw_only=True):
    """A package that the recipe names.

    follow: whether its Depends and Pre-Depends are followed; not for a sliced package,
            whose slices have their own needs
    """

    name: str
    limit: Limit = Limit()
    follow: bool = True

    def __str__(self) -> str:
        return f"{self.name}{self.limit}"


class ResolveRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A whole request.

    pins:      package name → which versions may be selected, wherever it is chosen
    without:   packages that never enter; dependencies on them are left out and recorded
    keep:      package name → version to prefer while it is available and fits (a lockfile's)
    not_automatic: (archive, suite) whose packages are selected only where nothing else fits, or
               when a root or a pin names them (``NotAutomatic`` in their release files)
    archives:  from which archive each package comes; one that a limit names by suite comes
               from there
    """

    roots: tuple[Root, ...]
    pins: Mapping[str, Limit] = msgspec.field(default_factory=dict)
    without: frozenset[str] = frozenset()
    keep: Mapping[str, str] = msgspec.field(default_factory=dict)
    not_automatic: frozenset[tuple[str, str]] = frozenset()
    archives: ArchiveOrder = ArchiveOrder()

    @property
    def has_own_rules(self) -> bool:
        """Whether anything but the order of archives narrows or orders the choices."""
        limited = any(root.limit != Limit() for root in self.roots)
        return bool(limited or self.pins or self.without or self.keep)

    def limits_of(self, name: str) -> tuple[Limit, ...]:
        """All limits on the versions of ``name``."""
        limits = [root.limit for root in self.roots if root.name == name and root.limit != Limit()]
        return (*limits, *([self.pins[name]] if name in self.pins else []))


def parse_root(text: str, *, follow: bool = True) -> Root:
    """Read ``NAME``, ``NAME=VERSION``, ``NAME/SUITE`` or ``NAME=VERSION/SUITE``."""
    found = _ROOT.fullmatch(text)
    if found is None:
        raise UsageError(f"invalid package {text!r}", hint="write NAME, NAME=VERSION or NAME/SUITE")
    name, version, suite = found.groups()
    if version and not version.endswith("*"):
        parse_version(version)
    return Root(name=name, limit=Limit(version=version, suite=suite), follow=follow)
