"""Variables of Ansible: defaults and vars of roles, of groups and of hosts.

Their values are kept for the tasks and templates that use them (``scan.templates``); those that
are images by their names are reported here too.
"""

from __future__ import annotations

import re

from homeport.audit.formats.yaml import Node, documents, entries, text_of, walk, written
from homeport.audit.model import Field
from homeport.audit.reading.collector import Collector, field
from homeport.audit.reading.context import Context
from homeport.audit.reading.image_names import names_image
from homeport.audit.source import Source, Written

_SCOPE = re.compile(r"^(?P<folder>.{0,1000}?)(?:^|/)(?:defaults|vars|group_vars|host_vars)/")
_PAIR = re.compile(r"(?P<stem>.{0,100}image)_(?:repo|repository|name)$", re.IGNORECASE)
#: Variables of one folder that are kept.
MOST_VARIABLES = 20_000
_IMAGE = re.compile(r"[:/]|\{\{")
_FILLED = "a variable fills it in"


def read(source: Source, found: Collector, context: Context) -> None:
    """Keep every variable of a file, and report those that are images."""
    scope = _SCOPE.match(source.path)
    folder = scope.group("folder") if scope else ""
    for document in documents(source, found):
        keep(source, document, context, folder)
        for path, node, owner in walk(document):
            if text_of(node):
                _variable(source, found, path, node, owner)


def keep(source: Source, document: Node | None, context: Context, folder: str) -> None:
    """Remember the scalars of a map for the files below ``folder``."""
    if document is None:
        return
    values = context.scopes.setdefault(folder, {})
    for path, node, _ in walk(document):
        if text_of(node) is not None and len(values) < MOST_VARIABLES:
            values.setdefault(path, written(source, node))


def _variable(source: Source, found: Collector, path: str, node: Node, owner: Node) -> None:
    name = path.rpartition(".")[2]
    value = written(source, node)
    pair = _PAIR.fullmatch(name)
    if pair is not None:
        tag = next(
            (n for key, n in entries(owner) if key in _tags(pair.group("stem")) and text_of(n)),
            None,
        )
        if tag is not None:
            part = written(source, tag)
            fields = {"repository": field(value), "tag": field(part)}
            text = f"{value.text}:{part.text}"
            _report(found, value, path, text, fields)
    elif names_image(name) and _IMAGE.search(value.text) and "://" not in value.text:
        _report(found, value, path, value.text, None)


def _tags(stem: str) -> tuple[str, ...]:
    return (f"{stem}_tag", f"{stem}_version", f"{stem.removesuffix('_image')}_version")


def _report(
    found: Collector, value: Written, path: str, text: str, fields: dict[str, Field] | None
) -> None:
    problem = _FILLED if "{{" in text else ""
    found.image(value, path, value=text, confidence="medium", problem=problem, fields=fields)
