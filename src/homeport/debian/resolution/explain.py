"""The reasons why there is no solution, as data and as text.

A problem is a requirement that no package satisfies, and the chain of packages that leads to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from homeport.debian.package import PackageId
from homeport.debian.resolution.candidates import Rejected
from homeport.errors import HomeportError


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why a package is required.

    by:    the package that requires it; ``None`` when the recipe asks for it
    field: ``Depends``, ``Pre-Depends`` or ``recipe``
    text:  the requirement as written
    """

    by: PackageId | None
    field: str
    text: str

    def __str__(self) -> str:
        return f"the recipe asks for {self.text}" if self.by is None else self._dependency()

    def _dependency(self) -> str:
        assert self.by is not None
        verb = "depends on" if self.field == "Depends" else "pre-depends on"
        return f"{self.by.name} {self.by.version} {verb} {self.text}"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A requirement that no package satisfies.

    chain:      from the recipe's own requirement to the one that failed
    available:  packages that were considered, and why each was rejected
    near_names: of names that no package has
    """

    chain: tuple[Why, ...]
    available: tuple[Rejected, ...] = ()
    unknown: tuple[str, ...] = ()
    near_names: tuple[str, ...] = ()

    @property
    def is_root(self) -> bool:
        """Whether the recipe itself names the missing package."""
        return len(self.chain) == 1

    def lines(self) -> Iterator[str]:
        """The problem as text, one fact a line."""
        yield from map(str, self.chain)
        for name in self.unknown:
            yield f"no package is named {name}"
        for found in self.available:
            package = found.package
            yield (
                f"there is {package.name} {package.version} "
                f"({package.architecture}, {found.suite}), but {found.why_not}"
            )


class NoSolution(msgspec.Struct, frozen=True, kw_only=True):
    """The result when the request cannot be satisfied.

    problems: those of the preferred choices; all others failed too
    gave_up:  the search was stopped at its bound, so a solution might exist
    """

    architecture: str
    problems: tuple[Problem, ...]
    gave_up: bool = False

    def error(self) -> Unresolvable:
        """The same as an error."""
        return Unresolvable(self)


class Unresolvable(HomeportError):
    """No selection of packages satisfies the request; ``answer`` explains it as data."""

    id = "unresolvable"

    def __init__(self, answer: NoSolution) -> None:
        problem = answer.problems[0]
        steps = [line for each in answer.problems for line in each.lines()]
        super().__init__(
            f"no packages for {answer.architecture} satisfy the request: {'; '.join(steps)}",
            where={"architecture": answer.architecture},
            hint=_hint(answer, problem),
        )
        self.answer = answer

    def to_json(self) -> dict[str, Any]:
        problems = [_problem_json(problem) for problem in self.answer.problems]
        return {**super().to_json(), "problems": problems, "gave_up": self.answer.gave_up}


def _hint(answer: NoSolution, problem: Problem) -> str:
    if answer.gave_up:
        return "the search stopped at its limit of attempts: pin a version to reduce the choices"
    names = sorted({found.package.name for found in problem.available})
    if any(found.why_not.endswith(("name one", "name that")) for found in problem.available):
        several = "one of " if len(names) > 1 else ""
        return f"add {several}{', '.join(names)} to the recipe's packages"
    near = dict.fromkeys(name for each in answer.problems for name in each.near_names)
    if near:
        return f"did you mean {' or '.join(near)}?"
    if problem.unknown:
        return "add the archive, suite or component that has it to the recipe"
    if problem.is_root:
        return "require an available version, or a date when it was available: --as-of DATE"
    return "add a suite that has it, or leave it out with 'without' in the recipe"


def _problem_json(problem: Problem) -> dict[str, Any]:
    return {
        "chain": [
            {"by": str(why.by) if why.by else None, "field": why.field, "wants": why.text}
            for why in problem.chain
        ],
        "available": [
            {"package": str(found.package), "suite": found.suite, "why_not": found.why_not}
            for found in problem.available
        ],
        "unknown": list(problem.unknown),
        "near_names": list(problem.near_names),
    }
