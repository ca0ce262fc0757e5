"""Ansible: modules that run or pull containers, and Kubernetes definitions in tasks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

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
_BUILD = re.compile(r"(?:^|\.)(?:docker_image|podman_image|docker_image_build)$")
_ITEM = re.compile(r"\{\{\s{0,9}item(?:\.(\w{1,80}))?\s{0,9}\}\}")
_OBJECT = re.compile(r"(?:^|\.)(?:k8s|kubernetes)$")
_SHELL = re.compile(r"(?:^|\.)(?:shell|command|raw)$")
_BLOCKS = ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always")


def read(source: Source, found: Collector, context: Context) -> None:
    """Report every image of a playbook or a task file."""
    for document in documents(source, found):
        for play in items(document):
            ansible_variables.keep(source, get(play, "vars"), context, source.path)
        for key, node, task in _modules(document, "", 0):
            if not (_BUILD.search(key) and _builds(source, found, key, node, task)):
                _module(source, found, context, key, node)


def _modules(node: Node | None, key: str, depth: int) -> Iterator[tuple[str, Node, Node]]:
    """Every ``name: arguments`` of every task, and the task; blocks included."""
    for number, task in enumerate(items(node)):
        for name, value in entries(task):
            path = f"{key}[{number}].{name}"
            if name in _BLOCKS and depth < 20:
                yield from _modules(value, path, depth + 1)
            else:
                yield path, value, task


def _builds(source: Source, found: Collector, key: str, node: Node, task: Node) -> bool:
    """Whether a task makes its image, or finds it on the machine, instead of pulling it.

    Older releases build where there is a path and no ``source``.
    """
    origin = text_of(get(node, "source"))
    building = key.endswith("_build") or get(node, "build") or get(node, "path")
    if origin == "pull" or not (origin or building):
        return False
    loop: Sequence[Node | None] = items(
        next((get(task, w) for w in ("loop", "with_items") if get(task, w)), None)
    )
    for item in loop or [None]:
        name = _filled(text_of(get(node, "name")) or "", item)
        tag = _filled(text_of(get(node, "tag")) or "", item)
        pushed = _filled(text_of(get(node, "repository")) or "", item)
        for one in (f"{name}:{tag}" if tag else name, pushed) if origin != "local" else (pushed,):
            if one:
                found.produces(one, f"{source.path}: {key}")
    return True


def _filled(text: str, item: Node | None) -> str:
    """``{{ item }}`` and ``{{ item.x }}`` of a loop over a literal list."""
    if item is None:
        return text
    return _ITEM.sub(lambda m: text_of(get(item, m[1]) if m[1] else item) or m[0], text)


def _module(source: Source, found: Collector, context: Context, key: str, node: Node) -> None:
    if _RUN.search(key):
        image = get(node, "image")
        if image is not None and text_of(image):
            found.image(written(source, image), f"{key}.image")
    elif _PULL.search(key):
        name, tag = get(node, "name"), get(node, "tag")
        if name is not None and text_of(name):
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
