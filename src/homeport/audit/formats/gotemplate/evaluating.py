"""The little of Go's template language that puts image references together in charts.

``{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}`` and
the like are evaluated, each piece with the place that it came from, through the chart's own
named templates, their contexts (``dict``, ``tuple``, a map of values) and conditions. Ranges and
functions that are not listed here fail with a reason. Nothing is rendered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from homeport.audit.formats.gotemplate.actions import BLOCKS, assignment, spans_of_actions
from homeport.audit.formats.gotemplate.functions import call
from homeport.audit.formats.gotemplate.values import (
    ROOT,
    UNKNOWN,
    Lookup,
    NotSimple,
    Piece,
    Value,
    is_true,
    text_of,
)
from homeport.audit.source import Written

_TOKEN = re.compile(
    r"\s*(?:(?P<string>\"(?:[^\"\\]|\\.)*\"|`[^`]*`)|(?P<path>\$?\.[\w.]*|\$\w+(?:\.[\w.]+)?)"
    r"|(?P<word>[\w-]+)|(?P<mark>[()|,]))"
)
_DEEPEST = 10
#: What the templates of one file may cost: named templates may call each other a thousand times.
_MOST_STEPS = 100_000
#: Characters of a named template that cost as much as an expression.
_STEP = 50


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

    return _rendered(scope_of(chart, dot), written.text, literal)


class Scope(msgspec.Struct):
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
        if variable := assignment(action):
            self.variables[variable[0]] = self.evaluate(variable[1])
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
        outer = Scope(self.chart, self.root, self.root, self.variables, self.depth)
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
        if name == UNKNOWN:
            raise NotSimple("the context of a range or of another template is not known here")
        path = f"{'' if name == ROOT else name}.{'.'.join(left)}"
        found = self.chart.lookup(path)
        return (Piece("", path),) if found is None else found


def scope_of(chart: Chart, dot: Value | None) -> Scope:
    root = (Piece("", ROOT),)
    return Scope(chart, root, dot or root, {})


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


class Frame(msgspec.Struct):
    """A block of a template that is open.

    live:   what is now read is rendered; ``None``: the values do not say
    chosen: a branch of it was rendered; ``None``: perhaps
    dot:    the context around it
    """

    live: bool | None
    chosen: bool | None
    dot: Value


def choose(scope: Scope, word: str, condition: str) -> bool:
    """Whether an ``if`` or ``with`` renders its branch; ``with`` sets the context."""
    if word not in ("if", "with"):
        raise NotSimple(f"{word!r} is not evaluated here")
    value = scope.evaluate(condition)
    if word == "with":
        scope.dot = value
    return is_true(value)


def _named(outer: Scope, name: str, context: Value) -> Value:
    """What a named template of the chart makes, if it is text, values and conditions."""
    body = outer.chart.named.get(name)
    if body is None:
        raise NotSimple(f"the template {name!r} is outside the chart")
    if outer.depth >= _DEEPEST:
        raise NotSimple("it nests too deep")
    outer.chart.steps.take(len(body) // _STEP)
    scope = Scope(outer.chart, context, context, {}, outer.depth + 1)

    def literal(start: int, end: int) -> Piece:
        return Piece(body[start:end].strip())

    return _rendered(scope, body, literal)


def _rendered(scope: Scope, text: str, literal: Callable[[int, int], Piece]) -> Value:
    """Text, values and conditions, up to the end or to an ``end`` without a block.

    literal: what the text between two actions is
    """
    pieces: list[Piece] = []
    frames: list[Frame] = []
    at = 0
    for start, end, action in spans_of_actions(text):
        live = all(frame.live for frame in frames)
        if live and start > at and (piece := literal(at, start)).text:
            pieces.append(piece)
        at = end
        word, _, rest = action.partition(" ")
        if word in BLOCKS:
            frame = Frame(live=False, chosen=True, dot=scope.dot)
            if live:
                frame.live = frame.chosen = choose(scope, word, rest)
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


def _else(scope: Scope, frames: list[Frame], rest: str) -> None:
    """``else``, ``else if`` and ``else with`` of the innermost block."""
    if not frames:
        raise NotSimple("'else' without a block")
    frame = frames[-1]
    frame.live = False
    scope.dot = frame.dot
    if not frame.chosen:
        word, _, condition = rest.strip().partition(" ")
        frame.live = frame.chosen = choose(scope, word, condition) if word else True


class _Expression(msgspec.Struct):
    text: str
    scope: Scope
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
        found = self._paid(self._command(()))
        while self._take("|"):
            found = self._paid(self._command((found,)))
        return found

    def _paid(self, found: Value) -> Value:
        """Count what was made: ``print . .`` in templates that call each other doubles it."""
        letters = sum(len(piece.text) for piece in found)
        self.scope.chart.steps.take(len(found) + letters // _STEP)
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
                return self.scope.field(every[0], [text_of(key) for key in every[1:]])
            return call(name, [*arguments, *piped])
        operand = self._operand()
        if operand is None or piped:
            raise NotSimple(f"{self.text[:40]!r} is not supported")
        return operand

    def _include(self, arguments: Sequence[Value]) -> Value:
        if not 1 <= len(arguments) <= 2:
            raise NotSimple("a template without a name is not evaluated here")
        return _named(self.scope, text_of(arguments[0]), arguments[1] if arguments[1:] else ())

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
