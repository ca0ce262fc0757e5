"""A file under audit, and exact places in it.

Readers work on text; edits and reports need bytes, lines and columns. Text is decoded so
that every byte survives (``surrogateescape``), and offsets convert both ways without
counting from the start each time. Not for what the text means.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from functools import cached_property
from typing import Literal

import msgspec

from homeport.budget import Budget

#: How a value is written, which decides what may be written in its place.
Quoting = Literal["text", "plain", "single", "double", "block"]

_STEP = 512


class Place(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A range of a file: bytes from ``start`` up to ``end``, lines and columns from 1.

    Columns count Unicode code points, as SARIF's ``unicodeCodePoints``.
    """

    file: str
    start: int
    end: int
    line: int
    column: int
    end_line: int
    end_column: int


class Source:
    """One file: its path as shown (relative, with ``/``) and its bytes.

    budget: of the file that this text is a part of, which all its readers share
    """

    def __init__(self, path: str, data: bytes, budget: Budget | None = None) -> None:
        self.path = path
        self.data = data
        self._budget = budget
        self._blocks: dict[int, list[int]] = {}
        self._shifts: dict[tuple[int, int], int | None] = {}

    def __repr__(self) -> str:
        return f"Source(path={self.path!r})"

    @property
    def budget(self) -> Budget:
        """What reading the file may cost."""
        if self._budget is None:
            self._budget = Budget("the file")
        return self._budget

    @cached_property
    def text(self) -> str:
        """The content; bytes that are not UTF-8 survive as lone surrogates."""
        return self.data.decode("utf-8", "surrogateescape")

    def inner(self, text: str) -> Source:
        """A string of the file as a text of its own, for readers of documents."""
        return Source(self.path, text.encode("utf-8", "surrogateescape"), self.budget)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @cached_property
    def _line_starts(self) -> list[int]:
        return _line_starts(self.text)

    @cached_property
    def _byte_marks(self) -> list[int] | None:
        """Byte offset of every 512th character; ``None`` when both counts agree."""
        if len(self.text) == len(self.data):
            return None
        marks, total = [0], 0
        for start in range(0, len(self.text), _STEP):
            total += len(self.text[start : start + _STEP].encode("utf-8", "surrogateescape"))
            marks.append(total)
        return marks

    def byte(self, char: int) -> int:
        """The byte offset of a character offset."""
        marks = self._byte_marks
        if marks is None:
            return char
        step = char // _STEP
        rest = self.text[step * _STEP : char].encode("utf-8", "surrogateescape")
        return marks[step] + len(rest)

    def line_of(self, char: int) -> int:
        """The line of a character, from 1."""
        return bisect.bisect_right(self._line_starts, char)

    def line(self, number: int) -> tuple[int, str]:
        """Where line ``number`` begins and its text, without its end."""
        if not 0 < number <= len(self._line_starts):
            return len(self.text), ""
        start = self._line_starts[number - 1]
        end = self.text.find("\n", start)
        return start, self.text[start : len(self.text) if end < 0 else end].rstrip("\r")

    def place(self, start: int, end: int) -> Place:
        """The place of the characters from ``start`` up to ``end``."""
        first, last = self.line_of(start), self.line_of(end)
        return Place(
            file=self.path, start=self.byte(start), end=self.byte(end),
            line=first, column=start - self._line_starts[first - 1] + 1,
            end_line=last, end_column=end - self._line_starts[last - 1] + 1,
        )  # fmt: skip

    def lines_of_block(self, block: Written) -> list[int]:
        """Where the lines of a block scalar's text begin; worked out once for each block."""
        starts = self._blocks.get(block.start)
        if starts is None:
            starts = self._blocks[block.start] = _line_starts(block.text)
        return starts

    def shift_in_block(self, block: Written, index: int) -> int | None:
        """How far a line of a block scalar's text is from its characters in the file.

        ``None`` if the file has other characters there. Worked out once: a line may be long and
        have many parts.
        """
        key = (block.start, index)
        if key not in self._shifts:
            self._shifts[key] = self._shift_in_block(block, index)
        return self._shifts[key]

    def _shift_in_block(self, block: Written, index: int) -> int | None:
        line_start = self.lines_of_block(block)[index]
        line_end = block.text.find("\n", line_start)
        line = block.text[line_start : line_end if line_end >= 0 else None]
        raw_start, raw = self.line(self.line_of(block.start) + 1 + index)
        if not line or not raw.endswith(line) or raw[: -len(line)].strip(" "):
            return None
        return raw_start + len(raw) - len(line) - line_start

    def whole(self) -> Written:
        """The file as one piece of text."""
        return Written(text=self.text, source=self, start=0, end=len(self.text))


def _line_starts(text: str) -> list[int]:
    starts = [0]
    at = text.find("\n")
    while at >= 0:
        starts.append(at + 1)
        at = text.find("\n", at + 1)
    return starts


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """Text and where it is written, in characters of its source.

    exact:  the file's characters there are ``text`` itself (no escapes, no folding), so a
            part of it has a place of its own and may be replaced
    """

    text: str
    source: Source
    start: int
    end: int
    exact: bool = True
    quoting: Quoting = "text"
    #: For a part of a block scalar: the whole scalar, and where in its text the part begins.
    block: Written | None = None
    offset: int = 0

    @property
    def place(self) -> Place:
        """Where it is, as bytes, line and column."""
        return self.source.place(self.start, self.end)

    def part(self, start: int, end: int | None = None) -> Written:
        """``text[start:end]`` with its place, which is the whole one unless ``exact``."""
        end = len(self.text) if end is None else end
        text = self.text[start:end]
        if not self.exact:
            part = msgspec.structs.replace(
                self, text=text, block=self.block or self, offset=self.offset + start
            )
            return part._in_block() if self.quoting == "block" else part
        return msgspec.structs.replace(
            self, text=text, start=self.start + start, end=self.start + end
        )

    def _in_block(self) -> Written:
        """The same with its exact place, if it is within one line of a literal block scalar."""
        whole = self.block or self
        starts = self.source.lines_of_block(whole)
        index = bisect.bisect_right(starts, self.offset) - 1
        line_end = starts[index + 1] - 1 if index + 1 < len(starts) else len(whole.text)
        if self.offset + len(self.text) > line_end:
            return self
        shift = self.source.shift_in_block(whole, index)
        if shift is None:
            return self
        start = self.offset + shift
        return msgspec.structs.replace(
            self, start=start, end=start + len(self.text), exact=True, block=None, offset=0
        )

    def stripped(self) -> Written:
        """Without blanks around it."""
        left = len(self.text) - len(self.text.lstrip())
        return self.part(left, max(left, len(self.text.rstrip())))

    def after(self, prefix: str) -> Written:
        """What follows ``prefix``, which it must start with."""
        return self.part(len(prefix))

    def lines(self) -> Iterator[Written]:
        """Its lines, without their ends."""
        at = 0
        for line in self.text.splitlines(keepends=True):
            yield self.part(at, at + len(line.rstrip("\r\n")))
            at += len(line)
