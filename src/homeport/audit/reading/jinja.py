"""The little of Jinja that puts image references together from variables.

``{{ registry }}/a:{{ tag | default('1') }}``, ``~`` and ``+``: names are looked up, and their
values may hold expressions themselves. Conditions, calls and loops fail with a reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from homeport.audit.source import Written

_TOKEN = re.compile(
    r"\s{0,99}+(?:(?P<string>\"[^\"\\]{0,400}+\"|'[^'\\]{0,400}+')"
    r"|(?P<name>[A-Za-z_]\w{0,200}+(?:\.\w{1,100}+|\[['\"][\w.-]{1,100}+['\"]\]){0,8})"
    r"|(?P<number>\d[\d.]{0,20}+)|(?P<mark>[|~+(),=]))"
)
_KEY = re.compile(r"\[['\"]([\w.-]{1,100}+)['\"]\]")
#: Filters that leave a reference what it is.
_SAME = frozenset(("string", "trim", "lower", "quote", "mandatory", "replace_none"))
#: How deep values hold expressions, expressions of one text, and characters of the result.
DEEPEST = 10
_MOST = 50
_LONGEST = 2_000


class NotSimple(Exception):
    """The expression uses what is not supported here; the text names it."""


class Part(msgspec.Struct, frozen=True):
    """A piece of the result. ``name``: the variable; ``written``: where its value is."""

    text: str
    name: str = ""
    written: Written | None = None


Lookup = Callable[[str], "Written | None"]
#: What a filter that only one tool has makes of a value, or ``None``.
Filter = Callable[[str, str], "str | None"]


def evaluate(text: str, lookup: Lookup, other: Filter = lambda name, value: None) -> list[Part]:
    """The parts of a text with ``{{ }}``. Raises ``NotSimple``."""
    return _Evaluation(lookup, other).text(text, 0)


class _Evaluation:
    def __init__(self, lookup: Lookup, other: Filter) -> None:
        self._lookup = lookup
        self._other = other
        self._count = 0

    def text(self, text: str, depth: int) -> list[Part]:
        if depth > DEEPEST:
            raise NotSimple("variables nest too deep")
        if "{%" in text:
            raise NotSimple("a statement is not evaluated here")
        parts: list[Part] = []
        at = 0
        while (start := text.find("{{", at)) >= 0:
            end = text.find("}}", start)
            self._count += 1
            if end < 0 or self._count > _MOST:
                raise NotSimple(
                    "an expression is not closed" if end < 0 else "too many expressions"
                )
            parts.append(Part(text[at:start]))
            parts += self._expression(text[start + 2 : end].strip("-+ \t\n"), depth)
            at = end + 2
        parts.append(Part(text[at:]))
        if sum(len(part.text) for part in parts) > _LONGEST:
            raise NotSimple("the value is too long")
        return [part for part in parts if part.text or part.name]

    def _expression(self, text: str, depth: int) -> list[Part]:
        value, at = self._term(text, 0, depth)
        while at < len(text) and (token := _TOKEN.match(text, at)):
            at = token.end()
            match token.group("mark"):
                case "|":
                    value, at = self._filter(text, at, value, depth)
                case "~" | "+":
                    right, at = self._term(text, at, depth)
                    value = [*(value or []), *(right or [])]
                case _:
                    raise NotSimple(f"{text[:40]!r} is not evaluated here")
        if text[at:].strip():
            raise NotSimple(f"{text[:40]!r} is not evaluated here")
        if value is None:
            raise NotSimple(f"no value for {text[:80].split('|', maxsplit=1)[0].strip()}")
        return value

    def _term(self, text: str, at: int, depth: int) -> tuple[list[Part] | None, int]:
        token = _TOKEN.match(text, at)
        if token is None or token.group("mark"):
            raise NotSimple(f"{text[:40]!r} is not evaluated here")
        if (literal := token.group("string") or token.group("number")) is not None:
            return [Part(literal.strip("'\""))], token.end()
        name = _KEY.sub(r".\1", token.group("name"))
        found = self._lookup(name)
        if found is None:
            return None, token.end()
        if "{{" in found.text:
            return self.text(found.text, depth + 1), token.end()
        return [Part(found.text, name, found)], token.end()

    def _filter(
        self, text: str, at: int, value: list[Part] | None, depth: int
    ) -> tuple[list[Part] | None, int]:
        token = _TOKEN.match(text, at)
        name = token.group("name") if token else None
        if token is None or not name:
            raise NotSimple("a filter is missing")
        at = token.end()
        argument: list[Part] | None = None
        opened = _TOKEN.match(text, at)
        if opened is not None and opened.group("mark") == "(":
            argument, at = self._term(text, opened.end(), depth)
            close = text.find(")", at)
            if close < 0:
                raise NotSimple("a parenthesis is not closed")
            at = close + 1
        if name in ("default", "d"):
            return (value if value else argument), at
        if name in _SAME:
            return value, at
        made = self._other(name, "".join(part.text for part in value or []))
        if made is None:
            raise NotSimple(f"the filter {name!r} is not evaluated here")
        return [Part(made)], at
