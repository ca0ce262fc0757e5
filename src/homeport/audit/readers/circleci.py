"""CircleCI: images of executors and jobs, inline orbs and parameters included."""

from __future__ import annotations

import re

from homeport.audit.formats.yaml import Node, documents, entries, get, items, text_of, walk, written
from homeport.audit.model import Feed
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.commands import read_commands
from homeport.audit.reading.context import Context
from homeport.audit.reading.variables import among, cut_by, feed, outcomes
from homeport.audit.source import Source

_PARAMETER = re.compile(
    r"<<\s{0,9}(?:pipeline\.)?(parameters\.[\w.-]{1,200})\s{0,9}>>|<<[^<>]{0,200}>>"
)


def read(source: Source, found: Collector, context: Context) -> None:
    """Report every image of a CircleCI configuration."""
    for document in documents(source, found):
        _part(source, found, document, "", _defaults(source, document))
        for name, orb in entries(get(document, "orbs")):
            _part(source, found, orb, f"orbs.{name}.", {})
            if text := text_of(orb):
                hint = f"circleci orb source {text} shows it; audit what it prints"
                found.not_followed(written(source, orb), f"orbs.{name}", f"the orb {text}", hint)
        for path, node, _ in walk(document):
            if path.endswith((".run", ".run.command", ".command")) and text_of(node):
                read_commands(written(source, node), found, path)


def _defaults(source: Source, node: Node | None) -> dict[str, list[Feed]]:
    return {
        f"parameters.{name}": [feed(name, written(source, default), shared=True)]
        for name, parameter in entries(get(node, "parameters"))
        if (default := get(parameter, "default")) is not None and text_of(default)
    }


def _part(
    source: Source, found: Collector, node: Node | None, key: str, given: dict[str, list[Feed]]
) -> None:
    for what in ("executors", "jobs"):
        for name, job in entries(get(node, what)):
            tables = among(_defaults(source, job), given)
            for number, item in enumerate(items(get(job, "docker"))):
                image = get(item, "image")
                if image is None or not text_of(image):
                    continue
                value = written(source, image)
                path = f"{key}{what}.{name}.docker[{number}].image"
                for outcome in outcomes(value, cut_by(_PARAMETER), tables):
                    found.image(value, path, outcome=outcome)
