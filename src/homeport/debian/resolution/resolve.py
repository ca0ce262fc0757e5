"""Resolution: from the packages a recipe names to all that belong together.

Follows Depends and Pre-Depends, never Recommends. Requirements with one possibility are
satisfied first, real choices are deferred: so ``a | b`` is satisfied by ``b`` where another
requirement selects it. Where a choice fails, the search returns to the latest choice that
the failure depends on. The result does not depend on the order of roots.

Not for slices, whose needs are their own (``Root.follow``), nor for Essential packages,
which nothing depends on by name.
"""

from __future__ import annotations

import msgspec

from homeport.debian.package import Package, PackageIndex
from homeport.debian.relations import Relation, show
from homeport.debian.resolution.archive_order import HigherElsewhere
from homeport.debian.resolution.candidates import (
    CandidateFinder,
    Candidates,
    Rejected,
    SharedFinders,
)
from homeport.debian.resolution.explain import NoSolution, Problem, Why
from homeport.debian.resolution.requirements import ResolveRequest, Root
from homeport.debian.resolution.search_state import (
    NO_REASONS,
    Choice,
    LeftOut,
    Reasons,
    Requirement,
    State,
)

__all__ = ["Chosen", "LeftOut", "Resolution", "resolve"]

_MOST_FAILURES = 1_000  # after which the search gives up; real requests need a handful
_SHOWN_PROBLEMS = 3


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A selected package; ``why`` is the first requirement that selected it."""

    package: Package
    why: Why


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """The result: packages and omissions, both in order of their names.

    higher_elsewhere: higher versions that the order of archives keeps out
    """

    architecture: str
    packages: tuple[Chosen, ...]
    left_out: tuple[LeftOut, ...]
    higher_elsewhere: tuple[HigherElsewhere, ...] = ()

    def chain(self, name: str) -> tuple[Why, ...]:
        """Why ``name`` is there, from the recipe's requirement on."""
        whys = {chosen.package.name: chosen.why for chosen in self.packages}
        chain = [whys[name]]
        while (by := chain[0].by) is not None:
            chain.insert(0, whys[by.name])
        return tuple(chain)


def resolve(
    index: PackageIndex,
    architecture: str,
    request: ResolveRequest,
    finders: SharedFinders | None = None,
) -> Resolution | NoSolution:
    """Select packages that satisfy ``request``, or return as data why none do.

    finders: for runs that resolve many requests
    """
    finder = (finders or SharedFinders()).finder(index, architecture, request)
    return _Search(index, architecture, request, finder).run()


