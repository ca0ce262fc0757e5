"""Variables in references, as Compose, CI systems and templates write them.

A syntax cuts an expression into pieces; a lookup returns the possible values of each variable;
an outcome is one value of the expression, with the values that were substituted. Not for
Dockerfiles, whose expansion is richer (``homeport.dockerfile.expand``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from homeport.audit.model import Feed
from homeport.audit.source import Written

#: How many values one expression may have (a CI matrix), how deep defaults nest, and how many
#: characters an expression has: a reference has at most 255 for its name and 128 for its tag.
MOST_VALUES = 64
DEEPEST = 10
LONGEST = 4096

Lookup = Callable[[str], Sequence[Feed]]


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of an expression: a variable, with a default if the syntax has one."""

    name: str
    operator: str = ""
    word: Written | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One value of an expression; ``problem`` is why there is none."""

    value: str
    problem: str = ""
    feeds: tuple[Feed, ...] = ()


Cut = Callable[[Written], "list[str | Variable]"]

_SHELL_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_COMPOSE = re.compile(rf"\$(?:(\$)|({_SHELL_NAME})|\{{({_SHELL_NAME})(:?[-?+])?|(.?))")


def feed(name: str, written: Written, *, shared: bool = False, note: str = "") -> Feed:
    """A value that is written somewhere, as something that can flow into references."""
    return Feed(
        name=name, value=written.text, place=written.place, quoting=written.quoting,
        exact=written.exact, shared=shared, note=note,
    )  # fmt: skip


def outcomes(written: Written, cut: Cut, lookup: Lookup) -> list[Outcome]:
    """Every value that ``written`` can have; at least one outcome."""
    if len(written.text) > LONGEST:
        return [Outcome(value="", problem=f"longer than {LONGEST} characters")]
    return _outcomes(written, cut, lookup, 0)


def _outcomes(written: Written, cut: Cut, lookup: Lookup, depth: int) -> list[Outcome]:
    results = [Outcome(value="")]
    for piece in cut(written):
        if isinstance(piece, str):
            options = [Outcome(value=piece)]
        else:
            options = _variable(piece, cut, lookup, depth)
        results = [_joined(left, right) for left in results for right in options[:MOST_VALUES]]
        results = results[:MOST_VALUES]
        if any(len(result.value) > LONGEST for result in results):
            return [Outcome(value="", problem=f"longer than {LONGEST} characters")]
    return results


def _joined(left: Outcome, right: Outcome) -> Outcome:
    return Outcome(
        value=left.value + right.value, problem=left.problem or right.problem,
        feeds=left.feeds + right.feeds,
    )  # fmt: skip


def _variable(piece: Variable, cut: Cut, lookup: Lookup, depth: int) -> list[Outcome]:
    if depth > DEEPEST:
        return [Outcome(value="", problem=f"{piece.name} nests too deep")]
    known = [f for f in lookup(piece.name) if f.value or ":" not in piece.operator]
    match piece.operator.lstrip(":"):
        case "+":
            return _word(piece, cut, lookup, depth) if known else [Outcome(value="")]
        case "-" if not known:
            return _word(piece, cut, lookup, depth)
    if not known:
        return [Outcome(value="", problem=f"no value for {piece.name}")]
    return [Outcome(value=f.value, feeds=(f,)) for f in known]


def _word(piece: Variable, cut: Cut, lookup: Lookup, depth: int) -> list[Outcome]:
    if piece.word is None:
        return [Outcome(value="")]
    found = _outcomes(piece.word, cut, lookup, depth + 1)
    own = feed(piece.name, piece.word, note=f"the variable {piece.name} wins where it is set")
    return [
        msgspec.structs.replace(o, feeds=(own, *o.feeds)) if o.value == piece.word.text else o
        for o in found
    ]


def cut_compose(written: Written) -> list[str | Variable]:
    """``$X ${X} ${X:-d} ${X-d} ${X:?m} ${X:+r} $$`` as Compose reads them; defaults nest."""
    pieces: list[str | Variable] = []
    text, at = written.text, 0
    for match in _COMPOSE.finditer(text):
        if match.start() < at:
            continue
        pieces.append(text[at : match.start()])
        dollar, bare, braced, operator, _ = match.groups()
        at = match.end()
        if dollar:
            pieces.append("$")
        elif bare:
            pieces.append(Variable(name=bare))
        elif braced:
            end = _closing(text, at)
            pieces.append(
                Variable(name=braced, operator=operator or "", word=written.part(at, end))
            )
            at = min(end + 1, len(text))
        else:
            pieces.append(match.group())
    pieces.append(text[at:])
    return [piece for piece in pieces if piece != ""]


def _closing(text: str, at: int) -> int:
    depth = 0
    while at < len(text):
        if text.startswith("${", at):
            depth += 1
            at += 1
        elif text[at] == "}":
            if depth == 0:
                return at
            depth -= 1
        at += 1
    return len(text)


def cut_by(pattern: re.Pattern[str]) -> Cut:
    """A syntax without defaults: the first group that matched is the variable's name."""

    def cut(written: Written) -> list[str | Variable]:
        pieces: list[str | Variable] = []
        at = 0
        for match in pattern.finditer(written.text):
            pieces.append(written.text[at : match.start()])
            name = next((group for group in match.groups() if group), "")
            escaped = match.group() == "$$"
            pieces.append("$" if escaped else Variable(name=name or match.group()))
            at = match.end()
        pieces.append(written.text[at:])
        return [piece for piece in pieces if piece != ""]

    return cut


def among(*tables: Mapping[str, Sequence[Feed]]) -> Lookup:
    """Look a name up in tables, the first that has it."""

    def lookup(name: str) -> Sequence[Feed]:
        for table in tables:
            if name in table:
                return table[name]
        return ()

    return lookup


def dotenv(written: Written) -> Iterator[tuple[str, Written]]:
    """The assignments of a ``.env`` file."""
    for line in written.lines():
        match = re.match(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*", line.text)
        if match is None:
            continue
        value = line.part(match.end()).stripped()
        quote = value.text[:1]
        if quote in ("'", '"') and (end := value.text.find(quote, 1)) > 0:
            value = value.part(1, end)
        elif (comment := value.text.find(" #")) >= 0:
            value = value.part(0, comment).stripped()
        yield match.group(1), value
