"""The little of Go's template language that puts image references together in charts.

``{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}`` and
the like are evaluated, each piece with the place that it came from. Control flow, ranges
and user-defined templates are not: those fail with a reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from homeport.audit.source import Written

_TOKEN = re.compile(
    r"\s*(?:(?P<string>\"(?:[^\"\\]|\\.)*\"|`[^`]*`)|(?P<path>\$?\.[\w.]*|\$\w+(?:\.[\w.]+)?)"
    r"|(?P<word>[\w-]+)|(?P<mark>[()|,]))"
)
_SET = re.compile(r"\$(\w+)\s*:?=\s*(.*)", re.DOTALL)
#: Functions that leave a reference what it is.
_SAME = frozenset(
    ("lower", "nospace", "quote", "squote", "toString", "trim", "tpl", "print", "trimAll")
)
_DEEPEST = 10
#: The name of the chart's whole context, ``.`` or ``$``.
_ROOT = "."


class Piece(msgspec.Struct, frozen=True):
    """A part of a value.

    name:   the value of the chart that it is, ``""`` for text of the template
    whole:  a value by itself, not text between values
    """

    text: str
    name: str = ""
    written: Written | None = None
    whole: bool = False


Value = tuple[Piece, ...]
#: What a path means: ``.Values.image.tag``, or ``None`` where it has no value.
Lookup = Callable[[str], Value | None]


class NotSimple(Exception):
    """The expression uses what is not supported here; the text names it."""


def assignments(text: str) -> dict[str, str]:
    """Variables of a template that have one meaning, and the expressions of them."""
    found: dict[str, list[str]] = {}
    for action in actions(text):
        if match := _SET.match(action):
            found.setdefault(f"${match.group(1)}", []).append(match.group(2))
    return {name: every[0] for name, every in found.items() if len(set(every)) == 1}


def actions(text: str) -> list[str]:
    """The expressions between braces."""
    return [inner for _, _, inner in _actions(text)]


def _actions(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and expression of every action, in time that grows with the text."""
    at = 0
    while (start := text.find("{{", at)) >= 0 and (close := text.find("}}", start)) >= 0:
        at = close + 2
        yield start, at, text[start + 2 : close].removeprefix("-").removesuffix("-").strip()


def evaluate(
    written: Written, lookup: Lookup, variables: Mapping[str, str],
    named: Mapping[str, str] | None = None,
) -> Value:  # fmt: skip
    """The pieces of a text with template tags. Raises ``NotSimple``.

    named:  bodies of the chart's own templates, which ``include`` and ``template`` run
    """
    pieces: list[Piece] = []
    scope = _Scope(lookup, variables, named or {})
    at = 0
    for start, end, inner in _actions(written.text):
        if start > at:
            literal = written.part(at, start)
            pieces.append(Piece(literal.text, "", literal))
        pieces.extend(_Expression(_flat(inner), scope, 0).value())
        at = end
    if at < len(written.text):
        literal = written.part(at)
        pieces.append(Piece(literal.text, "", literal))
    return tuple(pieces)


class _Scope(msgspec.Struct, frozen=True):
    """What names mean."""

    lookup: Lookup
    variables: Mapping[str, str]
    named: Mapping[str, str]


#: ``(.a).b`` is ``.a.b``, and ``index .Values "a" "b"`` is ``.Values.a.b``.
#: A value of the chart, or a variable or field of one.
_PLAIN_PATH = re.compile(r"\$?\.?[\w.]{1,400}+")
_PARENTHESES = re.compile(r"\(\s{0,9}+(\$?\.[\w.]{0,400}+)\s{0,9}+\)(?=\.\w)")
_INDEX = re.compile(r"\bindex\s{1,9}+(\$?\.Values)((?:\s{1,9}+\"\w{1,100}+\"){1,9})")


def _flat(expression: str) -> str:
    for _ in range(_DEEPEST):
        flat = _PARENTHESES.sub(r"\1", expression)
        if flat == expression:
            break
        expression = flat
    return _INDEX.sub(lambda m: ".".join([m[1], *m[2].replace('"', " ").split()]), expression)


def _named(scope: _Scope, name: str, depth: int) -> Value:
    """What a named template of the chart makes, if it is text, values and simple conditions."""
    body = scope.named.get(name)
    if body is None:
        raise NotSimple(f"the template {name!r} is outside the chart")
    inner = _Scope(scope.lookup, assignments(body), scope.named)
    pieces: list[Piece] = []
    at, skipping, stack = 0, 0, list[bool]()
    for start, end, action in _actions(body):
        if not skipping and body[at:start].strip():
            pieces.append(Piece(body[at:start].strip()))
        at = end
        word, _, rest = action.partition(" ")
        if word in ("if", "with", "range", "block", "define"):
            if skipping:
                skipping += 1
                continue
            if word != "if":
                raise NotSimple(f"{word!r} is not evaluated here")
            stack.append(_is_true(_Expression(_flat(rest), inner, depth + 1).value()))
            skipping = 0 if stack[-1] else 1
        elif word == "else":
            skipping = _else(rest, stack, skipping)
        elif word == "end":
            if skipping > 1:
                skipping -= 1
                continue
            if not stack:
                return tuple(pieces)
            stack.pop()
            skipping = 0
        elif not skipping and action and not action.startswith("/*") and not _SET.match(action):
            pieces.extend(_Expression(_flat(action), inner, depth + 1).value())
    return tuple(pieces)


