"""The state of a search for packages, and the choices to which it can return.

State and its bookkeeping only; what to do next is ``resolution.resolve``.
"""

from __future__ import annotations

from collections import deque

import msgspec

from homeport.debian.package import Package, PackageId
from homeport.debian.relations import Alternatives, Relation
from homeport.debian.resolution.explain import Why

#: Numbers of the choices that a result depends on.
Reasons = frozenset[int]
NO_REASONS: Reasons = frozenset()


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A dependency that was not followed because the recipe leaves ``name`` out."""

    name: str
    by: PackageId
    field: str
    text: str


class Requirement(msgspec.Struct, frozen=True):
    """Alternatives of which one must be selected; ``why.by`` is ``None`` for a root."""

    group: Alternatives
    why: Why
    reasons: Reasons


class Selected(msgspec.Struct, frozen=True):
    package: Package
    why: Why
    reasons: Reasons


class State(msgspec.Struct):
    """What is selected so far, and which requirements are open.

    providers:   name → chosen packages that have or provide it
    conflicting: name → chosen packages with a conflict that names it
    deferred:    requirements with more than one possibility
    checked_at:  how many packages were selected when the deferred ones were last tried
    """

    selected: dict[str, Selected] = msgspec.field(default_factory=dict)
    providers: dict[str, tuple[Package, ...]] = msgspec.field(default_factory=dict)
    conflicting: dict[str, tuple[tuple[Package, Relation], ...]] = msgspec.field(
        default_factory=dict
    )
    left_out: set[LeftOut] = msgspec.field(default_factory=set)
    queue: deque[Requirement] = msgspec.field(default_factory=deque)
    deferred: list[Requirement] = msgspec.field(default_factory=list)
    checked_at: int = -1

    def copy(self) -> State:
        return State(
            dict(self.selected),
            dict(self.providers),
            dict(self.conflicting),
            set(self.left_out),
            deque(self.queue),
            list(self.deferred),
            self.checked_at,
        )

    def add(self, package: Package, why: Why, reasons: Reasons) -> None:
        """Choose ``package``."""
        self.selected[package.name] = Selected(package, why, reasons)
        for name in _names(package):
            self.providers[name] = (*self.providers.get(name, ()), package)
        for relation in (*package.conflicts, *package.breaks):
            conflicting = self.conflicting.get(relation.name, ())
            self.conflicting[relation.name] = (*conflicting, (package, relation))

    def conflict(self, package: Package) -> tuple[str, Reasons] | None:
        """Why ``package`` conflicts with the selection, and the choices that this depends on."""
        if selected := self.selected.get(package.name):
            return f"{_id(selected.package)} is already selected", selected.reasons
        for relation in (*package.conflicts, *package.breaks):
            for other in self.providers.get(relation.name, ()):
                if _applies_to(relation, other):
                    return f"it conflicts with {_id(other)}", self.selected[other.name].reasons
        for name in _names(package):
            for other, relation in self.conflicting.get(name, ()):
                if _applies_to(relation, package):
                    return f"{_id(other)} conflicts with it", self.selected[other.name].reasons
        return None


class Choice(msgspec.Struct):
    """A choice to return to: requirement, untried options, and what it depends on.

    fallback: whether the current option is a lower version of the previous one
    """

    state: State
    requirement: Requirement
    tried: str
    untried: list[Package]
    base: Reasons
    failed: Reasons = NO_REASONS
    fallback: bool = False


def _names(package: Package) -> tuple[str, ...]:
    """A package's name and all that it provides."""
    provided = (relation.name for relation in package.provides)
    return tuple(dict.fromkeys((package.name, *provided)))


def _applies_to(relation: Relation, package: Package) -> bool:
    """Whether a conflict's relation applies to ``package`` (Debian Policy 7.4 and 7.5)."""
    if relation.name == package.name:
        return relation.allows(package.version)
    versions = [given.version for given in package.provides if given.name == relation.name]
    if relation.version is None:
        return bool(versions)
    return any(version is not None and relation.allows(version) for version in versions)


def _id(package: Package) -> str:
    return f"{package.name} {package.version}"
