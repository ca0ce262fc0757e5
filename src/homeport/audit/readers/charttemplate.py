"""Templates of Helm charts: images that are literal, and those put together from values.

The place of a value is in ``values.yaml``, so that is where an edit goes. What needs more
than ``audit.formats.gotemplate`` evaluates is listed as not resolved; charts are not rendered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from homeport.audit.formats.gotemplate.actions import actions, assignments
from homeport.audit.formats.gotemplate.branches import branches
from homeport.audit.formats.gotemplate.evaluating import Chart, evaluate
from homeport.audit.formats.gotemplate.values import NotSimple, Piece, Value, missing
from homeport.audit.formats.yaml import (
    Node,
    documents,
    entries,
    get,
    is_map,
    text_of,
    written,
)
from homeport.audit.model import Confidence, Feed, Field, Use
from homeport.audit.readers import helm
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.context import Context
from homeport.audit.reading.variables import Outcome
from homeport.audit.source import Source, Written

_IMAGE = re.compile(r"image:(?P<value>[ \t]*[^\s#][^\r\n]*)")
#: An operator is told by an argument which image it starts.
_ARGUMENT = re.compile(r"image=(?P<value>\{\{[^\r\n]*)")
#: What stands before them in their line.
_BEFORE_IMAGE = re.compile(r"[ \t]*(?:-[ \t]+)?")
_BEFORE_ARGUMENT = re.compile(r"[ \t]*-[ \t]+[\"']?--[\w-]{0,60}")
#: Characters before such a word in its line.
_DEEPEST_INDENT = 400
_LITERAL = re.compile(r"[^\s\"'{}#:]{1,400}+:[^\s\"'{}#]{1,400}+$")
_NAME = re.compile(r"(?!(?:true|false|null)$)[a-z0-9][a-z0-9._/-]*$")
_DEFINE = re.compile(
    r"\{\{-?[ \t]{0,9}define[ \t]{1,99}+\"(?P<name>[^\"]{1,200}+)\"\s{0,99}+-?\}\}"
    r"(?P<body>.*?)(?=\{\{-?\s{0,9}+define\s|\Z)",
    re.DOTALL,
)
_NAMED = re.compile(r"\b(?:include|template)\s{1,99}+\"([^\"]{1,200}+)\"")
_VALUES = re.compile(r"\.Values\.([\w.]+)")
_ELSEWHERE = "a template makes it; helm template shows what"
_DEEPEST = 4
#: Files of named templates that one chart may have.
_MOST_HELPERS = 50
_MOST_FOLDERS = 30


class _Values(msgspec.Struct, frozen=True):
    """A file of values. ``prefix``: the path of the chart's values in it."""

    source: Source
    documents: tuple[Node, ...]
    prefix: tuple[str, ...] = ()


class _Chart(msgspec.Struct, frozen=True):
    """The neighbours of a template: values, the strongest first, metadata, named templates."""

    values: tuple[_Values, ...]
    metadata: tuple[Node, ...]
    named: dict[str, str]
    images: tuple[Use, ...]

    def lookup(self, path: str) -> Value | None:
        first, _, rest = path.removeprefix(".").partition(".")
        if first == "Chart":
            names = {"AppVersion": "appVersion", "Version": "version", "Name": "name"}
            for node in self.metadata:
                if text := text_of(get(node, names.get(rest, rest))):
                    return (Piece(text, path),)
            return None
        if first != "Values" or not rest:
            raise NotSimple(_ELSEWHERE)
        keys = rest.split(".")
        for values in self.values:
            at = keys if keys[0] == "global" else [*values.prefix, *keys]
            for node in values.documents:
                value = get(node, *at)
                if value is None:
                    continue
                if text_of(value):
                    place = written(values.source, value)
                    return (Piece(helm.printed(value), ".".join(at), place),)
                if is_map(value) and next(entries(value), None) is not None:
                    return (Piece("", path, is_map=True),)
        return None


def read(source: Source, found: Collector, context: Context) -> None:
    """Report every ``image:`` line of a template, and every argument ``--…image=``."""
    lines = sorted(
        [*_lines(source.text, _IMAGE, _BEFORE_IMAGE),
         *_lines(source.text, _ARGUMENT, _BEFORE_ARGUMENT)],
        key=lambda match: match.start(),
    )  # fmt: skip
    chart = _chart(source, context) if any("{{" in m.group("value") for m in lines) else None
    variables = assignments(source.text)
    whole = source.whole()
    meaning = chart and Chart(chart.lookup, variables, chart.named)
    blocks = branches(source.text, meaning) if meaning else None
    unused = blocks.unused([match.start() for match in lines]) if blocks else frozenset()
    read_lines: list[_Line] = []
    for match in lines:
        value = _unquoted(whole.part(*match.span("value")).stripped())
        if match.re is _ARGUMENT and value.text.endswith(("}'", '}"')):
            value = value.part(0, len(value.text) - 1)
        if meaning and blocks and "{{" in value.text:
            if match.start() not in unused:
                read_lines.append(_evaluated(meaning, value, blocks.dot(match.start())))
        elif _LITERAL.match(value.text) or (_NAME.match(value.text) and _is_chart(source, context)):
            found.image(value, "image", confidence="medium")
    whole_ones = {line.repository for line in read_lines if line.is_whole}
    for line in read_lines:
        # Charts write one line for a digest and one for a tag; only one is rendered.
        confidence: Confidence = (
            "medium" if line.is_whole or line.repository not in whole_ones else "low"
        )
        if chart is not None:
            _report(found, chart, line, variables, confidence)


