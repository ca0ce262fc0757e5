"""Shell text: which container tools it runs, and the images it names.

A reading of words, not of shell: quotes, continuation lines and the ends of commands are
understood, variables and functions are not. So images found here have low confidence; what a
tool pulls implicitly is left to the rules, which get every command as a cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from homeport.audit.reading.collector import Collector
from homeport.audit.reading.command_images import chart_version, contexts_of, images_of, tags_of
from homeport.audit.reading.programs import command_pattern
from homeport.audit.source import Written

_END = re.compile(r"[;&|)`\n]")
_WORD = re.compile(
    r"""(?:"(?:[^"\\]|\\.){0,4096}"|'[^']{0,4096}+'|\$\([^()]{0,1000}+\)|\\.|[^\s"'\\;&|()`])+""",
    re.DOTALL,
)
_GAP = re.compile(r"(?:[ \t]|\\\r?\n){0,1000}")
_COMMENT = re.compile(r"[ \t]{0,200}+(?:#|//|REM\b)")

#: Words that precede subcommands.
_GROUPS = frozenset({"container", "image", "buildx", "manifest", "compose", "create", "builder"})
#: Engines whose ``create`` is followed by options and an image, not by a subcommand.
_CREATE = frozenset({"docker create", "podman create", "nerdctl create"})
#: Marks that decide where quotes and commands of a line begin.
_MARKS = re.compile(r"\\.|[\"';&|({`]", re.DOTALL)
#: Commands that print their words.
_PRINTS = re.compile(
    r"(?:[\s@+-]|[\w-]{1,40}:\s|(?:RUN|then|else|do|sudo)\s){0,20}"
    r"(?:echo|printf|print|println|puts|die|fail|fatal|warn|warning|error|err|info|log|msg|message"
    r"|usage|notice|say|write-host|write-output|\$\(?(?:info|warning|error)|throw)\b[\s(]*",
    re.IGNORECASE,
)
#: What precedes a command inside quotes, besides the quote itself.
_STARTS = re.compile(
    r"(?:^|[;&|({!`]"
    r"|(?:^|[\s;&|({])(?:then|do|else|exec|sudo|time|env|eval|nohup|xargs|set -e[a-z]*))$"
)
#: What a command costs, in steps of the file's budget; bounds: its words and characters.
_COMMAND = 500
MOST_WORDS = 200
LONGEST = 16_384


#: Commands may be arguments of each other; after so many words each has only a few.
_MANY_WORDS, _FEW_WORDS = 5_000, 12


class Command(msgspec.Struct, frozen=True):
    """A tool and its words, and the text that contains them."""

    tool: str
    words: tuple[Written, ...]
    written: Written

    @property
    def name(self) -> str:
        """Tool and subcommands: ``docker buildx create``."""
        found = [self.tool]
        for word in self.words:
            if word.text.startswith("-") or not re.fullmatch(r"[a-z][a-z-]*", word.text):
                break
            found.append(word.text)
            if word.text not in _GROUPS or len(found) > 2 or " ".join(found) in _CREATE:
                break
        return " ".join(found)

    @property
    def arguments(self) -> list[Written]:
        """The words after tool and subcommands."""
        return list(self.words[len(self.name.split(" ")) - 1 :])


def commands(written: Written, found: Collector) -> Iterator[Command]:
    """The collector's programs that a piece of shell text runs."""
    text = written.text
    line = _Line(text)
    spent = 0
    for match in found.each(command_pattern(found.programs).finditer(text), _COMMAND):
        start = match.start("tool")
        line.go_to(start)
        if _COMMENT.match(text, line.start, start) or line.is_prose(match.start()):
            continue
        most = MOST_WORDS if spent < _MANY_WORDS else _FEW_WORDS
        words, end = _words(written, match.end("tool"), line.quote, most)
        spent += len(words)
        if words:
            yield Command(match.group("tool"), tuple(words), written.part(start, end))


class _Line(msgspec.Struct):
    """The quotes and commands of the line that holds a place; places only go forward."""

    text: str
    start: int = 0
    at: int = 0
    quote: str = ""
    opened: int = 0
    command: int = 0

    def go_to(self, place: int) -> None:
        line_start = self.text.rfind("\n", self.at, place) + 1
        if line_start:
            self.start = self.at = self.command = line_start
            self.quote = ""
        for mark in _MARKS.finditer(self.text, self.at, place):
            char = mark.group()
            if char == self.quote:
                self.quote = ""
            elif self.quote or char[0] == "\\":
                continue
            elif char in "\"'":
                self.quote, self.opened = char, mark.start()
            else:
                self.command = mark.end()
        self.at = place

    def is_prose(self, place: int) -> bool:
        """Whether the words there are printed, or stand in the middle of a quoted text."""
        substituted = (
            self.text[place : place + 1] in ("(", "`") and self.quote != "'"
            and self.text[place - 1 : place] != "\\"
        )  # fmt: skip
        if substituted and self.quote:
            return False
        if _PRINTS.match(self.text, self.command, place + 1):
            return True
        before = self.text[max(self.opened + 1, place - 80) : place + 1]
        if self.quote and before.startswith(self.quote):
            before = before[1:]
        return bool(self.quote) and _STARTS.search(before.strip()) is None


def _words(written: Written, at: int, quote: str, most: int) -> tuple[list[Written], int]:
    """The words of a command and where it ends: at its own quote, if it stands inside one."""
    text, words, end = written.text, list[Written](), at
    limit = min(len(text), at + LONGEST)
    while len(words) <= most:
        at = _gap(text, at)
        if at >= limit or _END.match(text, at) or text.startswith(("#", quote or "#"), at):
            break
        word = _WORD.match(text, at)
        if word is None:
            break
        stop = text.find(quote, at, word.end()) if quote else -1
        at = end = word.end() if stop < 0 else stop
        words.append(_unquoted(written.part(word.start(), end)))
    return words, end


def read_commands(written: Written, found: Collector, key: str) -> None:
    """Hand the images and causes in a piece of shell text to ``found``."""
    for command in commands(written, found):
        name, arguments = command.name, command.arguments
        for word in images_of(command.tool, name, arguments):
            where = f"{key}: {name}" if key else name
            value = f"{word.text}{chart_version(arguments)}" if command.tool == "helm" else None
            found.image(word, where, confidence="low", value=value)
        for word in tags_of(name, arguments):
            found.produces(word.text, f"{found.source.path}: {name}")
        replaced = contexts_of(name, arguments)
        if replaced is not None:
            found.contexts.append(replaced)
        attributes = {"args": " ".join(word.text for word in command.words)}
        found.cause("command", name, command.written, key=key, attributes=attributes)


def _gap(text: str, at: int) -> int:
    match = _GAP.match(text, at)
    return match.end() if match else at


def _unquoted(word: Written) -> Written:
    quote = word.text[:1]
    if quote in ("'", '"') and word.text.endswith(quote) and word.text.count(quote) == 2:
        return word.part(1, len(word.text) - 1)
    return word
