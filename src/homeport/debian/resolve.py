"""Resolution: from the packages a recipe names to all that belong together.

Follows Depends and Pre-Depends, never Recommends. What has only one possibility is taken
first, real choices wait: so ``a | b`` is fulfilled by ``b`` where something else brings
it. Where a choice leads nowhere, the search goes back to the latest choice that has to do
with it. The same request over the same index has one answer, whatever the order of roots.

Not for slices, whose needs are their own (``Root.follow``), nor for Essential packages,
which nothing depends on by name.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from homeport.debian.candidates import Available, Candidates, Finder
from homeport.debian.explain import NoSolution, Problem, Why
from homeport.debian.package import Package, PackageId, PackageIndex
from homeport.debian.relations import Alternatives, Relation, show
from homeport.debian.wishes import Root, Wishes

_MOST_FAILURES = 1_000  # after which the search gives up; real requests need a handful
_SHOWN_PROBLEMS = 3

#: Numbers of the choices on which something rests.
_Reasons = frozenset[int]
_NO_REASONS: _Reasons = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A package of the answer; ``why`` says what wanted it first."""

    package: Package
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A dependency that was not followed because the recipe leaves ``name`` out."""

    name: str
    by: PackageId
    field: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
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


@dataclass(frozen=True, slots=True)
class _Demand:
    """Something that has to be fulfilled; ``by`` is ``None`` for a root."""

    group: Alternatives
    why: Why
    reasons: _Reasons


@dataclass(frozen=True, slots=True)
class _Taken:
    package: Package
    why: Why
    reasons: _Reasons


@dataclass(slots=True)
class _State:
    """What is chosen so far, and what is still to be fulfilled.

    carriers:  name → chosen packages that have or provide it
    enemies:   name → chosen packages with a conflict that names it
    waiting:   demands with more than one possibility
    settled:   how many packages were taken when those were last looked at
    """

    taken: dict[str, _Taken] = field(default_factory=dict)
    carriers: dict[str, tuple[Package, ...]] = field(default_factory=dict)
    enemies: dict[str, tuple[tuple[Package, Relation], ...]] = field(default_factory=dict)
    left_out: set[LeftOut] = field(default_factory=set)
    queue: deque[_Demand] = field(default_factory=deque)
    waiting: list[_Demand] = field(default_factory=list)
    settled: int = -1

    def copy(self) -> _State:
        return _State(
            dict(self.taken),
            dict(self.carriers),
            dict(self.enemies),
            set(self.left_out),
            deque(self.queue),
            list(self.waiting),
            self.settled,
        )


@dataclass(slots=True)
class _Choice:
    """A point to come back to: the demand, what has not been tried, what stood in the way.

    fallback: whether what is tried now is a lower version of what was tried before
    """

    state: _State
    demand: _Demand
    tried: str
    untried: list[Package]
    base: _Reasons
    failed: _Reasons = _NO_REASONS
    fallback: bool = False


class _Search:
    """One run: a state, the choices that led to it, and the failures seen."""

    def __init__(self, index: PackageIndex, architecture: str, wishes: Wishes) -> None:
        self._index = index
        self._architecture = architecture
        self._wishes = wishes
        self._finder = Finder(index, architecture, wishes)
        self._unfollowed = {root.name for root in wishes.roots if not root.follow}
        self._choices: list[_Choice] = []
        self._problems: list[Problem] = []
        self._state = _State()

    def run(self) -> Resolution | NoSolution:
        roots = sorted({str(root): root for root in self._wishes.roots}.values(), key=str)
        problems = [problem for root in roots if (problem := self._root_problem(root))]
        if problems:
            return NoSolution(architecture=self._architecture, problems=tuple(problems))
        for root in roots:
            why = Why(by=None, field="recipe", text=str(root))
            self._state.queue.append(_Demand((Relation(name=root.name),), why, _NO_REASONS))
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

    def _advance(self) -> _Reasons | None:
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

    def _fulfil(self, demand: _Demand, *, decide: bool) -> _Reasons | None:
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
            self._choices.append(
                _Choice(state.copy(), demand, possible[0].name, possible[1:], base)
            )
            self._take(possible[0], demand, base | {len(self._choices) - 1})
        else:
            state.waiting.append(demand)
        return None

    def _possible(
        self, demand: _Demand, found: Candidates
    ) -> tuple[list[Package], list[Available], _Reasons]:
        """The options that nothing chosen rules out, the others, and on what that rests."""
        possible: list[Package] = []
        hurdles: list[Available] = []
        base = demand.reasons
        for package in found.options:
            hurdle = self._hurdle(package)
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

    def _hurdle(self, package: Package) -> tuple[str, _Reasons] | None:
        """Why ``package`` does not go together with what is chosen."""
        state = self._state
        if taken := state.taken.get(package.name):
            return f"{taken.package.name} {taken.package.version} is chosen already", taken.reasons
        for relation in (*package.conflicts, *package.breaks):
            for other in state.carriers.get(relation.name, ()):
                if _touches(relation, other):
                    return f"it conflicts with {_id(other)}", state.taken[other.name].reasons
        for name in _names(package):
            for other, relation in state.enemies.get(name, ()):
                if _touches(relation, package):
                    return f"{_id(other)} conflicts with it", state.taken[other.name].reasons
        return None

    def _take(self, package: Package, demand: _Demand, reasons: _Reasons) -> None:
        state = self._state
        state.taken[package.name] = _Taken(package, demand.why, reasons)
        for name in _names(package):
            state.carriers[name] = (*state.carriers.get(name, ()), package)
        for relation in (*package.conflicts, *package.breaks):
            enemies = state.enemies.get(relation.name, ())
            state.enemies[relation.name] = (*enemies, (package, relation))
        if package.name in self._unfollowed:
            return
        for name, groups in (("Pre-Depends", package.pre_depends), ("Depends", package.depends)):
            for group in groups:
                if counting := self._finder.applies(group):
                    why = Why(by=package.id, field=name, text=show(group))
                    state.queue.append(_Demand(counting, why, reasons))

    # Backward.

    def _go_back(self, reasons: _Reasons) -> bool:
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

    def _note_problem(self, demand: _Demand, found: Candidates, hurdles: list[Available]) -> None:
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