def _lines(text: str, form: re.Pattern[str], before: re.Pattern[str]) -> Iterator[re.Match[str]]:
    """Matches whose lines begin with ``before``; the literal word is what is searched for."""
    for match in form.finditer(text):
        near = max(0, match.start() - _DEEPEST_INDENT)
        line = text.rfind("\n", near, match.start()) + 1
        if (line or not near) and before.fullmatch(text, line, match.start()):
            yield match


def _is_chart(source: Source, context: Context) -> bool:
    """Whether the template belongs to a chart, and not to some other tool."""
    up = "../" * (source.path.rpartition("templates/")[2].count("/") + 1)
    return context.neighbour(source, f"{up}Chart.yaml") is not None


def _unquoted(value: Written) -> Written:
    quote = value.text[:1]
    if quote in ("'", '"') and value.text.endswith(quote) and len(value.text) > 1:
        return value.part(1, len(value.text) - 1)
    return value


def _chart(source: Source, context: Context) -> _Chart:
    """The chart of a template, which may lie in a folder below templates/."""
    folder = source.path.rpartition("/templates/")[0]
    chart = context.once("chart", folder, lambda: _of_folder(folder, context))
    own = {match.group("name"): match.group("body") for match in _DEFINE.finditer(source.text)}
    return msgspec.structs.replace(chart, named={**chart.named, **own}) if own else chart


def _of_folder(folder: str, context: Context) -> _Chart:
    beside = Source(f"{folder}/Chart.yaml".removeprefix("/"), b"")
    own, metadata = (context.neighbour(beside, name) for name in ("values.yaml", "Chart.yaml"))
    values = (_Values(own, _nodes(own)),) if own else ()
    parent, _, name = folder.rpartition("/charts/")
    if name and (above := context.neighbour(Source("", b""), f"{parent}/values.yaml")):
        values = (_Values(above, _nodes(above), (name,)), *values)
    texts = _helpers(beside, context, "templates")
    for library in context.names(beside, "charts")[:_MOST_FOLDERS]:
        texts = _helpers(beside, context, f"charts/{library}/templates") + texts
    named = {
        match.group("name"): match.group("body")
        for text in texts for match in _DEFINE.finditer(text)
    }  # fmt: skip
    images: tuple[Use, ...] = ()
    if own is not None:
        inner = Collector(own, "helm")
        helm.read(own, inner, context)
        images = tuple(inner.uses)
    return _Chart(values, _nodes(metadata), named, images)


def _helpers(source: Source, context: Context, folder: str) -> list[str]:
    """The files of a chart that hold its named templates, those of folders in templates/ too."""
    names = context.names(source, folder)
    places = [f"{folder}/{name}" for name in names if name.endswith(".tpl")]
    for below in [name for name in names if "." not in name][:_MOST_FOLDERS]:
        inner = context.names(source, f"{folder}/{below}")
        places += [f"{folder}/{below}/{name}" for name in inner if name.endswith(".tpl")]
    files = [context.neighbour(source, place) for place in places[:_MOST_HELPERS]]
    return [file.text for file in files if file is not None]


def _nodes(source: Source | None) -> tuple[Node, ...]:
    return tuple(documents(source, Collector(source, "helm"))) if source else ()


