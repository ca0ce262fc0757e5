"""Dockerfile text → instructions with places: continuation, comments, escape, heredocs.

The rules are BuildKit's line by line (its parser is the peer of tests/peers). Every
character of an instruction keeps its place in the file, across continuation lines.
Faults are data: what can be read is read, and a builder refuses where it must. Not for
what instructions mean (``dockerfile.stages``).
"""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from homeport.dockerfile.words import Word, extract_flags, heredoc_words, split_words
from homeport.errors import TooLarge, UsageError

LARGEST = 4 << 20  # characters of one Dockerfile

BLANK = "\t\v\f\r "
_BLANKS = re.compile(r"[\t\v\f\r ]+")
_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)")
_WITH_HEREDOC = ("run", "copy", "add")


class BadDockerfile(UsageError):
    """A Dockerfile that cannot be built as it is; ``where`` names the line."""

    id = "dockerfile"


class Span(msgspec.Struct, frozen=True):
    """Characters of the file: from ``start`` up to ``end``."""

    start: int
    end: int


class Heredoc(msgspec.Struct, frozen=True, kw_only=True):
    """A body after an instruction. ``expand``: its delimiter was not quoted."""

    name: str
    content: str
    span: Span
    expand: bool
    chomp: bool


class Instruction(msgspec.Struct, frozen=True, kw_only=True):
    """One instruction with its flags and the rest, continuation lines joined.

    text:      the joined line, from the keyword on
    rest:      where the arguments after keyword and flags begin in ``text``
    lines:     first and last line, from 1, bodies of heredocs included
    comments:  the comment lines directly above
    """

    keyword: str
    text: str
    flags: tuple[Word, ...]
    rest: int
    lines: tuple[int, int]
    heredocs: tuple[Heredoc, ...] = ()
    comments: tuple[str, ...] = ()
    places: tuple[tuple[int, int], ...] = ()

    @property
    def arguments(self) -> str:
        """What follows keyword and flags."""
        return self.text[self.rest :]

    def span(self, start: int, end: int) -> Span:
        """The characters of the file that ``text[start:end]`` was read from."""
        if start >= end:
            return Span(self._at(start), self._at(start))
        return Span(self._at(start), self._at(end - 1) + 1)

    def words(self, escape: str = "\\") -> list[Word]:
        """The arguments split at blanks, quotes kept (ARG, ENV, LABEL)."""
        return split_words(self.text, self.rest, escape)

    def fields(self) -> list[Word]:
        """The arguments split at blanks whatever the quotes (FROM)."""
        found = []
        for match in re.finditer(r"[^\t\v\f\r ]+", self.text[self.rest :]):
            start = self.rest + match.start()
            found.append(Word(match.group(), start, self.rest + match.end()))
        return found

    def inner(self) -> Instruction | None:
        """The instruction behind ONBUILD, with its own flags."""
        if self.keyword != "onbuild" or not self.arguments.strip():
            return None
        keyword, at = _keyword(self.text, self.rest)
        flags, at, _ = extract_flags(self.text, at)
        return msgspec.structs.replace(self, keyword=keyword, flags=tuple(flags), rest=at)

    def _at(self, position: int) -> int:
        index = bisect.bisect_right(self.places, (position, 1 << 62)) - 1
        start, source = self.places[index]
        return source + position - start


