"""Helm: values files, and the images that a chart's metadata names.

An image in values is a string, or a map of parts that a template puts together. Templates
themselves are not YAML: only lines that name an image literally are read.
"""

from __future__ import annotations

import posixpath
import re

from homeport.audit.collecting import Collector
from homeport.audit.context import Context
from homeport.audit.model import Field
from homeport.audit.source import Source, Written
from homeport.audit.yamlnodes import (
    Node,
    compose,
    documents,
    get,
    is_map,
    items,
    text_of,
    walk,
    written,
)

_IMAGE_KEY = re.compile(r"(?:^|[.\]])[A-Za-z0-9_-]*image$", re.IGNORECASE)
_LINE = re.compile(
    r"^\s*(?:-\s+)?image:\s*[\"']?(?P<ref>[^\s\"'{}#]+:[^\s\"'{}#]+)[\"']?\s*$", re.M
)


def read(source: Source, found: Collector, context: Context) -> None:
    """Report the images of a values file."""
    chart = context.neighbour(source, posixpath.join("Chart.yaml"))
    version = ""
    if chart is not None:
        for document in documents(chart, Collector(chart, "helm")):
            version = text_of(get(document, "appVersion")) or version
    for document in documents(source, found):
        read_values(source, found, document, "", app_version=version)


def read_chart(source: Source, found: Collector, context: Context) -> None:
    """Report the images that ``Chart.yaml`` declares for artifact hubs."""
    for document in documents(source, found):
        listed = get(document, "annotations", "artifacthub.io/images")
        if listed is None or not text_of(listed):
            continue
        text = written(source, listed)
        inner = Source(source.path, text.text.encode("utf-8", "surrogateescape"))
        for listing in compose(inner.whole(), Collector(inner, "helm")):
            for number, item in enumerate(items(listing)):
                node = get(item, "image")
                if node is not None and text_of(node):
                    value = _inside(written(inner, node), text)
                    key = f"annotations.artifacthub.io/images[{number}].image"
                    found.image(value, key, sure="likely", note="declared, not used by itself")


def read_template(source: Source, found: Collector, context: Context) -> None:
    """Report lines of a chart's template that name an image without any template tag."""
    whole = source.whole()
    for match in _LINE.finditer(source.text):
        found.image(whole.part(*match.span("ref")), "image", sure="likely")


def read_values(
    source: Source,
    found: Collector,
    node: Node | None,
    key: str,
    *,
    app_version: str = "",
    inside: Written | None = None,
) -> None:
    """Report every image in a map of values. ``inside``: the string that holds them."""
    if node is None:
        return
    default = text_of(get(node, "global", "imageRegistry")) or text_of(get(node, "imageRegistry"))
    for path, value, owner in walk(node):
        if not _IMAGE_KEY.search(path):
            continue
        where = f"{key}.{path}" if key else path
        if is_map(value):
            read_map(
                source, found, value, where,
                app_version=app_version, inside=inside, registry=default or "",
            )  # fmt: skip
        elif text := text_of(value):
            literal = _inside(written(source, value), inside)
            tag = get(owner, "tag") if path.rpartition(".")[2] == "image" else None
            if tag is not None and text_of(tag) and ":" not in text.rpartition("/")[2]:
                _parts(found, where, {"repository": literal,
                                      "tag": _inside(written(source, tag), inside)})  # fmt: skip
            elif ":" in text or "/" in text:
                found.image(literal, where, sure="likely")


def read_map(
    source: Source,
    found: Collector,
    node: Node,
    key: str,
    *,
    app_version: str = "",
    inside: Written | None = None,
    registry: str = "",
) -> None:
    """Report an image that is written as registry, repository, tag and digest."""
    parts: dict[str, Written] = {}
    for name, keys in (
        ("registry", ("registry", "hub")), ("repository", ("repository", "repo", "name")),
        ("tag", ("tag", "version")), ("digest", ("digest", "sha")),
    ):  # fmt: skip
        for candidate in keys:
            value = get(node, candidate)
            if value is not None and text_of(value):
                parts[name] = _inside(written(source, value), inside)
                break
    if "repository" not in parts:
        return
    _parts(found, key, parts, app_version=app_version, registry=registry)


def _parts(
    found: Collector,
    key: str,
    parts: dict[str, Written],
    *,
    app_version: str = "",
    registry: str = "",
) -> None:
    host = parts["registry"].text if "registry" in parts else registry
    expression = parts["repository"].text
    if host and not expression.startswith(f"{host}/"):
        expression = f"{host}/{expression}"
    note = ""
    if "tag" in parts:
        expression += f":{parts['tag'].text}"
    elif app_version and "digest" not in parts and "@" not in expression:
        expression += f":{app_version}"
        note = "the tag is the chart's appVersion"
    if "digest" in parts:
        digest = parts["digest"].text
        expression += f"@{digest if ':' in digest else 'sha256:' + digest}"
    fields = {
        name: Field(value=p.text, place=p.place, quoting=p.quoting, exact=p.exact)
        for name, p in parts.items()
    }
    found.image(parts["repository"], key, sure="likely", value=expression, fields=fields, note=note)


def _inside(value: Written, outer: Written | None) -> Written:
    """The same text at its place in the string that holds it."""
    if outer is None:
        return value
    if not value.exact:
        return outer.part(0, 0)
    return outer.part(value.start, value.end)
