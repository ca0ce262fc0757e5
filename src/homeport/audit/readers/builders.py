"""Build tools: Skaffold, werf, ko, Blubber, docker-pkg, Earthly, buildpacks."""

from __future__ import annotations

import re

from homeport.audit.formats import toml
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
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.commands import read_commands
from homeport.audit.reading.context import Context
from homeport.audit.reading.variables import among, cut_compose, feed, outcomes
from homeport.audit.source import Source, Written

_EARTH = re.compile(
    r"^[ \t]*(?P<word>FROM|WITH DOCKER|CACHE|ARG|SAVE IMAGE)\b(?P<rest>[^\n]*)", re.M
)
_PULL = re.compile(r"--pull[= ]([^\s\\]+)")


def _image(source: Source, found: Collector, node: Node | None, key: str) -> None:
    if node is not None and text_of(node):
        found.image(written(source, node), key)


def read_skaffold(source: Source, found: Collector, context: Context) -> None:
    """Skaffold: what artifacts are built on; their own names are what is built."""
    for document in documents(source, found):
        for path, node, owner in walk(document):
            if re.search(r"artifacts\[\d+\]\.image$", path) and text_of(node):
                found.produces(text_of(node) or "", f"{source.path}: {path}")
            elif re.search(
                r"\.(?:kaniko\.(?:image|initImage)|ko\.fromImage|jib\.fromImage"
                r"|buildpacks\.(?:builder|runImage))$", path
            ):  # fmt: skip
                _image(source, found, node, path)
            elif re.search(r"\.docker\.buildArgs\.[^.]+$", path) and text_of(node):
                value = written(source, node)
                if "/" in value.text and ":" in value.text:
                    found.image(value, path, confidence="medium")
            elif path.endswith("build.googleCloudBuild"):
                key = next((k for k, v in owner.value if v is node), node)
                attributes = {name: text_of(value) or "" for name, value in entries(node)}
                found.cause("skaffold", "googleCloudBuild", written(source, key), key=path,
                            attributes=attributes)  # fmt: skip
            elif path.endswith(".kaniko"):
                key = next((k for k, v in owner.value if v is node), node)
                attributes = {name: text_of(value) or "" for name, value in entries(node)}
                found.cause("skaffold", "kaniko", written(source, key), key=path,
                            attributes=attributes)  # fmt: skip


def read_werf(source: Source, found: Collector, context: Context) -> None:
    """werf: ``from`` is an image, ``fromImage`` one of its own."""
    for document in documents(source, found):
        _image(source, found, get(document, "from"), "from")
        for number, node in enumerate(items(get(document, "import"))):
            value = get(node, "from")
            _image(source, found, value, f"import[{number}].from")


def read_ko(source: Source, found: Collector, context: Context) -> None:
    """ko: the base image and its overrides."""
    for document in documents(source, found):
        base = get(document, "defaultBaseImage")
        _image(source, found, base, "defaultBaseImage")
        for name, node in entries(get(document, "baseImageOverrides")):
            _image(source, found, node, f"baseImageOverrides.{name}")
        start = source.whole().part(0, 0)
        found.cause("file", "ko", start, attributes={"base": text_of(base) or ""})


def read_blubber(source: Source, found: Collector, context: Context) -> None:
    """Blubber: bases, and where variants copy or mount from, unless it is a variant."""
    for document in documents(source, found):
        variants = {name for name, _ in entries(get(document, "variants"))}
        whole = [("", document)]
        whole += [(f"variants.{n}.", v) for n, v in entries(get(document, "variants"))]
        for key, node in whole:
            _image(source, found, get(node, "base"), f"{key}base")
            for what in ("copies", "requirements", "mounts"):
                for number, item in enumerate(_lists(node, what)):
                    origin = get(item, "from") if is_map(item) else item
                    name = text_of(origin) or ""
                    if origin is None or name in variants or name in ("", "local"):
                        continue
                    if is_map(item) or ("/" in name and ":" in name):
                        _image(source, found, origin, f"{key}{what}[{number}].from")


def _lists(node: Node, name: str) -> list[Node]:
    """A list at the top of a variant, and the same list inside its builders."""
    found = items(get(node, name))
    for builder in items(get(node, "builders")):
        for _, inner in entries(builder):
            found += items(get(inner, name))
    for _, inner in entries(node):
        if is_map(inner):
            found += items(get(inner, name))
    return found


def read_docker_pkg(source: Source, found: Collector, context: Context) -> None:
    """docker-pkg's configuration: images that are pulled before the build."""
    for document in documents(source, found):
        values = context.scopes.setdefault(source.path.rpartition("/")[0], {})
        for name, node in entries(document):
            if text_of(node) is not None:
                values.setdefault(name, written(source, node))
        for number, node in enumerate(items(get(document, "base_images"))):
            _image(source, found, node, f"base_images[{number}]")


def read_earthfile(source: Source, found: Collector, context: Context) -> None:
    """Earthfiles: bases and images pulled into ``WITH DOCKER``; targets hold a ``+``."""
    whole = source.whole()
    variables: dict[str, list[Feed]] = {}
    attributes = {"with": "", "cache": ""}
    for match in _EARTH.finditer(source.text):
        rest = whole.part(match.start("rest"), match.end("rest")).stripped()
        match match.group("word"):
            case "FROM":
                _earthly_from(found, rest, variables)
            case "ARG":
                name, equals, value = rest.text.rpartition(" ")[2].partition("=")
                if equals and value:
                    variables[name] = [feed(name, rest.part(rest.text.rfind("=") + 1), shared=True)]
            case "WITH DOCKER":
                attributes["with"] = "docker"
                end = source.text.find("\n", rest.end)
                for pull in _PULL.finditer(rest.text):
                    found.image(rest.part(*pull.span(1)), "WITH DOCKER --pull")
                del end
            case "CACHE" if "--persist" in rest.text:
                attributes["cache"] = "persist"
            case "SAVE IMAGE":
                found.produces(rest.text.rpartition(" ")[2], f"{source.path}: SAVE IMAGE")
    read_commands(whole, found, "RUN")
    first = source.text.find("\n")
    line = whole.part(0, len(source.text) if first < 0 else first)
    found.cause("file", "earthfile", line, attributes=attributes)


def _earthly_from(found: Collector, rest: Written, variables: dict[str, list[Feed]]) -> None:
    words = [m for m in re.finditer(r"\S+", rest.text) if not m.group().startswith("--")]
    if not words or "+" in words[0].group() or words[0].group() in ("scratch", "DOCKERFILE"):
        return
    value = rest.part(words[0].start(), words[0].end())
    for outcome in outcomes(value, cut_compose, among(variables)):
        found.image(value, "FROM", outcome=outcome)


def read_project(source: Source, found: Collector, context: Context) -> None:
    """``project.toml`` of buildpacks: the builder."""
    document = toml.document(source, found)
    for path in (("build", "builder"), ("_", "builder"), ("io", "buildpacks", "builder")):
        _image(source, found, get(document, *path), ".".join(path))
