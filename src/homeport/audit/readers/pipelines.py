"""Smaller CI systems, whose files name images in a few fixed places."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from homeport.audit.formats.yaml import (
    Node,
    documents,
    entries,
    get,
    is_map,
    items,
    text_of,
    walk,
    written,
)
from homeport.audit.model import Feed
from homeport.audit.reading.collector import Collector, field
from homeport.audit.reading.commands import read_commands
from homeport.audit.reading.context import Context
from homeport.audit.reading.variables import Lookup, among, cut_by, feed, outcomes
from homeport.audit.source import Source, Written

_DOLLAR = re.compile(r"\$\{?\{?\s*([A-Za-z_][\w.]*)[^}\s]*\}?\}?")
_SCRIPTS = re.compile(
    r"(?:^|\.)(?:script|commands?|run|args|before_script|install|bash|after-script)(?:\[\d+\])*$"
)


def _image(found: Collector, value: Written, key: str, lookup: Lookup = lambda name: ()) -> None:
    if not value.text.startswith("@"):
        for outcome in outcomes(value, cut_by(_DOLLAR), lookup):
            found.image(value, key, outcome=outcome)


def _matrix(source: Source, node: Node | None) -> Lookup:
    """Woodpecker's matrix: lists of values, or rows under ``include``."""
    values: dict[str, list[Feed]] = {}
    rows = [row for item in items(get(node, "include")) for row in entries(item)]
    lists = [(name, item) for name, listed in entries(node) for item in items(listed)]
    for name, item in [*rows, *lists]:
        if text_of(item):
            values.setdefault(name, []).append(feed(name, written(source, item), shared=True))
    return among(values)


def _scripts(source: Source, found: Collector, document: Node) -> None:
    for path, node, _ in walk(document):
        if not _SCRIPTS.search(path):
            continue
        for item in items(node) or [node]:
            if text_of(item):
                read_commands(written(source, item), found, path)


def _named(node: Node | None) -> Iterator[tuple[str, Node]]:
    """Steps as a list or as a map by name."""
    yield from entries(node)
    for number, item in enumerate(items(node)):
        yield f"[{number}]", item


def read_drone(source: Source, found: Collector, context: Context) -> None:
    """Drone, Woodpecker, Crow and Vela."""
    name = source.path.lower()
    system = "drone" if "drone" in name else "vela" if "vela" in name else "woodpecker"
    for document in documents(source, found):
        lookup = _matrix(source, get(document, "matrix"))
        for what in ("steps", "pipeline", "services", "clone"):
            for step, node in _named(get(document, what)):
                image = get(node, "image")
                if image is not None and text_of(image):
                    dot = "" if step.startswith("[") else "."
                    _image(found, written(source, image), f"{what}{dot}{step}.image", lookup)
        _scripts(source, found, document)
        first = next((n for key, n in entries(document) if key in ("steps", "pipeline")), None)
        if first is not None:
            clone = get(document, "clone")
            names = " ".join(name for name, _ in _named(clone))
            skip = text_of(get(document, "skip_clone")) or ""
            found.cause("file", system, _opening(source, first), key="steps",
                        attributes={"clone": names + skip,
                                    "type": text_of(get(document, "type")) or ""})  # fmt: skip


def _opening(source: Source, node: Node) -> Written:
    place = written(source, node)
    return source.whole().part(place.start, place.start)