class _Line(msgspec.Struct, frozen=True):
    """An image of a template: its pieces, or why it cannot be evaluated."""

    written: Written
    pieces: Value = ()
    problem: str = ""

    @property
    def repository(self) -> str:
        """The value that its repository is, ``""`` where it is text of the template."""
        names = [""]
        for piece in self.pieces:
            if not piece.name and (":" in piece.text or "@" in piece.text):
                break
            names.append(piece.name)
        return names[-1]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing, a tag or digest included."""
        text = "".join(piece.text for piece in self.pieces)
        return bool(self.pieces) and not self.problem and ":" in text.rpartition("/")[2]


def _evaluated(chart: Chart, value: Written, dot: Value) -> _Line:
    try:
        pieces = evaluate(value, chart, dot)
    except NotSimple as error:
        return _Line(value, problem=str(error))
    absent = missing(pieces).removeprefix(".")
    return _Line(value, pieces, f"no value for {absent} in the chart" if absent else "")


def _report(
    found: Collector, chart: _Chart, line: _Line, variables: dict[str, str], confidence: Confidence
) -> None:
    value = line.written
    if line.problem:
        mentioned = [] if line.pieces else _mentioned(chart, value, variables)
        # Beside other text a value is a part, and which one is not known.
        alone = value.text.startswith("{{") and value.text.count("{{") == 1
        uses = mentioned if alone and value.text.endswith("}}") else []
        for use in uses:
            note = f"through {use.key} of {use.place.file}"
            found.image(
                value, "image", confidence=confidence, fields=use.fields or _whole(use), note=note,
                value=use.value,
            )  # fmt: skip
        if not uses:
            feeds = tuple(
                Feed(name=use.key, value=use.value, place=use.place, shared=True)
                for use in mentioned
            )
            outcome = Outcome(value="", problem=line.problem, feeds=feeds)
            found.image(value, "image", confidence=confidence, outcome=outcome)
        return
    text = "".join(piece.text for piece in line.pieces)
    whole = _whole_of(chart, line.pieces)
    if whole is not None:
        found.image(value, "image", confidence=confidence, value=whole.value, fields=whole.fields,
                    note=f"with {whole.key} of {whole.place.file}")  # fmt: skip
        return
    fields = _fields(line.pieces)
    if fields is not None:
        found.image(value, "image", confidence=confidence, value=text, fields=fields)
        return
    feeds = tuple(
        Feed(
            name=piece.name, value=piece.text, place=piece.written.place if piece.written else None,
            quoting=piece.written.quoting if piece.written else "text", shared=True,
            exact=piece.written is not None and piece.written.exact
            and piece.written.text == piece.text,
        ) for piece in line.pieces if piece.name
    )  # fmt: skip
    found.image(value, "image", confidence=confidence, outcome=Outcome(value=text, feeds=feeds))


def _whole_of(chart: _Chart, pieces: Value) -> Use | None:
    """The image of the values that a lone value is only a part of: ``image`` beside
    ``repository`` and ``version``, which an operator puts together."""
    if len(pieces) != 1 or pieces[0].written is None or not pieces[0].name:
        return None
    place = pieces[0].written.place
    for use in chart.images:
        part = use.fields.get("repository")
        if part is not None and part.place == place and use.value != pieces[0].text:
            return use if "registry" in use.fields else None
    return None


def _whole(use: Use) -> dict[str, Field]:
    """A value that is the whole reference, as a part of one."""
    return {
        "reference": Field(
            value=use.expression, place=use.place, quoting=use.quoting, exact=use.exact, key=use.key
        )
    }


def _mentioned(chart: _Chart, value: Written, variables: dict[str, str]) -> list[Use]:
    """Images of the values file that the expression, or a template it names, mentions."""
    texts, seen = actions(value.text), set[str]()
    for _ in range(_DEEPEST):
        texts += [body for name, body in variables.items() if any(name in t for t in texts)]
        more = {n for t in texts for n in _NAMED.findall(t)} - seen
        seen |= more
        texts += [chart.named[name] for name in more if name in chart.named]
    paths = {path for text in texts for path in _VALUES.findall(text)}
    return [
        use for use in chart.images
        if any(path == use.key or path.startswith(f"{use.key}.") for path in paths)
    ]  # fmt: skip


def _fields(pieces: Value) -> dict[str, Field] | None:
    """The parts of a reference, if each stands in a value of its own in values.yaml."""
    names = {
        "v": ("reference",), "v:v": ("repository", "tag"), "v/v": ("registry", "repository"),
        "v/v:v": ("registry", "repository", "tag"), "v@v": ("repository", "digest"),
        "v/v@v": ("registry", "repository", "digest"),
        "v:v@v": ("repository", "tag", "digest"),
        "v/v:v@v": ("registry", "repository", "tag", "digest"),
    }  # fmt: skip
    # A default of the template is a value too, but has no place where it could be changed.
    valued = [p for p in pieces if p.name or (p.whole and p.text not in (":", "/", "@"))]
    parts = names.get("".join("v" if piece in valued else piece.text for piece in pieces))
    if parts is None:
        return None
    if any(p.written is None and n != "tag" for n, p in zip(parts, valued, strict=True)):
        return None
    return {
        name: Field(
            value=piece.text, place=piece.written.place, quoting=piece.written.quoting,
            exact=piece.written.exact and piece.written.text == piece.text, key=piece.name,
        )
        for name, piece in zip(parts, valued, strict=True) if piece.written is not None
    }  # fmt: skip
