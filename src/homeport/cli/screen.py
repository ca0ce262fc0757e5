"""The one style of tables and colours, and whether what reads our output is a terminal.

On a terminal a table fits its width: digests are short, columns give up room or are left out by
their priority, and no word is broken. Elsewhere (a pipe, a file) everything is there in full.
Colours mean something (severity, verdict, difference, error) and are for terminals only, without
``NO_COLOR`` (https://no-color.org) and ``--color never``.

Not for progress (``show``) nor for reports of many pages (``inspection.report.page``).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from typing import TextIO

import msgspec

#: A cell, or one with the name of its style.
Cell = str | tuple[str, str]

#: What each kind of text looks like, in the eight colours that every terminal has.
STYLES = {
    "title": "\x1b[1m",
    "good": "\x1b[32m",
    "added": "\x1b[32m",
    "bad": "\x1b[31m",
    "removed": "\x1b[31m",
    "critical": "\x1b[1;31m",
    "high": "\x1b[31m",
    "medium": "\x1b[33m",
    "changed": "\x1b[33m",
    "low": "\x1b[36m",
    "hint": "\x1b[36m",
    "dim": "\x1b[2m",
}
_RESET = "\x1b[0m"
#: The sequences that our own styles consist of; no other reaches a terminal.
OUR_SEQUENCES = re.compile("|".join(map(re.escape, {*STYLES.values(), _RESET})))
_MARKS = {"error": "critical", "warning": "medium", "hint": "hint"}
_MARK = re.compile(r"^( *|[^\n]*?: )(error|warning|hint):", re.MULTILINE)
_DIGEST = re.compile(r"(sha(?:256|512):[0-9a-f]{12})[0-9a-f]+")
_GAP = "  "
_NARROWEST = 40  # columns; a terminal that reports less is not fitted
_ELLIPSIS = "…"


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of a table.

    drop:  0: it is always there; of others the one with the largest number is left out first
    least: the width to which it may be shortened, with an ellipsis; 0: never
    """

    name: str
    right: bool = False
    drop: int = 0
    least: int = 0


def columns(*names: str, right: Sequence[int] = (), least: int = 16) -> tuple[Column, ...]:
    """Columns of a plain table; those of text may be shortened, none is left out."""
    return tuple(
        Column(name=name, right=True) if number in right else Column(name=name, least=least)
        for number, name in enumerate(names)
    )


class Screen(msgspec.Struct, frozen=True, kw_only=True):
    """What reads our output.

    width:  of the terminal; ``None``: no terminal, or ``--full``
    colour: whether styles are written
    """

    width: int | None = None
    colour: bool = False

    def styled(self, text: str, style: str) -> str:
        """``text`` in a style of ``STYLES``; as it is without colours."""
        if not (self.colour and style and text):
            return text
        return f"{STYLES[style]}{text}{_RESET}"

    def digest(self, text: str) -> str:
        """A digest as it is shown: 12 digits on a terminal, all of it elsewhere."""
        return text if self.width is None else _DIGEST.sub(r"\1", text)

    def table(
        self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, indent: int = 0
    ) -> str:
        """The rows under the names of their columns."""
        plain = [[self.digest(_text(cell)) for cell in row] for row in rows]
        names = [column.name.upper() for column in columns]
        measure = _measure if self.width is not None else len
        natural = [
            max(measure(cell) for cell in cells) for cells in zip(names, *plain, strict=True)
        ]
        widths = self._fitted(columns, natural, indent)
        shown = [number for number, width in enumerate(widths) if width is not None]

        def line(cells: Sequence[str], styles: Sequence[str]) -> str:
            parts = []
            for number in shown:
                width = widths[number] or 0
                text = _fit(cells[number], width, measure)
                space = " " * (width - measure(text))
                padded = self.styled(text, styles[number])
                parts.append(space + padded if columns[number].right else padded + space)
            return (" " * indent + _GAP.join(parts)).rstrip()

        lines = [line(names, ["title"] * len(names))] if any(names) else []
        lines += [
            line(cells, [_style(cell) for cell in row])
            for cells, row in zip(plain, rows, strict=True)
        ]
        left_out = [names[number].lower() for number in range(len(names)) if number not in shown]
        if left_out:
            text = f"{' ' * indent}not shown at this width: {', '.join(left_out)} (--full)"
            lines.append(self.styled(text, "dim"))
        return "\n".join(lines)

    def _fitted(
        self, columns: Sequence[Column], natural: Sequence[int], indent: int
    ) -> list[int | None]:
        """The width of each column; ``None`` for those that are left out."""
        widths: list[int | None] = list(natural)
        if self.width is None:
            return widths
        while True:
            there = [number for number, width in enumerate(widths) if width is not None]
            room = self.width - indent - len(_GAP) * (len(there) - 1)
            least = {
                number: min(natural[number], columns[number].least or natural[number])
                for number in there
            }
            droppable = [number for number in there if columns[number].drop]
            if sum(least.values()) > room and droppable:
                widths[max(droppable, key=lambda number: columns[number].drop)] = None
                continue
            return self._shortened(widths, natural, least, room)

    def _shortened(
        self, widths: list[int | None], natural: Sequence[int], least: dict[int, int], room: int
    ) -> list[int | None]:
        """Columns give up room, the widest first, until the row fits or nothing is left to give."""
        now = {number: natural[number] for number in least}
        while sum(now.values()) > room:
            giving = [number for number in now if now[number] > least[number]]
            if not giving:
                break
            now[max(giving, key=now.__getitem__)] -= 1
        return [None if width is None else now[number] for number, width in enumerate(widths)]


#: No terminal: everything in full, without colours.
PLAIN = Screen()


def screen_of(stream: TextIO, color: str = "auto", *, full: bool = False) -> Screen:
    """The screen behind a stream."""
    terminal = _is_terminal(stream)
    width = None
    if terminal and not full:
        width = max(_NARROWEST, shutil.get_terminal_size((80, 24)).columns)
    return Screen(width=width, colour=wants_colour(stream, color))


def wants_colour(stream: TextIO, color: str = "auto") -> bool:
    """Whether styles are written to a stream: ``always``, or on a terminal unless unwanted."""
    if color in ("always", "never"):
        return color == "always"
    return (
        _is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def marked(text: str) -> str:
    """A message with its words ``error:``, ``warning:`` and ``hint:`` in their colours."""

    def mark(found: re.Match[str]) -> str:
        return f"{found[1]}{STYLES[_MARKS[found[2]]]}{found[2]}:{_RESET}"

    return _MARK.sub(mark, text)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # closed, or none
        return False


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _style(cell: Cell) -> str:
    return "" if isinstance(cell, str) else cell[1]


def _measure(text: str) -> int:
    """The columns of a terminal that ``text`` takes; a Chinese letter takes two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # 10 ms that ASCII tables and pipes save

    return cell_len(text)


def _fit(text: str, width: int, measure: Callable[[str], int]) -> str:
    """``text`` in at most ``width`` columns, with an ellipsis where something is missing."""
    if measure(text) <= width:
        return text
    while text and measure(text) + 1 > width:
        text = text[:-1]
    return text.rstrip() + _ELLIPSIS
