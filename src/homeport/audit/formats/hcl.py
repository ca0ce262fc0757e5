"""HCL as nodes with places: bake, Terraform, Nomad and Packer files.

Blocks become maps under their type and labels; a string stays as written inside its
quotes; anything that is neither a literal string, a list nor an object is an expression,
kept as text with style ``expr``. Nothing is evaluated here.
"""

from __future__ import annotations

import re

import msgspec
import yaml

from homeport.audit.formats.nodes import (
    DEEPEST,
    Unparsable,
    mapping,
    report_fault,
    scalar,
    sequence,
)
from homeport.audit.formats.yaml import written
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.variables import Lookup, Outcome, Variable, cut_by, outcomes
from homeport.audit.source import Source, Written

_GAP = re.compile(r"(?:[ \t\r\n\ufeff]|#[^\n]*|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_INLINE_GAP = re.compile(r"(?:[ \t\r]|/\*.*?\*/)*", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][\w-]*")
_HEREDOC = re.compile(r"<<(-?)([A-Za-z_]\w*)[^\n]*\n")
_INTERPOLATION = re.compile(
    r"\$\{~?\s{0,99}+([A-Za-z_][\w.\-]{0,200}+)\s{0,99}+~?\}"
    r"|\$\{[^{}]{0,1000}+\}|%\{[^{}]{0,1000}+\}"
)
_PLAIN_NAME = re.compile(r"[A-Za-z_][\w.\-]*")


def document(source: Source, found: Collector) -> yaml.Node | None:
    """The body of a file as one map; a fault goes to ``found``."""
    try:
        return parse_hcl(source.text)
    except Unparsable as error:
        report_fault(source, found, "HCL", error)
        return None


def parse_hcl(text: str) -> yaml.Node:
    """Read a file. Raises ``Unparsable``."""
    parser = _Parser(text)
    return parser.body("", 0)


