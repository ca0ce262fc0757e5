"""Resolution: from the packages a recipe names to all that belong together.

Follows Depends and Pre-Depends, never Recommends. What has only one possibility is taken
first, real choices wait: so ``a | b`` is fulfilled by ``b`` where something else brings
it. Where a choice leads nowhere, the search goes back to the latest choice that has to do
with it. The same request over the same index has one answer, whatever the order of roots.

Not for slices, whose needs are their own (``Root.follow``), nor for Essential packages,
which nothing depends on by name.
"""

from __future__ import annotations

import msgspec

from homeport.debian.package import Package, PackageIndex
from homeport.debian.relations import Relation, show
from homeport.debian.resolution.candidates import Available, Candidates, Finder
from homeport.debian.resolution.explain import NoSolution, Problem, Why
from homeport.debian.resolution.requirements import Root, Wishes
from homeport.debian.resolution.search_state import (
    NO_REASONS,
    Choice,
    Demand,
    LeftOut,
    Reasons,
    State,
)

__all__ = ["Chosen", "LeftOut", "Resolution", "resolve"]

_MOST_FAILURES = 1_000  # after which the search gives up; real requests need a handful
_SHOWN_PROBLEMS = 3


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A package of the answer; ``why`` says what wanted it first."""

    package: Package
    why: Why


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: packages and omissions, both in order of their names."""

    architecture: str
    packages: tuple[Chosen, ...]
    left_out: tuple[LeftOut, ...]

    def chain(self, name: str) -> tuple[Why, ...]:
        """Why ``name`` is there, from the recipe's demand on."""
        whys = {chosen.package.name: chosen.why for chosen in self.packages}
        chain = [whys[name]]
        while (by := chain[0].by) is not None:
            chain.insert(0, whys[by.name])
        return tuple(chain)


def resolve(index: PackageIndex, architecture: str, wishes: Wishes) -> Resolution | NoSolution:
    """Choose packages that fulfil ``wishes``, or say as data why that cannot be."""
    return _Search(index, architecture, wishes).run()


