"""What a search for packages has chosen so far, and the points to which it can go back.

State and its bookkeeping only; what to do next is ``debian.resolve``.
"""

from __future__ import annotations

from collections import deque

import msgspec

from homeport.debian.package import Package, PackageId
from homeport.debian.relations import Alternatives, Relation
from homeport.debian.resolution.explain import Why

#: Numbers of the choices on which something rests.
Reasons = frozenset[int]
NO_REASONS: Reasons = frozenset()


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A dependency that was not followed because the recipe leaves ``name`` out."""

    name: str
    by: PackageId
    field: str
    text: str


class Demand(msgspec.Struct, frozen=True):
    """Something that has to be fulfilled; ``by`` is ``None`` for a root."""

    group: Alternatives
    why: Why
    reasons: Reasons


class Taken(msgspec.Struct, frozen=True):
    package: Package
    why: Why
    reasons: Reasons


class State(msgspec.Struct):
    """What is chosen so far, and what is still to be fulfilled.

    carriers:  name → chosen packages that have or provide it
    enemies:   name → chosen packages with a conflict that names it
    waiting:   demands with more than one possibility
    settled:   how many packages were taken when those were last looked at
    """

    taken: dict[str, Taken] = msgspec.field(default_factory=dict)
    carriers: dict[str, tuple[Package, ...]] = msgspec.field(default_factory=dict)
    enemies: dict[str, tuple[tuple[Package, Relation], ...]] = msgspec.field(default_factory=dict)
    left_out: set[LeftOut] = msgspec.field(default_factory=set)
    queue: deque[Demand] = msgspec.field(default_factory=deque)
    waiting: list[Demand] = msgspec.field(default_factory=list)
    settled: int = -1

    def copy(self) -> State:
        return State(
            dict(self.taken),
            dict(self.carriers),
            dict(self.enemies),
            set(self.left_out),
            deque(self.queue),
            list(self.waiting),
            self.settled,
        )

    def add(self, package: Package, why: Why, reasons: Reasons) -> None:
        """Choose ``package``."""
        self.taken[package.name] = Taken(package, why, reasons)
        for name in _names(package):
            self.carriers[name] = (*self.carriers.get(name, ()), package)
        for relation in (*package.conflicts, *package.breaks):
            enemies = self.enemies.get(relation.name, ())
            self.enemies[relation.name] = (*enemies, (package, relation))

    def hurdle(self, package: Package) -> tuple[str, Reasons] | None:
        """Why ``package`` does not go together with what is chosen, and on what that rests."""
        if taken := self.taken.get(package.name):
            return f"{_id(taken.package)} is chosen already", taken.reasons
        for relation in (*package.conflicts, *package.breaks):
            for other in self.carriers.get(relation.name, ()):
                if _touches(relation, other):
                    return f"it conflicts with {_id(other)}", self.taken[other.name].reasons
        for name in _names(package):
            for other, relation in self.enemies.get(name, ()):
                if _touches(relation, package):
                    return f"{_id(other)} conflicts with it", self.taken[other.name].reasons
        return None


class Choice(msgspec.Struct):
    """A point to come back to: the demand, what has not been tried, what stood in the way.

    fallback: whether what is tried now is a lower version of what was tried before
    """

    state: State
    demand: Demand
    tried: str
    untried: list[Package]
    base: Reasons
    failed: Reasons = NO_REASONS
    fallback: bool = False


def _names(package: Package) -> tuple[str, ...]:
    """What a package is called: its name and everything it provides."""
    provided = (relation.name for relation in package.provides)
    return tuple(dict.fromkeys((package.name, *provided)))


def _touches(relation: Relation, package: Package) -> bool:
    """Whether a conflict's relation means ``package`` (Debian Policy 7.4 and 7.5)."""
    if relation.name == package.name:
        return relation.allows(package.version)
    versions = [given.version for given in package.provides if given.name == relation.name]
    if relation.version is None:
        return bool(versions)
    return any(version is not None and relation.allows(version) for version in versions)


def _id(package: Package) -> str:
    return f"{package.name} {package.version}"