class Directive(msgspec.Struct, frozen=True, kw_only=True):
    """``# name=value`` before everything else."""

    name: str
    value: str
    span: Span
    line: int


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a builder would refuse; reading went on."""

    what: str
    line: int
    weight: Literal["error", "warning"] = "error"


class Dockerfile(msgspec.Struct, frozen=True, kw_only=True):
    """A whole file as it was read."""

    text: str
    escape: str
    directives: tuple[Directive, ...]
    instructions: tuple[Instruction, ...]
    faults: tuple[Fault, ...]

    def check(self) -> None:
        """Raise ``BadDockerfile`` for the first fault that BuildKit refuses."""
        for fault in self.faults:
            if fault.weight == "error":
                raise BadDockerfile(fault.what, where={"line": fault.line})


def parse_dockerfile(text: str) -> Dockerfile:
    """Read a Dockerfile. Raises ``TooLarge`` alone; every other fault is in ``faults``."""
    if len(text) > LARGEST:
        raise TooLarge(f"the Dockerfile has more than {LARGEST} characters")
    return _Parser(text).parse()


class _Line(msgspec.Struct):
    text: str
    start: int
    number: int


class _Joined(msgspec.Struct):
    """An instruction being put together."""

    parts: list[str] = msgspec.field(default_factory=list)
    places: list[tuple[int, int]] = msgspec.field(default_factory=list)
    length: int = 0

    def add(self, text: str, source: int) -> None:
        self.places.append((self.length, source))
        self.parts.append(text)
        self.length += len(text)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = _physical_lines(text)
        self._escape = "\\"
        self._directives: list[Directive] = []
        self._in_directives = True
        self._faults: list[Fault] = []
        self._instructions: list[Instruction] = []

    def parse(self) -> Dockerfile:
        comments: list[str] = []
        for line in self._lines:
            stripped = line.text.lstrip()
            self._directive(stripped, line)
            if stripped.startswith("#"):
                comments.append(stripped[1:].strip())
                continue
            joined = _Joined()
            more = self._add(joined, stripped, line.start + len(line.text) - len(stripped))
            if not more and not joined.length:
                comments.clear()
                continue
            last = self._continue(joined, line) if more else line
            self._finish(joined, line.number, last, tuple(comments))
            comments.clear()
        if not self._instructions:
            self._fault("there are no instructions", 1)
        return Dockerfile(
            text=self._text, escape=self._escape, directives=tuple(self._directives),
            instructions=tuple(self._instructions), faults=tuple(self._faults),
        )  # fmt: skip

    def _continue(self, joined: _Joined, first: _Line) -> _Line:
        last = first
        for last in self._lines:
            if last.text.lstrip().startswith("#"):
                continue
            if not last.text.strip():
                self._fault("an empty line inside an instruction", last.number, "warning")
                continue
            if not self._add(joined, last.text, last.start):
                break
        return last

    def _add(self, joined: _Joined, text: str, source: int) -> bool:
        """Add a line; whether another one continues it."""
        bare = text.rstrip(" \t")
        continues = bare.endswith(self._escape) and not bare.endswith(self._escape * 2)
        joined.add(bare[:-1] if continues else text, source)
        return continues

    def _finish(self, joined: _Joined, number: int, last: _Line, comments: tuple[str, ...]) -> None:
        text = "".join(joined.parts)
        if not text.strip():
            return
        keyword, at = _keyword(text)
        flags, at, fault = extract_flags(text, at)
        if fault:
            self._fault(fault, number)
        heredocs: list[Heredoc] = []
        end = last
        for word in heredoc_words(text, self._escape) if _may_have_heredoc(text, at) else ():
            heredoc, end = self._heredoc(word.name, word.chomp, word.expand, end)
            heredocs.append(heredoc)
        self._instructions.append(
            Instruction(
                keyword=keyword, text=text, flags=tuple(flags), rest=at,
                lines=(number, end.number), heredocs=tuple(heredocs), comments=comments,
                places=tuple(joined.places),
            )
        )  # fmt: skip

    def _heredoc(self, name: str, chomp: bool, expand: bool, after: _Line) -> tuple[Heredoc, _Line]:
        start = end = None
        last = after
        for last in self._lines:
            if start is None:
                start = last.start
            body = last.text.lstrip("\t") if chomp else last.text
            end = last.start
            if body == name:
                break
        else:
            self._fault(f"the here-document {name!r} has no end", after.number)
            end = len(self._text)
            start = end if start is None else start
        assert start is not None
        assert end is not None
        content = self._text[start:end]
        if chomp:
            content = "".join(line.lstrip("\t") for line in content.splitlines(keepends=True))
        heredoc = Heredoc(
            name=name, content=content, span=Span(start, end), expand=expand, chomp=chomp
        )
        return heredoc, last

    def _directive(self, stripped: str, line: _Line) -> None:
        if not self._in_directives:
            return
        found = _DIRECTIVE.match(stripped.rstrip())
        name = found.group(1).lower() if found else ""
        if found is None or name not in ("syntax", "escape", "check"):
            # A first line "#!…" is skipped where the syntax is looked for, not here.
            self._in_directives = False
            return
        if any(directive.name == name for directive in self._directives):
            self._fault(f"a second {name} directive", line.number)
            return
        start = line.start + len(line.text) - len(stripped)
        span = Span(start + found.start(2), start + found.end(2))
        self._directives.append(
            Directive(name=name, value=found.group(2), span=span, line=line.number)
        )
        if name == "escape":
            if found.group(2) in ("\\", "`"):
                self._escape = found.group(2)
            else:
                self._fault(f"the escape character is \\ or `, not {found.group(2)}", line.number)

    def _fault(self, what: str, line: int, weight: Literal["error", "warning"] = "error") -> None:
        self._faults.append(Fault(what=what, line=line, weight=weight))


def _physical_lines(text: str) -> Iterator[_Line]:
    start = 1 if text.startswith("\ufeff") else 0
    number = 0
    while start < len(text):
        newline = text.find("\n", start)
        end = len(text) if newline < 0 else newline
        number += 1
        yield _Line(text[start:end].rstrip("\r"), start, number)
        start = end + 1


def _keyword(text: str, start: int = 0) -> tuple[str, int]:
    """The instruction's name from ``start`` on, and where what follows begins."""
    while text[start : start + 1] in tuple(BLANK):
        start += 1
    found = _BLANKS.search(text, start)
    if found is None:
        return text[start:].strip().lower(), len(text)
    return text[start : found.start()].lower(), found.end()


def _may_have_heredoc(text: str, at: int) -> bool:
    if "<<" not in text:
        return False
    keyword, start = _keyword(text)
    if keyword == "onbuild":
        keyword, start = _keyword(text, start)
        at = extract_flags(text, start)[1]
    return keyword in _WITH_HEREDOC and not _is_json_list(text[at:])


def _is_json_list(arguments: str) -> bool:
    if not arguments.lstrip(BLANK).startswith("["):
        return False
    try:
        found = json.loads(arguments)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, list) and all(isinstance(item, str) for item in found)
