"""The one hierarchy of errors that Homeport raises for bad input and failures outside.

An error says what happened, where (as data), and what to do next. The place
gathers as the error rises: the code that parses knows the field, its caller the
file. Printing is the command line's business alone (``homeport.cli``). Errors of
other libraries are mapped to these once, at the edge where the library is used.

Not for programming mistakes: those stay ordinary Python exceptions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

Where = Mapping[str, str | int]


def docs_page(name: str) -> str:
    """The command that prints a page of the documentation, such as ``formats/recipe``."""
    return f"homeport docs {name}"


class HomeportError(Exception):
    """Something could not be done (exit code 1).

    what:  one phrase without a full stop, in terms that the user knows
    where: place as data, for example ``{"file": "homeport.yaml", "line": 3, "field": "user"}``
           or ``{"registry": "r.example", "repository": "a/b", "digest": "sha256:…"}``
    hint:  what to do next, one phrase or a command line
    """

    id: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    #: Whether the same request may succeed when it is simply made again.
    retryable: ClassVar[bool] = False

    def __init__(self, what: str, *, where: Where | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where: dict[str, str | int] = dict(where or {})
        self.hint = hint
        #: The document on standard output already contains what this error says.
        self.after_result = False

    def at(self, **place: str | int) -> Self:
        """Add to the place what is not known yet and return the error, to be raised again.

        The innermost place wins: a field named close to the cause is not overwritten.
        """
        for key, value in place.items():
            self.where.setdefault(key, value)
        return self

    def to_json(self) -> dict[str, Any]:
        """The error as the JSON object that ``--format json`` prints (docs/formats/errors.md)."""
        found: dict[str, Any] = {"id": self.id, "what": self.what, "exit_code": self.exit_code}
        if self.where:
            found["where"] = self.where
        if self.hint:
            found["hint"] = self.hint
        return found

    def __str__(self) -> str:
        return self.what


class UsageError(HomeportError):
    """Invalid options, recipe or address (exit code 2)."""

    id = "usage"
    exit_code = 2


class OfflineError(UsageError):
    """The command needs the network, which it may not use."""


class AnswerNo(HomeportError):
    """A check was made and its result is negative (exit code 3).

    Verification failed, a policy is violated, two things differ.
    """

    id = "answer-no"
    exit_code = 3


class OutOfDate(HomeportError):
    """The lockfile that must be used unchanged is out of date (exit code 4)."""

    id = "out-of-date"
    exit_code = 4


class Interrupted(HomeportError):
    """The user or the system interrupted the run (exit code 130)."""

    id = "interrupted"
    exit_code = 130

    def __init__(self, what: str = "interrupted", **place: Any) -> None:
        super().__init__(what, **place)


class IntegrityError(HomeportError):
    """Bytes are not what their digest, size or signature says: never ignored."""

    id = "integrity"


class TooLarge(HomeportError):
    """External input exceeds its limit; the message names the limit."""

    id = "too-large"


class Faults(HomeportError):
    """Several faults of one document, found in one pass.

    The exit code is that of usage: a document with faults is bad input.
    """

    id = "faults"
    exit_code = 2

    def __init__(self, faults: Iterable[HomeportError], *, what: str | None = None) -> None:
        self.faults = tuple(faults)
        super().__init__(what or f"{len(self.faults)} faults")

    def at(self, **place: str | int) -> Self:
        for fault in self.faults:
            fault.at(**place)
        return super().at(**place)

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "faults": [fault.to_json() for fault in self.faults]}
