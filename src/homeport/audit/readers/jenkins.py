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

#: A string or comment that does not end is one to the end of the line or file, as an editor
#: shows it; so no text is looked at twice.
_TOKEN = re.compile(
    r"(?P<comment>//[^\n]*+|/\*(?:[^*]|\*(?!/)){0,1000000}(?:\*/|\Z))"
    r"|'''(?P<long_single>(?:[^']|'(?!'')){0,1000000})(?:'''|\Z)"
    r"|\"\"\"(?P<long_double>(?:[^\"]|\"(?!\"\")){0,1000000})(?:\"\"\"|\Z)"
    r"|'(?P<single>(?:[^'\\\n]|\\.){0,1000000})(?:'|(?=\n)|\\?\Z)"
    r"|\"(?P<double>(?:[^\"\\\n]|\\.){0,1000000})(?:\"|(?=\n)|\\?\Z)",
    re.DOTALL,
)
_STRINGS = ("long_single", "long_double", "single", "double")
#: What stands before a string, blanks reduced to one (``_before``).
_BEFORE = re.compile(
    r"(?:\bimage ?[:=]?|docker\.image ?\(|docker\.(?:withRun|pull) ?\(|\bdocker )$"
)
_SHELL = re.compile(r"\b(?:sh|bat|powershell) ?\(? ?(?:script ?:)?$")
_YAML = re.compile(r"\byaml ?[:=]? ?\(?$")
_ASSIGN = re.compile(r"\b([A-Za-z_]\w{0,99}) ?=$")
_GROOVY = re.compile(
    r"\$\{\s{0,9}(?:env\.|params\.)?([A-Za-z_]\w{0,99})\s{0,9}\}|\$([A-Za-z_]\w{0,99})"
    r"|\$\{[^{}]{0,400}+\}"
)
_BUILDS = re.compile(r"docker\.build ?\($")
_LIBRARY = re.compile(r"""^[ \t]{0,99}@Library\(\s{0,9}['"]([^'"\n]{1,200})['"]""", re.MULTILINE)
_WINDOW = 120  # characters before a string that are looked at


def read(source: Source, found: Collector, context: Context) -> None:
    """Report every image of a Jenkinsfile."""
    text = source.text
    code = _without_comments(text)
    variables: dict[str, list[Feed]] = {}
    containers: list[str] = []
    for kind, written in found.each(_strings(source)):
        before = _before(code, _opening(written.start, kind))
        if match := _ASSIGN.search(before):
            variables.setdefault(match.group(1), []).append(
                feed(match.group(1), written, shared=True)
            )
        if _YAML.search(before):
            _pod(found, context, written, containers)
        elif _BUILDS.search(before):
            found.produces(written.text, f"{source.path}: docker.build")
        elif _BEFORE.search(before) and not text[written.end : written.end + 20].lstrip(
            "'\" "
        ).startswith("+"):
            _image(found, written, kind, variables)
        elif _SHELL.search(before):
            read_commands(written, found, "sh")
    for library in _LIBRARY.finditer(source.text):
        hint = "audit a checkout of that library too"
        what = f"the shared library {library.group(1)}"
        found.not_followed(source.whole().part(*library.span(1)), "@Library", what, hint)
    if match := re.search(r"\bkubernetes\s{0,99}\{|podTemplate\s{0,99}\(", code):
        named = re.findall(r"name\s{0,9}:\s{0,9}'(\w{1,99})'", text)
        names = " ".join((*containers, *named))
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


def _before(code: str, at: int) -> str:
    """The end of the code before ``at``, each run of blanks as one, none at the end.

    A blank at the end stays behind a word: ``docker 'x'`` is not ``docker'x'``.
    """
    window = code[max(0, at - _WINDOW) : at]
    text = " ".join(window.split())
    return f"{text} " if text[-1:].isalnum() and window[-1:].isspace() else text


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
    inner = found.source.inner(written.text)
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
