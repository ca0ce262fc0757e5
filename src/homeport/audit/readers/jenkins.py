"""Jenkinsfiles: agents, the docker variable, pod templates. Groovy is tokenised, not run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from homeport.audit.formats.yaml import compose, get, items, text_of
from homeport.audit.model import Feed
from homeport.audit.readers import kubernetes
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.commands import read_commands
from homeport.audit.reading.context import Context
from homeport.audit.reading.variables import among, cut_by, feed, outcomes
from homeport.audit.source import Source, Written

_TOKEN = re.compile(
    r"(?P<comment>//[^\n]*|/\*.*?\*/)"
    r"|'''(?P<long_single>.*?)'''|\"\"\"(?P<long_double>.*?)\"\"\""
    r"|'(?P<single>(?:[^'\\\n]|\\.)*)'|\"(?P<double>(?:[^\"\\\n]|\\.)*)\"",
    re.DOTALL,
)
_STRINGS = ("long_single", "long_double", "single", "double")
_BEFORE = re.compile(
    r"(?:\bimage\s*[:=]?\s*|docker\.image\s*\(\s*|docker\.(?:withRun|pull)\s*\(\s*"
    r"|\bdocker\s+|containerTemplate\s*\(.*?\bimage\s*:\s*)$",
    re.DOTALL,
)
_SHELL = re.compile(r"\b(?:sh|bat|powershell)\s*\(?\s*(?:script\s*:\s*)?$")
_YAML = re.compile(r"\byaml\s*[:=]?\s*\(?\s*$")
_ASSIGN = re.compile(r"\b(?:def|String|final)?\s*([A-Za-z_]\w*)\s*=\s*$")
_GROOVY = re.compile(r"\$\{\s*(?:env\.|params\.)?([A-Za-z_]\w*)\s*\}|\$([A-Za-z_]\w*)|\$\{[^}]*\}")
_BUILDS = re.compile(r"docker\.build\s*\(\s*$")


_LIBRARY = re.compile(r"""^\s*@Library\(\s*['"]([^'"\n]+)['"]""", re.MULTILINE)


def read(source: Source, found: Collector, context: Context) -> None:
    """Report every image of a Jenkinsfile."""
    text = source.text
    code = _without_comments(text)
    variables: dict[str, list[Feed]] = {}
    containers: list[str] = []
    for kind, written in _strings(source):
        before = code[max(0, written.start - 400) : _opening(written.start, kind)]
        if match := _ASSIGN.search(before):
            variables.setdefault(match.group(1), []).append(
                feed(match.group(1), written, shared=True)
            )
        if _YAML.search(before):
            _pod(found, context, written, containers)
        elif _BUILDS.search(before):
            found.produces(written.text, f"{source.path}: docker.build")
        elif _BEFORE.search(before) and not text[written.end :].lstrip("'\" ").startswith("+"):
            _image(found, written, kind, variables)
        elif _SHELL.search(before):
            read_commands(written, found, "sh")
    for library in _LIBRARY.finditer(source.text):
        hint = "audit a checkout of that library too"
        what = f"the shared library {library.group(1)}"
        found.not_followed(source.whole().part(*library.span(1)), "@Library", what, hint)
    if match := re.search(r"\bkubernetes\s*\{|podTemplate\s*\(", code):
        names = " ".join(containers) + " " + " ".join(re.findall(r"name\s*:\s*'(\w+)'", text))
        found.cause("jenkins", "kubernetes", source.whole().part(match.start(), match.end()),
                    key="agent", attributes={"containers": names})  # fmt: skip


def _strings(source: Source) -> Iterator[tuple[str, Written]]:
    whole = source.whole()
    for match in _TOKEN.finditer(source.text):
        for kind in _STRINGS:
            if match.group(kind) is not None:
                yield kind, whole.part(match.start(kind), match.end(kind))


def _without_comments(text: str) -> str:
    """The same text with comments blanked, so that every place stays."""
    return _TOKEN.sub(
        lambda m: re.sub(r"[^\n]", " ", m.group()) if m.group("comment") else m.group(), text
    )


def _opening(start: int, kind: str) -> int:
    return start - (3 if kind.startswith("long") else 1)


def _image(found: Collector, written: Written, kind: str, variables: dict[str, list[Feed]]) -> None:
    if kind.endswith("double"):
        for outcome in outcomes(written, cut_by(_GROOVY), among(variables)):
            found.image(written, "image", outcome=outcome)
    else:
        found.image(written, "image")


def _pod(found: Collector, context: Context, written: Written, containers: list[str]) -> None:
    """A pod in a string of YAML."""
    inner = Source(found.source.path, written.text.encode("utf-8", "surrogateescape"))
    scratch = Collector(inner, found.kind, found.programs)
    for document in compose(inner.whole(), scratch):
        kubernetes.read_object(inner, scratch, context, document)
        for container in items(get(document, "spec", "containers")):
            containers.append(text_of(get(container, "name")) or "")
    for use in scratch.uses:
        at = inner.text.find(use.expression, use.place.start)
        if at >= 0:
            found.image(written.part(at, at + len(use.expression)), f"yaml: {use.key}",
                        problem=use.problem)  # fmt: skip