def _else(rest: str, stack: list[bool], skipping: int) -> int:
    if skipping > 1:
        return skipping
    if rest.strip() or not stack:
        raise NotSimple("'else if' is not evaluated here")
    return 1 if stack[-1] else 0


def _is_true(value: Value) -> bool:
    return _text(value) not in ("", "false", "0")


class _Expression(msgspec.Struct):
    text: str
    scope: _Scope
    depth: int
    at: int = 0

    def value(self) -> Value:
        if self.depth > _DEEPEST:
            raise NotSimple("it nests too deep")
        found = self._pipeline()
        if self.text[self.at :].strip():
            raise NotSimple(f"{self.text[:40]!r} is not evaluated here")
        return found

    def _peek(self) -> re.Match[str] | None:
        return _TOKEN.match(self.text, self.at)

    def _take(self, mark: str) -> bool:
        token = self._peek()
        if token is None or token.group("mark") != mark:
            return False
        self.at = token.end()
        return True

    def _pipeline(self) -> Value:
        found = self._command(())
        while self._take("|"):
            found = self._command((found,))
        return found

    def _command(self, piped: Sequence[Value]) -> Value:
        token = self._peek()
        if token is not None and (name := token.group("word")) and not name[0].isdigit():
            self.at = token.end()
            arguments = []
            while (argument := self._operand()) is not None:
                arguments.append(argument)
            if name in ("include", "template"):
                return self._include([*arguments, *piped])
            return _call(name, [*arguments, *piped])
        operand = self._operand()
        if operand is None or piped:
            raise NotSimple(f"{self.text[:40]!r} is not supported")
        return operand

    def _include(self, arguments: Sequence[Value]) -> Value:
        context = arguments[1] if len(arguments) > 1 else ()
        if len(arguments) > 2 or any(piece.name != _ROOT for piece in context):
            raise NotSimple("a template with a context of its own is not evaluated here")
        return _named(self.scope, _text(arguments[0]) if arguments else "", self.depth)

    def _operand(self) -> Value | None:
        token = self._peek()
        if token is None:
            return None
        if self._take("("):
            found = self._pipeline()
            if not self._take(")"):
                raise NotSimple("a parenthesis is not closed")
            return found
        if token.group("mark"):
            return None
        self.at = token.end()
        if text := token.group("string"):
            return (Piece(text[1:-1].replace('\\"', '"'), whole=True),)
        if word := token.group("word"):
            return (Piece(word, whole=True),)
        return self._path(token.group("path"))

    def _path(self, path: str) -> Value:
        if path.startswith("$."):
            path = path[1:]
        if path in (".", "$"):
            return (Piece("", _ROOT),)
        if path.startswith("$"):
            name, dot, rest = path.partition(".")
            if name not in self.scope.variables:
                raise NotSimple(f"{name} is set outside the chart's files")
            expression = _flat(self.scope.variables[name])
            if dot:
                if not _PLAIN_PATH.fullmatch(expression):
                    raise NotSimple(f"{path} is a field of more than a value of the chart")
                expression = f"{expression}.{rest}"
            return _Expression(expression, self.scope, self.depth + 1).value()
        found = self.scope.lookup(path)
        return (Piece("", path),) if found is None else found


def _call(name: str, arguments: list[Value]) -> Value:
    match name, arguments:
        case ("default", [fallback, value]):
            return value if _text(value) else fallback
        case ("coalesce", [*values]) if values:
            return next((v for v in values if _text(v)), values[-1])
        case ("required", [_, value]):
            return value
        case ("printf", [form, *values]):
            return _printf(_text(form), values)
        case (_, [value, *rest]) if name in _SAME and len(rest) <= (name == "tpl"):
            if "{{" in _text(value):
                raise NotSimple("a value holds a template itself")
            return value
    return _logic(name, arguments)


def _logic(name: str, arguments: list[Value]) -> Value:
    match name, arguments:
        case (("not" | "empty"), [value]):
            return (Piece("" if _is_true(value) else "true", whole=True),)
        case ("and", [*values]) if values:
            return next((v for v in values if not _is_true(v)), values[-1])
        case ("or", [*values]) if values:
            return next((v for v in values if _is_true(v)), values[-1])
        case (("eq" | "ne"), [left, right]):
            same = (_text(left) == _text(right)) is (name == "eq")
            return (Piece("true" if same else "", whole=True),)
    raise NotSimple(f"{name!r} is not evaluated here")


def _printf(form: str, values: list[Value]) -> Value:
    pieces: list[Piece] = []
    parts = re.split(r"%[sv]", form)
    if len(parts) != len(values) + 1 or any("%" in part for part in parts):
        raise NotSimple("printf with another form is not evaluated here")
    for part, value in zip(parts, [*values, ()], strict=True):
        if part:
            pieces.append(Piece(part))
        pieces.extend(value)
    return tuple(pieces)


def _text(value: Value) -> str:
    return "".join(piece.text for piece in value)


def missing(value: Value) -> str:
    """The first value of the chart that a part needs and that is not there."""
    return next((piece.name for piece in value if not piece.text and piece.name), "")