def read_azure(source: Source, found: Collector, context: Context) -> None:
    """Azure Pipelines: container resources, and jobs' containers by name or by reference."""
    for document in documents(source, found):
        aliases = set()
        for number, node in enumerate(items(get(document, "resources", "containers"))):
            aliases.add(text_of(get(node, "container")) or "")
            image = get(node, "image")
            if image is not None and text_of(image):
                _image(found, written(source, image), f"resources.containers[{number}].image")
        for path, node, _ in walk(document):
            if path.startswith("resources."):
                continue
            last = path.rpartition(".")[2]
            if last == "template" and "@" in (text_of(node) or "").removesuffix("@self"):
                hint = "audit a checkout of the repository that resources names too"
                found.not_followed(written(source, node), path, f"{text_of(node)}", hint)
            if last == "container" and text_of(node) and text_of(node) not in aliases:
                value = written(source, node)
                if ":" in value.text or "/" in value.text:
                    _image(found, value, path)
            elif path.endswith("container.image") and text_of(node):
                _image(found, written(source, node), path)
        _scripts(source, found, document)


def read_bitbucket(source: Source, found: Collector, context: Context) -> None:
    """Bitbucket Pipelines: images of all, of steps and of services, and pipes."""
    for document in documents(source, found):
        has_image = ""
        for path, node, _ in walk(document):
            last = path.rpartition(".")[2]
            if last == "image" or path.endswith(("image.name",)):
                if text_of(node):
                    has_image = has_image or ("yes" if path.startswith("image") else "")
                    _image(found, written(source, node), path)
            elif last == "pipe" and text_of(node):
                value = written(source, node)
                if value.text.startswith("docker://"):
                    _image(found, value.after("docker://"), path)
                else:
                    name = value.text.partition(":")[0].removeprefix("atlassian/")
                    found.image(
                        value, path, confidence="medium", value=f"bitbucketpipelines/{name}:"
                        f"{value.text.partition(':')[2] or 'latest'}"
                        if value.text.startswith("atlassian/") else value.text,
                        note="a pipe; its image is named in its own repository",
                    )  # fmt: skip
        _scripts(source, found, document)
        pipelines = get(document, "pipelines")
        if pipelines is not None:
            found.cause("file", "bitbucket", _opening(source, pipelines), key="pipelines",
                        attributes={"image": has_image})  # fmt: skip


def read_cloudbuild(source: Source, found: Collector, context: Context) -> None:
    """Google Cloud Build: a step's name is its image."""
    for document in documents(source, found):
        for number, step in enumerate(items(get(document, "steps"))):
            name = get(step, "name")
            if name is not None and text_of(name):
                _image(found, written(source, name), f"steps[{number}].name")
            words = [text_of(arg) or "" for arg in items(get(step, "args"))]
            if words[:1] in (["build"], ["buildx"]):
                for flag, value in itertools.pairwise(words):
                    if flag in ("-t", "--tag"):
                        found.produces(value, f"{source.path}: steps[{number}]")


def read_buildkite(source: Source, found: Collector, context: Context) -> None:
    """Buildkite: the docker plug-in's image, and its compose sibling's commands."""
    for document in documents(source, found):
        for path, node, _ in walk(document):
            if path.endswith(".image") and "plugins" in path and text_of(node):
                _image(found, written(source, node), path)
        _scripts(source, found, document)


def read_concourse(source: Source, found: Collector, context: Context) -> None:
    """Concourse: image resources of tasks, and resources of registry-image kind."""
    for document in documents(source, found):
        for path, node, owner in walk(document):
            if not path.endswith("source") or not is_map(node):
                continue
            kind = text_of(get(owner, "type")) or ""
            repository = get(node, "repository")
            if kind not in ("registry-image", "docker-image") or repository is None:
                continue
            value = written(source, repository)
            text, fields = value.text, {"repository": field(value)}
            tag = get(node, "tag")
            if tag is not None and text_of(tag):
                fields["tag"] = field(written(source, tag))
                text += f":{fields['tag'].value}"
            own = "image_resource" not in path and kind == "docker-image"
            found.image(
                value, f"{path}.repository", value=text, fields=fields,
                confidence="medium" if own else "high",
            )  # fmt: skip


def read_travis(source: Source, found: Collector, context: Context) -> None:
    """Travis CI: only commands name images."""
    for document in documents(source, found):
        _scripts(source, found, document)
