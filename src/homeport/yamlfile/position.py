"""Where something is written in a file, for messages."""

from __future__ import annotations

from pathlib import Path

import msgspec


class FilePosition(msgspec.Struct, frozen=True, kw_only=True):
    """Where something was written: ``field`` is like ``packages[2].version``."""

    file: str
    line: int
    column: int = 1
    field: str = ""

    def where(self) -> dict[str, str | int]:
        """The position as an error's ``where``."""
        where: dict[str, str | int] = {"file": self.file, "line": self.line, "column": self.column}
        return {**where, "field": self.field} if self.field else where

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line}"