def values(source: Source, node: yaml.Node, lookup: Lookup) -> tuple[Written, list[Outcome]]:
    """The values that a scalar may have; names are looked up, other code is not evaluated."""
    value = written(source, node)
    if getattr(node, "style", "") == "expr":
        # Text cannot be put before or behind code, so this is never edited.
        value = msgspec.structs.replace(value, exact=False)
        if _PLAIN_NAME.fullmatch(value.text):
            return value, outcomes(value, lambda w: [Variable(name=w.text)], lookup)
        return value, [Outcome(value="", problem="an expression that is not evaluated here")]
    return value, outcomes(value, cut_by(_INTERPOLATION), lookup)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def body(self, end: str, depth: int) -> yaml.MappingNode:
        """Attributes and blocks up to ``end``."""
        self._bound(depth)
        start = self._at
        entries: list[tuple[yaml.Node, yaml.Node]] = []
        while (char := self._gap()) != end:
            if not char:
                raise Unparsable(f"'{end}' is missing", self._at)
            key = self._key()
            if self._gap(inline=True) in ("=", ":") and not self._text.startswith("==", self._at):
                self._at += 1
                entries.append((key, self._value(depth + 1, ",}\n")))
                if self._gap() == ",":
                    self._at += 1
            else:
                entries.append((key, self._block(depth + 1)))
        return mapping(entries, start, self._at)

    def _block(self, depth: int) -> yaml.Node:
        """Labels, then a body; each label is a map of its own."""
        labels = []
        while (char := self._gap(inline=True)) != "{":
            if not char or char == "\n":
                raise Unparsable("'=' or '{' is missing", self._at)
            labels.append(self._key())
        self._at += 1
        node: yaml.Node = self.body("}", depth)
        self._at += 1
        for label in reversed(labels):
            node = mapping([(label, node)], label.start_mark.index, self._at)
        return node

    def _key(self) -> yaml.ScalarNode:
        if self._text.startswith('"', self._at):
            return self._string()
        if self._text.startswith("(", self._at):
            start = self._at
            self._skip_until(")")
            self._at += 1
            return scalar(self._text[start : self._at], start, self._at, "expr")
        match = _NAME.match(self._text, self._at)
        if match is None:
            raise Unparsable("a name is missing", self._at)
        self._at = match.end()
        return scalar(match.group(), match.start(), match.end())

    def _value(self, depth: int, ends: str) -> yaml.Node:
        self._bound(depth)
        self._gap()
        start = self._at
        node = self._term(depth)
        rest_start = self._at
        self._skip_until(ends)
        rest = self._text[rest_start : self._at]
        comment = re.search(r"#|//", rest)
        if node is not None and not (rest[: comment.start()] if comment else rest).strip():
            return node
        text = self._text[start : self._at].rstrip()
        return scalar(text, start, start + len(text), "expr")

    def _term(self, depth: int) -> yaml.Node | None:
        char = self._text[self._at : self._at + 1]
        if char == '"':
            return self._string()
        if char == "[" and not re.match(r"\[\s*for\b", self._text[self._at :][:20]):
            return self._list(depth)
        if char == "{" and not re.match(r"\{\s*for\b", self._text[self._at :][:20]):
            self._at += 1
            node = self.body("}", depth)
            self._at += 1
            return node
        heredoc = _HEREDOC.match(self._text, self._at)
        return self._heredoc(heredoc) if heredoc else None

    def _list(self, depth: int) -> yaml.SequenceNode:
        self._bound(depth)
        start = self._at
        self._at += 1
        items: list[yaml.Node] = []
        while (char := self._gap()) != "]":
            if not char:
                raise Unparsable("']' is missing", self._at)
            items.append(self._value(depth + 1, ",]"))
            if self._gap() == ",":
                self._at += 1
            elif self._gap() != "]":
                raise Unparsable("',' or ']' is missing", self._at)
        self._at += 1
        return sequence(items, start, self._at)

    def _string(self) -> yaml.ScalarNode:
        start = self._at
        end = self._string_end(start)
        self._at = end
        return scalar(self._text[start + 1 : end - 1], start, end, '"')

    def _string_end(self, at: int) -> int:
        """Just after the closing quote; strings inside ``${}`` are skipped over."""
        start = at
        at += 1
        depth = 0
        while at < len(self._text):
            char = self._text[at]
            if char == "\\":
                at += 1
            elif self._text.startswith(("${", "%{"), at) and self._text[at - 1] != char:
                depth += 1
                at += 1
            elif char == "}" and depth:
                depth -= 1
            elif char == '"' and not depth:
                return at + 1
            elif char == '"':
                close = self._text.find('"', at + 1)
                at = close if close >= 0 else len(self._text)
            elif char == "\n":
                break
            at += 1
        raise Unparsable("unterminated string", start)

    def _heredoc(self, match: re.Match[str]) -> yaml.ScalarNode:
        end = re.compile(rf"^[ \t]*{match.group(2)}[ \t]*\r?$", re.MULTILINE)
        found = end.search(self._text, match.end())
        if found is None:
            raise Unparsable(f"unterminated here-document {match.group(2)}", match.start())
        start = self._at
        self._at = found.end()
        return scalar(self._text[match.end() : found.start()], start, self._at, "|")

    def _skip_until(self, ends: str) -> None:
        """To the first of ``ends`` outside brackets and strings."""
        depth = 0
        while self._at < len(self._text):
            char = self._text[self._at]
            if depth == 0 and char in ends:
                return
            if char == '"':
                self._at = self._string_end(self._at)
                continue
            if char in "([{":
                depth += 1
            elif char in ")]}":
                if depth == 0:
                    return
                depth -= 1
            elif char == "#" or self._text.startswith("//", self._at):
                newline = self._text.find("\n", self._at)
                self._at = newline if newline >= 0 else len(self._text)
                continue
            self._at += 1

    def _gap(self, *, inline: bool = False) -> str:
        match = (_INLINE_GAP if inline else _GAP).match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._text[self._at : self._at + 1]

    def _bound(self, depth: int) -> None:
        if depth > DEEPEST:
            raise Unparsable(f"nested more than {DEEPEST} deep", self._at)