class _Search:
    """One run: a state, the choices that led to it, and the failures so far."""

    def __init__(
        self,
        index: PackageIndex,
        architecture: str,
        request: ResolveRequest,
        finder: CandidateFinder,
    ) -> None:
        self._index = index
        self._architecture = architecture
        self._request = request
        self._finder = finder
        self._unfollowed = {root.name for root in request.roots if not root.follow}
        self._choices: list[Choice] = []
        self._problems: list[Problem] = []
        self._state = State()

    def run(self) -> Resolution | NoSolution:
        roots = sorted({str(root): root for root in self._request.roots}.values(), key=str)
        problems = [problem for root in roots if (problem := self._root_problem(root))]
        if problems:
            return NoSolution(architecture=self._architecture, problems=tuple(problems))
        for root in roots:
            why = Why(by=None, field="recipe", text=str(root))
            self._state.queue.append(Requirement((Relation(name=root.name),), why, NO_REASONS))
        failures = 0
        while (failure := self._propagate()) is not None:
            failures += 1
            if failures > _MOST_FAILURES or not self._backjump(failure):
                return NoSolution(
                    architecture=self._architecture,
                    problems=tuple(self._problems),
                    gave_up=failures > _MOST_FAILURES,
                )
        return self._answer()

    def _root_problem(self, root: Root) -> Problem | None:
        """A root must be a real package, or provided by one only, which is taken, as by apt."""
        if self._finder.named(root.name) or self._finder.lone_provider(root):
            return None
        found = self._finder.candidates((Relation(name=root.name),))
        available = found.rejected
        if not available:
            providers = {p.name: p for p in reversed(found.satisfied_by)}
            names = sorted({p.name for p in self._index.providers(root.name)})
            why_not = f"it only provides {root.name}: name that"
            if len(names) > 1:
                why_not = f"it is one of {len(names)} providers of {root.name}; name one"
                providers = {name: p for name in names for p in self._index.named(name)[:1]}
            available = tuple(
                Rejected(package=p.id, suite=p.suite, why_not=why_not) for p in providers.values()
            )
        return Problem(
            chain=(Why(by=None, field="recipe", text=str(root)),),
            available=available,
            unknown=found.unknown,
            near_names=self._near(found.unknown),
        )

    def _answer(self) -> Resolution:
        state = self._state
        return Resolution(
            architecture=self._architecture,
            packages=tuple(
                Chosen(package=selected.package, why=selected.why)
                for _, selected in sorted(state.selected.items())
            ),
            left_out=tuple(sorted(state.left_out, key=lambda out: (out.by, out.text))),
            higher_elsewhere=tuple(
                found
                for _, selected in sorted(state.selected.items())
                if (found := self._finder.higher_elsewhere(selected.package)) is not None
            ),
        )

    # Forward: satisfy one requirement after the other until none is left or one fails.

    def _propagate(self) -> Reasons | None:
        """``None`` when all is satisfied, else the choices that the failure depends on."""
        while True:
            state = self._state
            if state.queue:
                failure = self._satisfy(state.queue.popleft(), decide=False)
            elif not state.deferred:
                return None
            elif state.checked_at != len(state.selected):
                # A package was selected since: it may satisfy, or narrow, the deferred ones.
                state.checked_at = len(state.selected)
                state.queue.extend(state.deferred)
                state.deferred.clear()
                continue
            else:
                failure = self._satisfy(state.deferred.pop(0), decide=True)
            if failure is not None:
                return failure

    def _satisfy(self, requirement: Requirement, *, decide: bool) -> Reasons | None:
        """Select what satisfies ``requirement``; defer it while there is a choice."""
        state = self._state
        found = self._finder.candidates(requirement.group)
        for package in found.satisfied_by:
            selected = state.selected.get(package.name)
            if selected is not None and selected.package.id == package.id:
                return None
        if found.left_out is not None and requirement.why.by is not None:
            why = requirement.why
            state.left_out.add(
                LeftOut(name=found.left_out, by=requirement.why.by, field=why.field, text=why.text)
            )
            return None
        possible, conflicts, base = self._possible(requirement, found)
        if not possible:
            self._note_problem(requirement, found, conflicts)
            return base
        # A provider that must be named may still be selected for another reason: defer.
        sure = len({package.name for package in possible}) == 1 and not found.has_unselectable
        if len(possible) == 1 and (sure or decide):
            self._take(possible[0], requirement, base)
        elif sure or decide:
            self._choices.append(
                Choice(state.copy(), requirement, possible[0].name, possible[1:], base)
            )
            self._take(possible[0], requirement, frozenset({len(self._choices) - 1}))
        else:
            state.deferred.append(requirement)
        return None

    def _possible(
        self, requirement: Requirement, found: Candidates
    ) -> tuple[list[Package], list[Rejected], Reasons]:
        """The options without conflicts, the others, and the choices that this depends on."""
        possible: list[Package] = []
        conflicts: list[Rejected] = []
        base = requirement.reasons
        for package in found.options:
            conflict = self._state.conflict(package)
            if conflict is None:
                possible.append(package)
            else:
                why_not, reasons = conflict
                conflicts.append(Rejected(package=package.id, suite=package.suite, why_not=why_not))
                base |= reasons
        if found.has_unselectable:
            # Any other choice might have selected one of those.
            base |= frozenset(range(len(self._choices)))
        return possible, conflicts, base

    def _take(self, package: Package, requirement: Requirement, reasons: Reasons) -> None:
        state = self._state
        state.add(package, requirement.why, reasons)
        if package.name in self._unfollowed:
            return
        for name, groups in (("Pre-Depends", package.pre_depends), ("Depends", package.depends)):
            for group in groups:
                if counting := self._finder.applies(group):
                    why = Why(by=package.id, field=name, text=show(group))
                    state.queue.append(Requirement(counting, why, reasons))

    # Backward.

    def _backjump(self, reasons: Reasons) -> bool:
        """Try the next option of the latest choice that the failure depends on."""
        while reasons:
            level = max(reasons)
            choice = self._choices[level]
            del self._choices[level:]
            choice.failed |= reasons - {level}
            if choice.untried:
                package = choice.untried.pop(0)
                choice.fallback = package.name == choice.tried
                choice.tried = package.name
                self._choices.append(choice)
                self._state = choice.state.copy()
                self._take(package, choice.requirement, frozenset({level}))
                return True
            reasons = choice.failed | choice.base
        return False

    def _note_problem(
        self, requirement: Requirement, found: Candidates, conflicts: list[Rejected]
    ) -> None:
        # Failures after a fallback to a lower version do not help the user.
        if len(self._problems) == _SHOWN_PROBLEMS or any(c.fallback for c in self._choices):
            return
        chain = [requirement.why]
        while (by := chain[0].by) is not None:
            chain.insert(0, self._state.selected[by.name].why)
        problem = Problem(
            chain=tuple(chain),
            available=(*conflicts, *found.rejected),
            unknown=found.unknown,
            near_names=self._near(found.unknown),
        )
        if problem not in self._problems:
            self._problems.append(problem)

    def _near(self, names: tuple[str, ...]) -> tuple[str, ...]:
        near = (near for name in names for near in self._index.near_names(name))
        return tuple(dict.fromkeys(near))
