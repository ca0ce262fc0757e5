"""The result of comparing a lockfile with what its archives signed, and its error."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from homeport.errors import AnswerNo

Evidence = Literal["answer", "archive", "cache", "proof"]


class NotVerified(AnswerNo):
    """A lockfile is not what the archives signed, or nothing proves that it is."""

    id = "lock-not-verified"


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """A lockfile that was compared with the signed indexes.

    evidence: where they came from; ``None``: there is none, and nothing was compared
    missing:  what there is no evidence of
    ended:    keys that signed and have expired or were revoked since
    """

    lockfile: Path
    evidence: Evidence | None
    packages: int = 0
    missing: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.evidence is None:
            why = f": no evidence of {self.missing[0]}" if self.missing else ""
            way = " (to fetch it: homeport lock --verify --online)"
            return f"{self.lockfile}: not verified against the signed archive{why}{way}"
        notes = "".join(f" ({ended})" for ended in self.ended)
        return f"{self.lockfile}: verified against the signed archive{notes}"
