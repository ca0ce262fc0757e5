"""Packages that could satisfy a dependency, in order of preference, and those that could not.

Uses the index and the request only, never the current selection; that is
``resolution.resolve``.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from homeport.debian.architecture import matches_architecture
from homeport.debian.package import Package, PackageId, PackageIndex
from homeport.debian.relations import Alternatives, Relation
from homeport.debian.resolution.archive_order import HigherElsewhere, higher_elsewhere
from homeport.debian.resolution.requirements import Limit, ResolveRequest, Root


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """A package of the index that does not satisfy the requirement."""

    package: PackageId
    suite: str
    why_not: str


class Candidates(msgspec.Struct, frozen=True, kw_only=True):
    """The packages that could satisfy one group of alternatives.

    options:   to be tried in this order
    satisfied_by: these too, once they are selected for another reason
    left_out:  the package on the request's ``without`` list that the group names, if any
    rejected:     packages that do not satisfy the group, and why
    unknown:   names that no package has or provides
    """

    options: tuple[Package, ...]
    satisfied_by: tuple[Package, ...]
    left_out: str | None
    rejected: tuple[Rejected, ...]
    unknown: tuple[str, ...]

    @property
    def has_unselectable(self) -> bool:
        """Whether a package satisfies the group but is selected only if something names it."""
        return len(self.satisfied_by) > len(self.options)


class CandidateFinder:
    """Candidates for one request on one architecture; answers are kept."""

    def __init__(self, index: PackageIndex, architecture: str, request: ResolveRequest) -> None:
        self._index = index
        self._architecture = architecture
        self._request = request
        self._groups: dict[Alternatives, Candidates] = {}
        self._named: dict[str, tuple[Package, ...]] = {}
        self._roots = {root.name for root in request.roots}

    def candidates(self, group: Alternatives) -> Candidates:
        """The packages that could satisfy ``group``."""
        known = self._groups.get(group)
        if known is None:
            known = self._groups[group] = self._find(group)
        return known

    def applies(self, group: Alternatives) -> Alternatives:
        """The alternatives that apply on this architecture, outside any build profile."""
        return tuple(relation for relation in group if self._relation_applies(relation))

    def named(self, name: str) -> tuple[Package, ...]:
        """The versions of ``name`` that may be selected, best first."""
        known = self._named.get(name)
        if known is None:
            first = self._first_rank(name, self._of_limited_suites(name))
            allowed = (
                package
                for package in self._index.named(name)
                if self._forbidden(package) is None
                and self._request.archives.rank_of(package) == first
            )
            known = self._named[name] = _without_copies(sorted(allowed, key=self._preference))
        return known

    def lone_provider(self, root: Root) -> str | None:
        """The only package that provides the name of ``root``, which no package has."""
        if root.limit != Limit() or not root.follow or self._index.named(root.name):
            return None
        found = self.candidates((Relation(name=root.name),))
        names = {package.name for package in found.satisfied_by}
        return names.pop() if len(names) == 1 and found.options else None

    def higher_elsewhere(self, selected: Package) -> HigherElsewhere | None:
        """A higher version of ``selected`` that the order of archives keeps out."""
        others = self._of_limited_suites(selected.name)
        return higher_elsewhere(selected, others, self._request.archives)

    def _of_limited_suites(self, name: str) -> list[Package]:
        """Every version of ``name`` in the suites that limits name; without such limits, all."""
        suites = [limit.suite for limit in self._request.limits_of(name) if limit.suite]
        packages = self._index.named(name)
        return [p for p in packages if all(p.suite == suite for suite in suites)]

    def _first_rank(self, name: str, packages: Iterable[Package]) -> int | None:
        archives = self._request.archives
        return archives.only_rank if archives.is_one_source else archives.first_rank(name, packages)

    def _dependency_rank(self, name: str) -> int | None:
        """The archive whose packages may be selected because a dependency names ``name``.

        A real package of a later archive does not replace what an earlier one provides. A
        package that the recipe names is a real one.
        """
        if self._request.archives.is_one_source:
            return self._request.archives.only_rank
        real = self._of_limited_suites(name)
        provided = [p for p in self._index.providers(name) if p in self.named(p.name)]
        return self._first_rank(name, real if name in self._roots and real else real + provided)

    def _preference(self, package: Package) -> tuple[bool, bool, _Descending]:
        kept = self._request.keep.get(package.name)
        return (
            kept != package.file.id.version,
            (package.file.archive, package.suite) in self._request.not_automatic,
            _Descending(package),
        )

    def _find(self, group: Alternatives) -> Candidates:
        options: list[Package] = []
        satisfied_by: list[Package] = []
        rejected: list[Rejected] = []
        unknown: list[str] = []
        for relation in group:
            real = self._real(relation, rejected)
            provided = self._provided(relation, rejected)
            satisfied_by += [*real, *provided]
            first = self._dependency_rank(relation.name)
            real = [p for p in real if self._request.archives.rank_of(p) == first]
            provided = [p for p in provided if self._request.archives.rank_of(p) == first]
            options += [*real, *self._selectable_providers(relation, real, provided, rejected)]
            if not self._index.named(relation.name) and not self._index.providers(relation.name):
                unknown.append(relation.name)
        return Candidates(
            options=_without_copies(options),
            satisfied_by=_without_copies(satisfied_by),
            left_out=next(filter(None, map(self._left_out, group)), None),
            rejected=tuple(dict.fromkeys(rejected)),
            unknown=tuple(unknown),
        )

    def _real(self, relation: Relation, rejected: list[Rejected]) -> list[Package]:
        if not self._is_installable(relation):
            return []
        fitting = [p for p in self.named(relation.name) if relation.allows(p.version)]
        ids = {package.id for package in fitting}
        for package in self._index.named(relation.name):
            if package.id not in ids:
                reason = self._forbidden(package) or self._out_of_order(package)
                reason = reason or f"{relation} is required"
                rejected.append(_rejected(package, reason))
        return fitting

    def _provided(self, relation: Relation, rejected: list[Rejected]) -> list[Package]:
        """Providers by name, best version first; an unversioned Provides has no version."""
        if not self._is_installable(relation):
            return []
        names = sorted({package.name for package in self._index.providers(relation.name)})
        fitting = []
        for package in (p for name in names for p in self.named(name)):
            versions = [r.version for r in package.provides if r.name == relation.name]
            if relation.version is None:
                fits = bool(versions)
            else:
                fits = any(v is not None and relation.allows(v) for v in versions)
            if fits and package.name != relation.name:
                fitting.append(package)
            elif versions:
                provided_as = ", ".join(sorted(str(v or "no version") for v in versions))
                rejected.append(
                    _rejected(
                        package,
                        f"it provides {relation.name} as {provided_as}, {relation} is required",
                    )
                )
        return fitting

    def _is_installable(self, relation: Relation) -> bool:
        """``:any`` adds nothing: an image has the packages of one architecture."""
        return relation.qualifier in ("", "any", "native", self._architecture)

    def _selectable_providers(
        self,
        relation: Relation,
        real: list[Package],
        provided: list[Package],
        rejected: list[Rejected],
    ) -> list[Package]:
        """Providers that may be selected without being named: the only one, or the required one."""
        names = {package.name for package in provided}
        if len(names) <= 1:
            return provided
        required = {package.name for package in provided if package.priority == "required"}
        if len(required) == 1:
            return [package for package in provided if package.name in required]
        if not real:
            reason = f"it is one of {len(names)} providers of {relation.name}; name one"
            best = {package.name: package for package in reversed(provided)}
            rejected.extend(_rejected(best[name], reason) for name in sorted(best))
        return []

    def _left_out(self, relation: Relation) -> str | None:
        without = self._request.without
        if relation.name in without:
            return relation.name
        providers = {package.name for package in self._index.providers(relation.name)}
        if providers and providers <= without and not self.named(relation.name):
            return min(providers)
        return None

    def _forbidden(self, package: Package) -> str | None:
        """Why the request does not allow this package, or ``None``."""
        if package.name in self._request.without:
            return "the recipe leaves it out"
        for limit in self._request.limits_of(package.name):
            if not limit.allows(package):
                return f"{package.name}{limit} is required"
        return None

    def _out_of_order(self, package: Package) -> str | None:
        """Why the order of archives keeps this package out, or ``None``."""
        archives = self._request.archives
        first = self._first_rank(package.name, self._of_limited_suites(package.name))
        if archives.rank_of(package) == first:
            return None
        names = {p.file.archive for p in self._index.named(package.name)
                 if archives.rank_of(p) == first}  # fmt: skip
        return (
            f"{package.name} comes from {', '.join(sorted(names))}; to take it from "
            f"{package.file.archive}, add it to 'packages' of that archive, or pin its suite"
        )

    def _relation_applies(self, relation: Relation) -> bool:
        excluded = [name[1:] for name in relation.architectures if name.startswith("!")]
        included = [name for name in relation.architectures if not name.startswith("!")]
        if any(matches_architecture(self._architecture, name) for name in excluded):
            return False
        if included and not any(matches_architecture(self._architecture, n) for n in included):
            return False
        # No profile is active: <!nocheck> holds, <nocheck> does not.
        return not relation.profiles or any(
            all(term.startswith("!") for term in terms) for terms in relation.profiles
        )


class SharedFinders:
    """Finders of one run: requests that have no rules of their own share one, and its answers."""

    def __init__(self) -> None:
        self._finders: dict[object, tuple[PackageIndex, CandidateFinder]] = {}

    def finder(
        self, index: PackageIndex, architecture: str, request: ResolveRequest
    ) -> CandidateFinder:
        """The one for ``request``; which packages it names does not matter without limits."""
        if request.has_own_rules or not request.archives.is_one_source:
            return CandidateFinder(index, architecture, request)
        ranks = tuple(sorted(request.archives.ranks.items()))
        key = (id(index), architecture, request.not_automatic, ranks)
        # The index is kept with it: the id of one that is gone could be given again.
        _, found = self._finders.setdefault(
            key, (index, CandidateFinder(index, architecture, request))
        )
        return found


class _Descending:
    """Sorts by version, highest first; equal versions keep the index's order."""

    __slots__ = ("_version",)

    def __init__(self, package: Package) -> None:
        self._version = package.version

    def __lt__(self, other: _Descending) -> bool:
        return other._version < self._version

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and other._version == self._version

    def __hash__(self) -> int:
        return hash(self._version)


def _without_copies(packages: Iterable[Package]) -> tuple[Package, ...]:
    """The same package in two suites is one candidate: the first."""
    first: dict[PackageId, Package] = {}
    for package in packages:
        first.setdefault(package.id, package)
    return tuple(first.values())


def _rejected(package: Package, why_not: str) -> Rejected:
    return Rejected(package=package.id, suite=package.suite, why_not=why_not)
