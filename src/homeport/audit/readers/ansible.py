"""Ansible: modules that run or pull containers, and Kubernetes definitions in tasks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from homeport.audit.formats.yaml import Node, documents, entries, get, items, text_of, written
from homeport.audit.readers import ansible_variables, kubernetes
from homeport.audit.reading.collector import Collector, field
from homeport.audit.reading.commands import read_commands
from homeport.audit.reading.context import Context
from homeport.audit.source import Source

_RUN = re.compile(
    r"(?:^|\.)(?:docker_container|podman_container|docker_swarm_service|podman_play)$"
)
_PULL = re.compile(r"(?:^|\.)(?:docker_image|podman_image|docker_image_pull)$")
_OBJECT = re.compile(r"(?:^|\.)(?:k8s|kubernetes)$")
_SHELL = re.compile(r"(?:^|\.)(?:shell|command|raw)$")
_BLOCKS = ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always")


def read(source: Source, found: Collector, context: Context) -> None:
    """Report every image of a playbook or a task file."""
    for document in documents(source, found):
        for play in items(document):
            ansible_variables.keep(source, get(play, "vars"), context, source.path)
        for key, node in _modules(document, "", 0):
            _module(source, found, context, key, node)


def _modules(node: Node | None, key: str, depth: int) -> Iterator[tuple[str, Node]]:
    """Every ``name: arguments`` of every task, blocks included."""
    for number, task in enumerate(items(node)):
        for name, value in entries(task):
            path = f"{key}[{number}].{name}"
            if name in _BLOCKS and depth < 20:
                yield from _modules(value, path, depth + 1)
            else:
                yield path, value


def _module(source: Source, found: Collector, context: Context, key: str, node: Node) -> None:
    if _RUN.search(key):
        image = get(node, "image")
        if image is not None and text_of(image):
            found.image(written(source, image), f"{key}.image")
    elif _PULL.search(key):
        name, tag = get(node, "name"), get(node, "tag")
        if name is not None and text_of(name) and text_of(get(node, "source")) != "build":
            value = written(source, name)
            text = f"{value.text}:{text_of(tag)}" if text_of(tag) else value.text
            fields = {"repository": field(value)}
            if tag is not None and text_of(tag):
                fields["tag"] = field(written(source, tag))
            found.image(value, f"{key}.name", value=text, fields=fields if tag else None)
    elif _OBJECT.search(key):
        for what in ("definition", "resource_definition"):
            if (definition := get(node, what)) is not None:
                kubernetes.read_object(source, found, context, definition)
    elif _SHELL.search(key):
        command = get(node, "cmd") or node
        if text_of(command):
            read_commands(written(source, command), found, key)