class _Search:
    """One run: a state, the choices that led to it, and the failures seen."""

    def __init__(self, index: PackageIndex, architecture: str, wishes: Wishes) -> None:
        self._index = index
        self._architecture = architecture
        self._wishes = wishes
        self._finder = Finder(index, architecture, wishes)
        self._unfollowed = {root.name for root in wishes.roots if not root.follow}
        self._choices: list[Choice] = []
        self._problems: list[Problem] = []
        self._state = State()

    def run(self) -> Resolution | NoSolution:
        roots = sorted({str(root): root for root in self._wishes.roots}.values(), key=str)
        problems = [problem for root in roots if (problem := self._root_problem(root))]
        if problems:
            return NoSolution(architecture=self._architecture, problems=tuple(problems))
        for root in roots:
            why = Why(by=None, field="recipe", text=str(root))
            self._state.queue.append(Demand((Relation(name=root.name),), why, NO_REASONS))
        failures = 0
        while (failure := self._advance()) is not None:
            failures += 1
            if failures > _MOST_FAILURES or not self._go_back(failure):
                return NoSolution(
                    architecture=self._architecture,
                    problems=tuple(self._problems),
                    gave_up=failures > _MOST_FAILURES,
                )
        return self._answer()

    def _root_problem(self, root: Root) -> Problem | None:
        """A root must be a real package: a lockfile can hold nothing else."""
        if self._finder.named(root.name):
            return None
        found = self._finder.candidates((Relation(name=root.name),))
        available = found.unfit
        if not available:
            available = tuple(
                Available(
                    package=p.id, suite=p.suite, why_not=f"it only provides {root.name}: ask for it"
                )
                for p in found.fulfilled_by
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
                Chosen(package=taken.package, why=taken.why)
                for _, taken in sorted(state.taken.items())
            ),
            left_out=tuple(sorted(state.left_out, key=lambda out: (out.by, out.text))),
        )

    # Forward: fulfil demand after demand until none is left or one cannot be.

    def _advance(self) -> Reasons | None:
        """``None`` when all is fulfilled, else on which choices it rests that it cannot be."""
        while True:
            state = self._state
            if state.queue:
                failure = self._fulfil(state.queue.popleft(), decide=False)
            elif not state.waiting:
                return None
            elif state.settled != len(state.taken):
                # Something was taken since: it may fulfil, or narrow, what waits.
                state.settled = len(state.taken)
                state.queue.extend(state.waiting)
                state.waiting.clear()
                continue
            else:
                failure = self._fulfil(state.waiting.pop(0), decide=True)
            if failure is not None:
                return failure

    def _fulfil(self, demand: Demand, *, decide: bool) -> Reasons | None:
        """Take what fulfils ``demand``, or let it wait while there is a choice."""
        state = self._state
        found = self._finder.candidates(demand.group)
        for package in found.fulfilled_by:
            taken = state.taken.get(package.name)
            if taken is not None and taken.package.id == package.id:
                return None
        if found.left_out is not None and demand.why.by is not None:
            why = demand.why
            state.left_out.add(
                LeftOut(name=found.left_out, by=demand.why.by, field=why.field, text=why.text)
            )
            return None
        possible, hurdles, base = self._possible(demand, found)
        if not possible:
            self._note_problem(demand, found, hurdles)
            return base
        # One that may not be taken unasked may still come another way: that is worth waiting for.
        sure = len({package.name for package in possible}) == 1 and not found.unasked
        if len(possible) == 1 and (sure or decide):
            self._take(possible[0], demand, base)
        elif sure or decide:
            self._choices.append(Choice(state.copy(), demand, possible[0].name, possible[1:], base))
            self._take(possible[0], demand, base | {len(self._choices) - 1})
        else:
            state.waiting.append(demand)
        return None

    def _possible(
        self, demand: Demand, found: Candidates
    ) -> tuple[list[Package], list[Available], Reasons]:
        """The options that nothing chosen rules out, the others, and on what that rests."""
        possible: list[Package] = []
        hurdles: list[Available] = []
        base = demand.reasons
        for package in found.options:
            hurdle = self._state.hurdle(package)
            if hurdle is None:
                possible.append(package)
            else:
                why_not, reasons = hurdle
                hurdles.append(Available(package=package.id, suite=package.suite, why_not=why_not))
                base |= reasons
        if found.unasked:
            # Another way at any choice might have brought one of those.
            base |= frozenset(range(len(self._choices)))
        return possible, hurdles, base

    def _take(self, package: Package, demand: Demand, reasons: Reasons) -> None:
        state = self._state
        state.add(package, demand.why, reasons)
        if package.name in self._unfollowed:
            return
        for name, groups in (("Pre-Depends", package.pre_depends), ("Depends", package.depends)):
            for group in groups:
                if counting := self._finder.applies(group):
                    why = Why(by=package.id, field=name, text=show(group))
                    state.queue.append(Demand(counting, why, reasons))

    # Backward.

    def _go_back(self, reasons: Reasons) -> bool:
        """Try the next option of the latest choice that the failure rests on."""
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
                self._take(package, choice.demand, choice.base | {level})
                return True
            reasons = choice.failed | choice.base
        return False

    def _note_problem(self, demand: Demand, found: Candidates, hurdles: list[Available]) -> None:
        # What fails after going back to a lower version tells nobody what to change.
        if len(self._problems) == _SHOWN_PROBLEMS or any(c.fallback for c in self._choices):
            return
        chain = [demand.why]
        while (by := chain[0].by) is not None:
            chain.insert(0, self._state.taken[by.name].why)
        problem = Problem(
            chain=tuple(chain),
            available=(*hurdles, *found.unfit),
            unknown=found.unknown,
            near_names=self._near(found.unknown),
        )
        if problem not in self._problems:
            self._problems.append(problem)

    def _near(self, names: tuple[str, ...]) -> tuple[str, ...]:
        near = (near for name in names for near in self._index.near_names(name))
        return tuple(dict.fromkeys(near))
