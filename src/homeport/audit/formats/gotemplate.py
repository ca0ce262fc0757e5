"""The little of Go's template language that puts image references together in charts.

``{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}`` and
the like are evaluated, each piece with the place that it came from, through the chart's own
named templates, their contexts (``dict``, ``tuple``, a map of values) and conditions. Ranges and
functions that are not listed here fail with a reason. Nothing is rendered.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

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
_BLOCKS = frozenset(("if", "with", "range", "block", "define"))
#: What the templates of one file may cost: named templates may call each other a thousand times.
_MOST_STEPS = 100_000
#: Characters of a named template that cost as much as an expression.
_STEP = 50
#: The name of the chart's whole context, ``.`` or ``$``.
_ROOT = "."
#: The context inside a range, or a ``with`` that is not known.
_UNKNOWN = "?"


class Piece(msgspec.Struct, frozen=True):
    """A part of a value.

    name:   the value of the chart that it is, ``""`` for text of the template
    whole:  a value by itself, not text between values
    fields: what a ``dict`` holds by its keys, and a ``list`` by its numbers
    is_map: a map of the chart's values, which is true though it has no text
    """

    text: str
    name: str = ""
    written: Written | None = None
    whole: bool = False
    fields: Mapping[str, Any] | None = None
    is_map: bool = False


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


class _Steps:
    """Counts what evaluating the templates of a file costs."""

    def __init__(self) -> None:
        self.left = _MOST_STEPS

    def take(self, count: int = 1) -> None:
        self.left -= count
        if self.left < 0:
            raise NotSimple("its templates call each other too often")


class Chart(msgspec.Struct, frozen=True):
    """What names mean in the templates of a chart.

    variables: those of the template that have one meaning, and their expressions
    named:     bodies of the chart's own templates, which ``include`` and ``template`` run
    """

    lookup: Lookup
    variables: Mapping[str, str] = {}
    named: Mapping[str, str] = {}
    steps: _Steps = msgspec.field(default_factory=_Steps)


def evaluate(written: Written, chart: Chart, dot: Value | None = None) -> Value:
    """The pieces of a text with template tags. Raises ``NotSimple``.

    dot: what ``.`` means there (``Branches.dot``); by default the chart's context
    """

    def literal(start: int, end: int) -> Piece:
        part = written.part(start, end)
        return Piece(part.text, "", part)

    return _rendered(_scope(chart, dot), written.text, literal)


class _Scope(msgspec.Struct):
    """What names mean at a place: ``$`` is ``root`` and ``.`` is ``dot``."""

    chart: Chart
    root: Value
    dot: Value
    variables: dict[str, Value | None]
    depth: int = 0

    def evaluate(self, expression: str) -> Value:
        return _Expression(_flat(expression), self).value()

    def run(self, action: str) -> Value:
        """What an action prints: nothing if it is a comment or sets a variable."""
        if action.startswith("/*"):
            return ()
        if match := _SET.match(action):
            self.variables[f"${match.group(1)}"] = self.evaluate(match.group(2))
            return ()
        return self.evaluate(action)

    def variable(self, name: str) -> Value:
        if name in self.variables:
            known = self.variables[name]
            if known is None:
                raise NotSimple(f"{name} is made of itself")
            return known
        if self.depth or name not in self.chart.variables:
            raise NotSimple(f"{name} is set outside the chart's files")
        outer = _Scope(self.chart, self.root, self.root, self.variables, self.depth)
        self.variables[name] = None
        self.variables[name] = found = outer.evaluate(self.chart.variables[name])
        return found

    def field(self, value: Value, keys: Sequence[str]) -> Value:
        """``value.a.b``."""
        left = list(keys)
        while left and len(value) == 1 and (fields := value[0].fields) is not None:
            value = fields.get(left.pop(0), ())
        if not left or not value:
            return value
        name = value[0].name
        if len(value) > 1 or value[0].text or not name:
            raise NotSimple("a field of more than a value of the chart is not evaluated here")
        if name == _UNKNOWN:
            raise NotSimple("the context of a range or of another template is not known here")
        path = f"{'' if name == _ROOT else name}.{'.'.join(left)}"
        found = self.chart.lookup(path)
        return (Piece("", path),) if found is None else found


def _scope(chart: Chart, dot: Value | None) -> _Scope:
    root = (Piece("", _ROOT),)
    return _Scope(chart, root, dot or root, {})


#: ``(.a).b`` is ``.a.b``, and ``index .Values "a" 0`` is ``.Values.a.0``.
_PARENTHESES = re.compile(r"\(\s{0,9}+(\$?\.[\w.]{0,400}+)\s{0,9}+\)(?=\.\w)")
_INDEX = re.compile(
    r"\bindex\s{1,9}+(\$?[\w.]{1,400}+)((?:\s{1,9}+(?:\"\w{1,100}+\"|[0-9]{1,3}+)){1,9})"
)


def _flat(expression: str) -> str:
    for _ in range(_DEEPEST):
        flat = _PARENTHESES.sub(r"\1", _INDEX.sub(_as_path, expression))
        if flat == expression:
            break
        expression = flat
    return expression


def _as_path(index: re.Match[str]) -> str:
    return ".".join([index[1].rstrip("."), *index[2].replace('"', " ").split()])


class _Frame(msgspec.Struct):
    """A block of a template that is open.

    live:   what is now read is rendered; ``None``: the values do not say
    chosen: a branch of it was rendered; ``None``: perhaps
    dot:    the context around it
    """

    live: bool | None
    chosen: bool | None
    dot: Value


def _choose(scope: _Scope, word: str, condition: str) -> bool:
    """Whether an ``if`` or ``with`` renders its branch; ``with`` sets the context."""
    if word not in ("if", "with"):
        raise NotSimple(f"{word!r} is not evaluated here")
    value = scope.evaluate(condition)
    if word == "with":
        scope.dot = value
    return _is_true(value)


def _named(outer: _Scope, name: str, context: Value) -> Value:
    """What a named template of the chart makes, if it is text, values and conditions."""
    body = outer.chart.named.get(name)
    if body is None:
        raise NotSimple(f"the template {name!r} is outside the chart")
    if outer.depth >= _DEEPEST:
        raise NotSimple("it nests too deep")
    outer.chart.steps.take(len(body) // _STEP)
    scope = _Scope(outer.chart, context, context, {}, outer.depth + 1)

    def literal(start: int, end: int) -> Piece:
        return Piece(body[start:end].strip())

    return _rendered(scope, body, literal)


def _rendered(scope: _Scope, text: str, literal: Callable[[int, int], Piece]) -> Value:
    """Text, values and conditions, up to the end or to an ``end`` without a block.

    literal: what the text between two actions is
    """
    pieces: list[Piece] = []
    frames: list[_Frame] = []
    at = 0
    for start, end, action in _actions(text):
        live = all(frame.live for frame in frames)
        if live and start > at and (piece := literal(at, start)).text:
            pieces.append(piece)
        at = end
        word, _, rest = action.partition(" ")
        if word in _BLOCKS:
            frame = _Frame(live=False, chosen=True, dot=scope.dot)
            if live:
                frame.live = frame.chosen = _choose(scope, word, rest)
            frames.append(frame)
        elif word == "else":
            _else(scope, frames, rest)
        elif word == "end":
            if not frames:
                return tuple(pieces)
            scope.dot = frames.pop().dot
        elif live:
            pieces.extend(scope.run(action))
    if at < len(text) and not frames and (piece := literal(at, len(text))).text:
        pieces.append(piece)
    return tuple(pieces)


def _else(scope: _Scope, frames: list[_Frame], rest: str) -> None:
    """``else``, ``else if`` and ``else with`` of the innermost block."""
    if not frames:
        raise NotSimple("'else' without a block")
    frame = frames[-1]
    frame.live = False
    scope.dot = frame.dot
    if not frame.chosen:
        word, _, condition = rest.strip().partition(" ")
        frame.live = frame.chosen = _choose(scope, word, condition) if word else True


class Branches(msgspec.Struct, frozen=True):
    """The blocks of a template that stand in a file, as the chart's values decide them.

    choices:  for each ``if`` the spans of its branches, and whether each is rendered
              (``None``: the values do not say)
    contexts: where ``.`` changes its meaning, and what it then means
    """

    choices: tuple[tuple[tuple[int, int, bool | None], ...], ...]
    contexts: tuple[tuple[int, Value], ...]

    def dot(self, at: int) -> Value:
        """What ``.`` means at a place of the text."""
        found = bisect_right(self.contexts, at, key=lambda one: one[0])
        return self.contexts[found - 1][1]

    def unused(self, places: Sequence[int]) -> frozenset[int]:
        """Those of the places that another one of them is rendered instead of."""
        left_out: set[int] = set()
        for branches in self.choices:
            inside = [
                (rendered, places[bisect_left(places, start) : bisect_left(places, end)])
                for start, end, rendered in branches
            ]
            if any(rendered and found for rendered, found in inside):
                for rendered, found in inside:
                    left_out.update(found if rendered is False else ())
        return frozenset(left_out)


def branches(text: str, chart: Chart) -> Branches:
    """The blocks of a template."""
    scope = _scope(chart, None)
    root, unknown = scope.root, (Piece("", _UNKNOWN),)
    frames: list[_Frame] = []
    spans: list[list[tuple[int, int, bool | None]]] = []
    begun: list[int] = []
    choices: list[tuple[tuple[int, int, bool | None], ...]] = []
    contexts: list[tuple[int, Value]] = [(0, root)]

    def decide(word: str, condition: str) -> bool | None:
        try:
            return _choose(scope, word, condition)
        except NotSimple:
            if word == "with":
                scope.dot = unknown
            return None

    for start, end, action in _actions(text):
        word, _, rest = action.partition(" ")
        if word in _BLOCKS:
            frame = _Frame(live=None, chosen=None, dot=scope.dot)
            if word in ("if", "with"):
                frame.live = frame.chosen = decide(word, rest)
            elif word != "define":  # those are mostly called with the chart's context
                scope.dot = unknown
            frames.append(frame)
            spans.append([])
            begun.append(end)
        elif word in ("else", "end") and frames:
            frame = frames[-1]
            spans[-1].append((begun[-1], start, frame.live))
            begun[-1] = end
            scope.dot = frame.dot
            if word == "end":
                frames.pop()
                begun.pop()
                choices.append(tuple(spans.pop()))
            elif frame.chosen:
                frame.live = False
            else:
                inner, _, condition = rest.strip().partition(" ")
                chosen = decide(inner, condition) if inner else True
                # Behind a condition that is not known, nothing is.
                known = frame.chosen is not None
                frame.live = chosen if known or chosen is False else None
                frame.chosen = frame.live if known or frame.live else None
        else:
            continue
        if contexts[-1][1] is not scope.dot:
            contexts.append((end, scope.dot))
    return Branches(tuple(choices), tuple(contexts))


def _is_true(value: Value) -> bool:
    return _text(value) not in ("", "false", "0", "nil") or any(
        piece.is_map or piece.fields or piece.name == _ROOT for piece in value
    )


class _Expression(msgspec.Struct):
    text: str
    scope: _Scope
    at: int = 0
    nested: int = 0

    def value(self) -> Value:
        self.scope.chart.steps.take()
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
            if name in ("index", "get") and (every := [*arguments, *piped]):
                return self.scope.field(every[0], [_text(key) for key in every[1:]])
            return _call(name, [*arguments, *piped])
        operand = self._operand()
        if operand is None or piped:
            raise NotSimple(f"{self.text[:40]!r} is not supported")
        return operand

    def _include(self, arguments: Sequence[Value]) -> Value:
        if not 1 <= len(arguments) <= 2:
            raise NotSimple("a template without a name is not evaluated here")
        return _named(self.scope, _text(arguments[0]), arguments[1] if arguments[1:] else ())

    def _operand(self) -> Value | None:
        token = self._peek()
        if token is None:
            return None
        if self._take("("):
            self.nested += 1
            if self.nested > _DEEPEST:
                raise NotSimple("it nests too deep")
            found = self._pipeline()
            self.nested -= 1
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
        self.scope.chart.steps.take()
        start, _, rest = path.partition(".")
        keys = [key for key in rest.split(".") if key]
        if not start:
            return self.scope.field(self.scope.dot, keys)
        if start == "$":
            return self.scope.field(self.scope.root, keys)
        return self.scope.field(self.scope.variable(start), keys)


def _call(name: str, arguments: list[Value]) -> Value:
    for functions in (_chosen, _collected, _shaped, _logic):
        found = functions(name, arguments)
        if found is not None:
            return found
    raise NotSimple(f"{name!r} is not evaluated here")


def _chosen(name: str, arguments: list[Value]) -> Value | None:
    """Functions that give one of their arguments."""
    match name, arguments:
        case ("default", [fallback, value]):
            return value if _is_true(value) else fallback
        case ("coalesce", [*values]) if values:
            return next((v for v in values if _is_true(v)), values[-1])
        case ("ternary", [yes, no, condition]):
            return yes if _is_true(condition) else no
        case ("required", [_, value]):
            return value
        case ("fail", _):
            raise NotSimple("the chart refuses its own values here")
    return None


def _collected(name: str, arguments: list[Value]) -> Value | None:
    """Lists and dictionaries, which hand several values to a named template."""
    if name in ("list", "tuple"):
        return (Piece("", fields={str(at): value for at, value in enumerate(arguments)}),)
    if name == "dict" and len(arguments) % 2 == 0:
        pairs = zip(arguments[::2], arguments[1::2], strict=True)
        return (Piece("", fields={_text(key): value for key, value in pairs}),)
    return None


def _shaped(name: str, arguments: list[Value]) -> Value | None:
    """Functions that give text."""
    match name, arguments:
        case ("printf", [form, *values]):
            return _printf(_text(form), values)
        case (("trimPrefix" | "trimSuffix"), [cut, value]):
            whole, part = _text(value), _text(cut)
            text = whole.removeprefix(part) if name == "trimPrefix" else whole.removesuffix(part)
            return value if text == whole else (Piece(text, _name(value), whole=True),)
        case ("print", [*values]) if len(values) > 1:
            return tuple(piece for value in values for piece in value)
        case (_, [value, *rest]) if name in _SAME and len(rest) <= (name == "tpl"):
            if "{{" in _text(value):
                raise NotSimple("a value holds a template itself")
            return value
    return None


def _logic(name: str, arguments: list[Value]) -> Value | None:
    """Functions that conditions are made of."""
    match name, arguments:
        case ("and", [*values]) if values:
            return next((v for v in values if not _is_true(v)), values[-1])
        case ("or", [*values]) if values:
            return next((v for v in values if _is_true(v)), values[-1])
        case ("len", [value]) if len(value) == 1 and value[0].fields is not None:
            return (Piece(str(len(value[0].fields)), whole=True),)
        case (("not" | "empty"), [value]):
            return _truth(not _is_true(value))
        case (_, [one, other]) if name in _TESTS:
            return _truth(_TESTS[name](one, other))
    return None


def _kinds(value: Value) -> tuple[str, ...]:
    """What ``kindIs`` and ``typeIs`` may call it; numbers and booleans are taken for strings."""
    if any(piece.is_map or piece.fields for piece in value):
        return ("map",)
    return ("string",) if _text(value) else ("invalid", "nil")


def _truth(holds: bool) -> Value:
    return (Piece("true" if holds else "", whole=True),)


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


def _name(value: Value) -> str:
    """The value of the chart that it is, if it is one."""
    return value[0].name if len(value) == 1 else ""


_TESTS: dict[str, Callable[[Value, Value], bool]] = {
    "eq": lambda left, right: _text(left) == _text(right),
    "ne": lambda left, right: _text(left) != _text(right),
    "hasPrefix": lambda part, value: _text(value).startswith(_text(part)),
    "hasSuffix": lambda part, value: _text(value).endswith(_text(part)),
    "contains": lambda part, value: _text(part) in _text(value),
    "kindIs": lambda kind, value: _text(kind) in _kinds(value),
    "typeIs": lambda kind, value: _text(kind) in _kinds(value),
}


def missing(value: Value) -> str:
    """The first value of the chart that a part needs and that is not there."""
    return next((piece.name for piece in value if not piece.text and piece.name), "")
