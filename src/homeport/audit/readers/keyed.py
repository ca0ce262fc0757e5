"""Structured files whose images stand under known keys, as ``reading.keyed_files`` lists them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import msgspec

from homeport.audit.formats import json, toml
from homeport.audit.formats.yaml import Node, documents, get, is_map, items, text_of, walk, written
from homeport.audit.readers import helm
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.commands import read_commands
from homeport.audit.reading.context import Context, resolve
from homeport.audit.reading.embedded import TEMPLATE_SUFFIX
from homeport.audit.reading.keyed_files import BY_NAME, KeyedFile
from homeport.audit.reading.variables import among, cut_compose, outcomes
from homeport.audit.source import Source, Written

_SCHEMES = ("docker://", "docker-image://", "oci://")


def read(source: Source, found: Collector, context: Context) -> None:
    """Report every image under a known key."""
    row = BY_NAME[found.kind]
    for document in _documents(source, found):
        for path, node, owner in _scalars(document):
            _value(_Entry(source, row, path, node, owner), found)
        if row.name == "dagger":
            _dagger(source, found, document)
        elif row.name == "goreleaser":
            _goreleaser(source, found, document)


def _documents(source: Source, found: Collector) -> list[Node]:
    name = TEMPLATE_SUFFIX.sub("", source.name)
    if name.endswith(".toml"):
        root = toml.document(source, found)
    elif name.endswith(".json") or source.text.lstrip()[:1] == "{":
        root = json.document(source, found)
    else:
        return list(documents(source, found))
    return [root] if root is not None else []


def _scalars(document: Node) -> Iterator[tuple[str, Node, Node]]:
    """Every value of a map, and the items of lists, also of lists in lists."""
    for path, node, owner in walk(document):
        yield path, node, owner
        for number, item in enumerate(items(node)):
            if not is_map(item):
                yield f"{path}[{number}]", item, owner
            for position, inner in enumerate(items(item)):
                yield f"{path}[{number}][{position}]", inner, owner


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _fits(pattern: str, path: str) -> bool:
    return bool(pattern) and _pattern(pattern).fullmatch(path) is not None


class _Entry(msgspec.Struct, frozen=True):
    """One value: its file's row, its path of keys, and the map that holds it."""

    source: Source
    row: KeyedFile
    path: str
    node: Node
    owner: Node


def _value(entry: _Entry, found: Collector) -> None:
    row, path, node = entry.row, entry.path, entry.node
    if _fits(row.values, path) and is_map(node):
        helm.read_values(entry.source, found, node, path, elsewhere=True)
    text = text_of(node)
    if not text:
        return
    if _fits(row.images, path):
        _image(entry, found)
    elif _fits(row.likely, path) and (":" in text or "/" in text):
        found.image(written(entry.source, node), path, confidence="medium")
    elif _fits(row.commands, path):
        read_commands(written(entry.source, node), found, path)
    if _fits(row.dockerfiles, path) and "://" not in text:
        named = resolve(entry.source, text)
        if named is not None:
            found.names_dockerfile(named)


def _image(entry: _Entry, found: Collector) -> None:
    row, path, owner = entry.row, entry.path, entry.owner
    value = written(entry.source, entry.node)
    if row.name == "pre-commit" and text_of(get(owner, "language")) != "docker_image":
        return
    if row.name == "pulumi" and path.endswith(".name") and get(owner, "keepLocally") is None:
        return  # only docker:RemoteImage has a name that is an image
    if row.name == "cloudformation" and (
        value.text.startswith("aws/") or entry.node.tag in ("!Ref", "!ImportValue", "!GetAtt")
    ):
        return  # CodeBuild's own machines; a name of something else in the template
    if row.first_word:
        value = _first_word(value)
    for scheme in _SCHEMES:
        if value.text.startswith(scheme):
            value = value.after(scheme)
    if row.interpolated:
        for outcome in outcomes(value, cut_compose, among({})):
            found.image(value, path, outcome=outcome)
        return
    found.image(value, path)


def _first_word(value: Written) -> Written:
    """The image of ``[--entrypoint PROGRAM] IMAGE [ARGUMENTS]``."""
    words = list(re.finditer(r"\S+", value.text))
    if words and words[0].group().startswith("--entrypoint"):
        words = words[1:] if "=" in words[0].group() else words[2:]
    return value.part(*words[0].span()) if words else value


def _dagger(source: Source, found: Collector, document: Node) -> None:
    node = get(document, "engineVersion")
    if node is not None and text_of(node):
        value = written(source, node)
        found.cause("file", "dagger", value, key="engineVersion", version=value.text)


def _goreleaser(source: Source, found: Collector, document: Node) -> None:
    for key, name, attribute in (
        ("kos", "goreleaser-ko", "base_image"), ("dockers_v2", "goreleaser-dockers-v2", "sbom"),
    ):  # fmt: skip
        for number, item in enumerate(items(get(document, key))):
            value = text_of(get(item, attribute)) or ""
            found.cause("file", name, written(source, item), key=f"{key}[{number}]",
                        attributes={attribute.partition("_")[0]: value})  # fmt: skip
