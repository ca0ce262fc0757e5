"""Dockerfiles and Containerfiles, and templates of them."""

from __future__ import annotations

import re

import msgspec

from homeport.audit.model import Feed
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.collector import read as parse
from homeport.audit.reading.commands import read_commands
from homeport.audit.reading.context import Context
from homeport.audit.reading.variables import Outcome
from homeport.audit.source import Source, Written
from homeport.dockerfile.lines import Dockerfile, Instruction, parse_dockerfile
from homeport.dockerfile.stages import ArgDefault, ImageUse, analyse
from homeport.dockerfile.syntax import find_syntax
from homeport.errors import TooLarge

_TEMPLATE = re.compile(
    r"\{\{(?:(?!\{\{|\}\}).){0,1000}\}\}|\{%(?:(?!\{%|%\}).){0,1000}%\}"
    r"|<%(?:(?!<%|%>).){0,1000}%>"
)
_KEYS = {"syntax": "# syntax", "from": "FROM", "copy-from": "COPY --from",
         "mount-from": "RUN --mount=from"}  # fmt: skip


def read(source: Source, found: Collector, context: Context) -> None:
    """Report every image of a Dockerfile."""
    read_text(source.whole(), found)


def read_text(written: Written, found: Collector, key: str = "") -> None:
    """Report the images of a Dockerfile that is written inside something else."""
    # Blanks in template tags would split words; a filler of the same length does not.
    masked = _TEMPLATE.sub(lambda m: re.sub(r"\s", "_", m.group()), written.text)
    try:
        dockerfile = parse_dockerfile(masked)
    except TooLarge as error:
        found.fault(error.what)
        return
    build = analyse(dockerfile)
    text = _Text(dockerfile, written, key)
    for use in build.images:
        _image(use, text, found)
    _causes(dockerfile, written, found, key)
    line = written.source.line_of(written.start) - 1
    for fault in dockerfile.faults:
        if fault.weight == "error" and dockerfile.instructions:
            found.fault(fault.what, line + fault.line)


class _Text(msgspec.Struct, frozen=True):
    """A Dockerfile, where it is written, and the keys that lead to it."""

    dockerfile: Dockerfile
    written: Written
    key: str
    feeds: dict[ArgDefault, Feed] = msgspec.field(default_factory=dict)

    def feed(self, default: ArgDefault) -> Feed:
        if default not in self.feeds:
            self.feeds[default] = _feed(default, self)
        return self.feeds[default]


def _image(use: ImageUse, text: _Text, found: Collector) -> None:
    expression = text.written.part(use.span.start, use.span.end)
    notes = []
    if use.onbuild:
        notes.append("pulled when an image built on this one is built")
    if use.platform_args:
        notes.append(f"depends on {', '.join(use.platform_args)}; shown for linux/amd64")
    feeds = tuple(text.feed(default) for default in use.feeds)
    if any(feed.value for feed in feeds):
        notes.append("--build-arg may replace it")
    problem = use.problem
    value = use.value or ""
    if _TEMPLATE.search(expression.text):
        value, problem = "", "a template fills it in"
    if use.missing and not problem:
        # BuildKit takes an unset variable for empty, which may still name an image.
        reason = f"no default for {', '.join(use.missing)}"
        if parse(value)[0] is None:
            problem = reason
        else:
            notes.append(reason)
    found.image(
        expression, (text.key + "." if text.key else "") + _KEYS[use.how],
        confidence="medium" if use.onbuild else "high",
        outcome=Outcome(value=value, problem=problem, feeds=feeds), note="; ".join(notes),
    )  # fmt: skip


def _feed(default: ArgDefault, file: _Text) -> Feed:
    value = file.written.part(default.span.start, default.span.end)
    quote = value.text[:1]
    if len(value.text) > 1 and quote in ("'", '"') and value.text.endswith(quote):
        value = value.part(1, len(value.text) - 1)
    return Feed(
        name=default.name, value=default.value or "", place=value.place,
        exact=value.exact and value.text == default.value,
        shared=_is_shared(default.name, file.dockerfile),
    )  # fmt: skip


def _is_shared(name: str, dockerfile: Dockerfile) -> bool:
    """Whether an ARG feeds anything but FROM lines that consist of it."""
    whole = (f"${name}", f"${{{name}}}")
    mention = re.compile(rf"\$\{{?{re.escape(name)}\b")
    inside = False
    for instruction in dockerfile.instructions:
        inside = inside or instruction.keyword == "from"
        if instruction.keyword == "from":
            word = next(iter(instruction.fields()), None)
            if mention.search(instruction.text) and (word is None or word.text not in whole):
                return True
        elif instruction.keyword == "arg" and inside:
            if any(w.text.partition("=")[0] == name for w in instruction.words()):
                return True
        elif instruction.keyword == "arg" and mention.search(instruction.text):
            return True
    return False


def _causes(dockerfile: Dockerfile, written: Written, found: Collector, key: str) -> None:
    syntax = find_syntax(dockerfile.text)
    reference = syntax.value if syntax else ""
    if syntax:
        place = written.part(syntax.start, syntax.end)
        found.cause("syntax", reference.partition("@")[0], place, key=key,
                    attributes={"copies": _copies(dockerfile)})  # fmt: skip
    first_copy = True
    for instruction in dockerfile.instructions:
        inner = instruction.inner() or instruction
        if inner.keyword in ("copy", "add") and first_copy:
            first_copy = False
            span = inner.span(0, len(inner.text))
            found.cause("dockerfile", "copy", written.part(span.start, span.end), key=key,
                        attributes={"syntax": reference})  # fmt: skip
        elif inner.keyword == "run":
            for piece in _shell(inner, written):
                read_commands(piece, found, (key + "." if key else "") + "RUN")


def _copies(dockerfile: Dockerfile) -> str:
    return "yes" if any(i.keyword in ("copy", "add") for i in dockerfile.instructions) else ""


def _shell(instruction: Instruction, written: Written) -> list[Written]:
    span = instruction.span(instruction.rest, len(instruction.text))
    pieces = [written.part(span.start, span.end)] if instruction.arguments else []
    pieces.extend(written.part(h.span.start, h.span.end) for h in instruction.heredocs)
    return pieces
