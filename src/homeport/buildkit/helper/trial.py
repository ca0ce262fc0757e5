"""What every kind of helper image has: cases with names, each decided on an engine.

A kind is a table of cases and a way to decide one (``homeport.buildkit.helper.kinds`` lists
them). Not for what the cases are, nor for making the image reachable (``verification``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

import msgspec

from homeport.buildkit.address import Engine
from homeport.runtime import Runtime

#: What a document of another form than is expected raises when it is judged.
_BAD_FORM = (LookupError, ValueError, AttributeError, TypeError, RecursionError)
_LONGEST_WHY = 2000  # characters; an image chooses what it prints

State = Literal["passed", "failed", "not tried"]
KindName = Literal["copy", "binfmt", "sbom-scanner", "dockerfile", "recipe-frontend"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One case's outcome. ``seconds`` with the helper and without, of COPY and ADD alone."""

    name: str
    state: State
    why: str = ""
    helper_seconds: float = 0.0
    plain_seconds: float = 0.0


class Helper(msgspec.Struct, frozen=True, kw_only=True):
    """The image to prove: how the engine reaches it, by digest, and how it is started.

    url: where files of this machine are, for ADD
    """

    reference: str
    url: str = ""
    entrypoint: tuple[str, ...] = ()
    environment: Mapping[str, str] = msgspec.field(default_factory=dict)


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One image on one engine.

    register: emulators may be registered with the kernel of the engine's machine, for a moment
    """

    engine: Engine
    helper: Helper
    runtime: Runtime
    register: bool = False


class Named(Protocol):
    """A case, as far as all kinds have it."""

    @property
    def name(self) -> str: ...


#: Decides one case after the other; what they share exists while the block lasts.
Deciding = Callable[[Trial], AbstractContextManager[Callable[[Any], Row]]]


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of helper image, and what it must do."""

    name: KindName
    cases: Sequence[Named]
    deciding: Deciding


def prove(trial: Trial, kind: Kind, cases: Sequence[Named] | None = None) -> Iterator[Row]:
    """Rows as they are decided. Raises ``EngineTooOld`` if the engine knows no such helpers."""
    progress = trial.runtime.progress
    with kind.deciding(trial) as decide:
        for case in kind.cases if cases is None else cases:
            progress.begin(case.name)
            row = _cut(decide(case))
            progress.end(case.name, "failed" if row.state == "failed" else "done")
            yield row


def judged(judge: Callable[..., str], *answer: Any) -> str:
    """Why an answer is wrong; also where it has not the form of such documents."""
    try:
        return judge(*answer)
    except _BAD_FORM:
        return "the answer does not have the form of such a document"


def _cut(row: Row) -> Row:
    if len(row.why) <= _LONGEST_WHY:
        return row
    return msgspec.structs.replace(row, why=row.why[:_LONGEST_WHY] + "…")


def row(name: str, why: str, note: str = "") -> Row:
    """Passed with a note, or failed if there is a reason why."""
    return Row(name=name, state="failed" if why else "passed", why=why or note)


def not_tried(name: str, why: str) -> Row:
    return Row(name=name, state="not tried", why=why)
