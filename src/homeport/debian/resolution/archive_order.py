"""From which of several archives a package comes: the first that has it.

Without this rule the highest version wins, and any archive of a recipe could replace any
package of another, for example Debian's libc6, unnoticed. Two suites of one archive are one
source, and so are ``debian`` and ``debian-security``: security updates replace packages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from homeport.debian.package import Package, PackageId


class ArchiveOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The order of archives; empty: all are one source.

    ranks:     archive → rank, lowest first; archives of one rank are one source
    overrides: archive → names of packages that it replaces although others precede it
    """

    ranks: Mapping[str, int] = msgspec.field(default_factory=dict)
    overrides: Mapping[str, frozenset[str]] = msgspec.field(default_factory=dict)

    @property
    def is_one_source(self) -> bool:
        return len(set(self.ranks.values())) <= 1

    @property
    def only_rank(self) -> int:
        """The rank of every package, where all archives are one source."""
        return min(self.ranks.values(), default=0)

    def rank_of(self, package: Package) -> int:
        return self.ranks.get(package.file.archive, self.only_rank)

    def first_rank(self, name: str, packages: Iterable[Package]) -> int | None:
        """The rank whose packages count for ``name``, real or provided; ``None``: there is none.

        An archive that lists ``name``, or the package that provides it, precedes the others.
        """
        ranks: list[int] = []
        listed: list[int] = []
        for package in packages:
            names = self.overrides.get(package.file.archive, frozenset())
            chosen = listed if name in names or package.name in names else ranks
            chosen.append(self.rank_of(package))
        return min(listed or ranks, default=None)


class HigherElsewhere(msgspec.Struct, frozen=True, kw_only=True):
    """A higher version of a selected package, in an archive that others precede."""

    selected: PackageId
    selected_archive: str
    higher: PackageId
    archive: str

    def __str__(self) -> str:
        return (
            f"{self.selected.name}: the archive {self.archive} has {self.higher.version}, which is "
            f"higher; {self.selected.version} of {self.selected_archive} is used, which precedes it"
        )


def higher_elsewhere(
    selected: Package, others: Iterable[Package], order: ArchiveOrder
) -> HigherElsewhere | None:
    """The highest version in an archive after that of ``selected``, if it is a higher one."""
    higher = [
        other
        for other in others
        if order.rank_of(other) > order.rank_of(selected) and other.version > selected.version
    ]
    if not higher:
        return None
    best = max(higher, key=lambda package: package.version)
    return HigherElsewhere(
        selected=selected.id,
        selected_archive=selected.file.archive,
        higher=best.id,
        archive=best.file.archive,
    )
