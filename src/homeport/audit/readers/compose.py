"""Compose files: services, builds, image volumes and ``x-bake``."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from homeport.audit.formats.yaml import (
    Node,
    documents,
    entries,
    get,
    is_map,
    is_null,
    items,
    text_of,
    written,
)
from homeport.audit.model import Feed
from homeport.audit.readers import dockerfile
from homeport.audit.readers.buildkeys import read_cache, read_context, read_sbom
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.context import BuildCall, Context, resolve
from homeport.audit.reading.variables import Outcome, among, cut_compose, dotenv, feed, outcomes
from homeport.audit.source import Source, Written

#: Policies under which a service's image is pulled although it could be built.
_PULLS = ("always", "missing", "if_not_present", "daily", "weekly")


class _File(msgspec.Struct, frozen=True):
    """What stays the same while one file is read."""

    source: Source
    found: Collector
    context: Context
    variables: Mapping[str, Sequence[Feed]]

    def values(self, value: Written) -> list[Outcome]:
        return outcomes(value, cut_compose, among(self.variables))

    def image(self, node: Node, key: str) -> None:
        value = written(self.source, node)
        for outcome in self.values(value):
            self.found.image(value, key, outcome=outcome)


def read(source: Source, found: Collector, context: Context) -> None:
    """Report every image of a Compose file."""
    file = _File(source, found, context, environment(source, context))
    for document in documents(source, found):
        services = get(document, "services")
        for name, service in entries(services):
            _service(file, f"services.{name}", service)
        if services is None:
            # Version 1 of the format had the services at the top.
            for name, service in entries(document):
                if is_map(service) and (get(service, "image") or get(service, "build")):
                    _service(file, name, service)


def environment(source: Source, context: Context) -> dict[str, list[Feed]]:
    """The values of ``.env`` beside the file."""
    env = context.neighbour(source, ".env")
    if env is None:
        return {}
    return {
        name: [feed(name, value, shared=True, note=f"set in {env.path}; the environment wins")]
        for name, value in dotenv(env.whole())
    }


def _service(file: _File, key: str, service: Node) -> None:
    build = get(service, "build")
    image = get(service, "image")
    if image is not None and text_of(image):
        policy = text_of(get(service, "pull_policy")) or ""
        if build is not None and policy not in _PULLS:
            for outcome in file.values(written(file.source, image)):
                file.found.produces(outcome.value, f"{file.source.path}: {key}")
        else:
            file.image(image, f"{key}.image")
    if build is not None:
        _build(file, f"{key}.build", build)
    for number, volume in enumerate(items(get(service, "volumes"))):
        if text_of(get(volume, "type")) == "image" and (node := get(volume, "source")):
            file.image(node, f"{key}.volumes[{number}].source")


def _build(file: _File, key: str, build: Node) -> None:
    source, found = file.source, file.found
    inline = get(build, "dockerfile_inline")
    if inline is not None and text_of(inline):
        dockerfile.read_text(written(source, inline), found, f"{key}.dockerfile_inline")
    contexts = []
    for name, value in pairs(source, get(build, "additional_contexts")):
        contexts.append(name)
        for outcome in file.values(value):
            read_context(value, found, f"{key}.additional_contexts.{name}", outcome)
    for number, node in enumerate(items(get(build, "cache_from"))):
        read_cache(written(source, node), found, f"{key}.cache_from[{number}]")
    args = dict(_arguments(file, get(build, "args")))
    if "BUILDKIT_SYNTAX" in args:
        found.image(args["BUILDKIT_SYNTAX"], f"{key}.args.BUILDKIT_SYNTAX")
    if "BUILDKIT_ATTEST_SBOM" in args:
        read_sbom(args["BUILDKIT_ATTEST_SBOM"], found, f"{key}.args.BUILDKIT_ATTEST_SBOM")
    if (sbom := get(build, "sbom")) is not None and text_of(sbom):
        read_sbom(written(source, sbom), found, f"{key}.sbom")
    x_bake = get(build, "x-bake")
    for name, value in pairs(source, get(x_bake, "contexts")):
        contexts.append(name)
        read_context(value, found, f"{key}.x-bake.contexts.{name}")
    for number, node in enumerate(items(get(x_bake, "cache-from"))):
        read_cache(written(source, node), found, f"{key}.x-bake.cache-from[{number}]")
    where = text_of(build) or text_of(get(build, "context")) or "."
    if inline is None and "://" not in where and "$" not in where:
        path = posixpath.join(where, text_of(get(build, "dockerfile")) or "Dockerfile")
        named = resolve(source, path)
        if named is not None:
            found.names_dockerfile(named)
            file.context.calls.append(
                BuildCall(
                    dockerfile=named, args=args, contexts=tuple(contexts), kind="compose", key=key
                )
            )


def _arguments(file: _File, node: Node | None) -> Iterator[tuple[str, Written]]:
    """Build arguments with their values; one without a value has that of the environment."""
    for name, value in pairs(file.source, node):
        outcome = file.values(value)[0]
        yield name, _with_text(value, value.text if outcome.problem else outcome.value)
    names = [(name, value) for name, value in entries(node) if is_null(value)]
    names += [(text, item) for item in items(node) if (text := text_of(item)) and "=" not in text]
    for name, place in names:
        for given in file.variables.get(name, ()):
            yield name, _with_text(written(file.source, place), given.value)


def _with_text(value: Written, text: str) -> Written:
    if value.text == text:
        return value
    return msgspec.structs.replace(value, text=text, exact=False)


def pairs(source: Source, node: Node | None) -> Iterator[tuple[str, Written]]:
    """A map, or a list of ``k=v``."""
    for name, value in entries(node):
        if text_of(value) is not None:
            yield name, written(source, value)
    for item in items(node):
        text = written(source, item)
        name, equals, _ = text.text.partition("=")
        if equals:
            yield name, text.part(len(name) + 1)
