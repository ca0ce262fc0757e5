"""``docker buildx bake`` files, HCL and JSON: contexts, arguments, caches, attestations.

Literals, variables with their defaults, ``inherits`` and a literal ``matrix`` are
followed; functions and for-expressions are not evaluated and reported as such.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

import msgspec

from homeport.audit.formats import hcl, json
from homeport.audit.formats.yaml import Node, entries, get, items, text_of, written
from homeport.audit.model import Feed
from homeport.audit.readers import dockerfile
from homeport.audit.readers.buildkeys import read_attest, read_cache, read_context, read_sbom
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.context import BuildCall, Context, resolve
from homeport.audit.reading.variables import Outcome, among, feed
from homeport.audit.source import Source, Written

_MOST_PARENTS = 20


class _File(msgspec.Struct, frozen=True):
    source: Source
    found: Collector
    context: Context
    targets: dict[str, Node] = msgspec.field(default_factory=dict)
    variables: dict[str, list[Feed]] = msgspec.field(default_factory=dict)

    def values(self, node: Node, more: dict[str, list[Feed]]) -> tuple[Written, list[Outcome]]:
        return hcl.values(self.source, node, among(more, self.variables))


def read(source: Source, found: Collector, context: Context) -> None:
    """Report every image of a bake file."""
    parse = json if source.name.endswith(".json") else hcl
    root = parse.document(source, found)
    file = _File(source, found, context)
    for name, variable in _blocks(root, "variable"):
        default = get(variable, "default")
        if default is not None and text_of(default) and not _is_null(file, default):
            note = f"the environment variable {name} wins"
            file.variables[name] = [feed(name, written(source, default), note=note, shared=True)]
    file.targets.update(_blocks(root, "target"))
    for name, target in file.targets.items():
        _target(file, f"target.{name}", target)


def _is_null(file: _File, node: Node) -> bool:
    """Whether it is the word ``null``: then the Dockerfile's own default holds."""
    value = written(file.source, node)
    return value.text == "null" and file.source.text[value.start - 1 : value.start] != '"'


def _blocks(root: Node | None, kind: str) -> Iterator[tuple[str, Node]]:
    """Blocks of a kind by label; HCL writes each on its own, JSON as one map."""
    for key, node in entries(root):
        if key == kind:
            yield from entries(node)


def _inherited(file: _File, target: Node) -> Iterator[Node]:
    """A target and those that it inherits from, the strongest first, each once."""
    waiting = [target]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_PARENTS:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        names = [text_of(parent) or "" for parent in items(get(node, "inherits"))]
        waiting += [file.targets[name] for name in names if name in file.targets]


def _target(file: _File, key: str, target: Node) -> None:
    found = file.found
    matrix = {
        name: [feed(name, written(file.source, item)) for item in items(node) if text_of(item)]
        for name, node in entries(get(target, "matrix"))
    }
    for name, node in entries(get(target, "contexts")):
        value, outcomes = file.values(node, matrix)
        for outcome in outcomes:
            read_context(value, found, f"{key}.contexts.{name}", outcome)
    for what in ("cache-from", "attest"):
        listed = get(target, what)
        for number, item in enumerate(items(listed) or ([listed] if listed is not None else [])):
            _entry(file, f"{key}.{what}[{number}]", item)
    inline = get(target, "dockerfile-inline")
    if inline is not None and text_of(inline):
        dockerfile.read_text(written(file.source, inline), found, f"{key}.dockerfile-inline")
    for tag in items(get(target, "tags")):
        for outcome in file.values(tag, matrix)[1]:
            found.produces(outcome.value, f"{file.source.path}: {key}")
    _call(file, key, target, matrix)


def _entry(file: _File, key: str, item: Node) -> None:
    """A cache or an attestation, as text or (newer) as a map."""
    if text_of(item):
        value = written(file.source, item)
        (read_attest if "attest" in key else read_cache)(value, file.found, key)
        return
    kind = text_of(get(item, "type")) or ""
    name = "generator" if kind == "sbom" else "ref"
    node = get(item, name)
    if node is not None and kind in ("sbom", "registry"):
        value = written(file.source, node)
        if kind == "sbom":
            file.found.image(value, f"{key}.generator")
        else:
            file.found.image(value, f"{key}.ref", confidence="medium", note="a build cache")
    elif kind == "sbom":
        value = written(file.source, get(item, "type") or item)
        file.found.cause("sbom", "buildkit", value, key=key, attributes={"value": "type=sbom"})


def _call(file: _File, key: str, target: Node, matrix: dict[str, list[Feed]]) -> None:
    args: dict[str, Written] = {}
    contexts: set[str] = set()
    where = name = ""
    inline = False
    for node in _inherited(file, target):
        for arg, default in entries(get(node, "args")):
            if text_of(default) is None or arg in args:
                continue
            value, outcomes = file.values(default, matrix)
            known = [outcome for outcome in outcomes if not outcome.problem]
            if known:
                same = value.text == known[0].value
                args[arg] = msgspec.structs.replace(
                    value, text=known[0].value, exact=value.exact and same
                )
        contexts.update(context for context, _ in entries(get(node, "contexts")))
        where = where or text_of(get(node, "context")) or ""
        name = name or text_of(get(node, "dockerfile")) or ""
        inline = inline or get(node, "dockerfile-inline") is not None
    syntax = get(target, "args", "BUILDKIT_SYNTAX")
    if syntax is not None and text_of(syntax):
        value, outcomes = file.values(syntax, matrix)
        for outcome in outcomes:
            file.found.image(value, f"{key}.args.BUILDKIT_SYNTAX", outcome=outcome)
    sbom = get(target, "args", "BUILDKIT_ATTEST_SBOM")
    if sbom is not None and text_of(sbom):
        read_sbom(written(file.source, sbom), file.found, f"{key}.args.BUILDKIT_ATTEST_SBOM")
    where = where or "."
    if inline or "://" in where or "$" in where + name:
        return
    named = resolve(file.source, posixpath.join(where, name or "Dockerfile"))
    if named is not None:
        file.found.names_dockerfile(named)
        file.context.calls.append(
            BuildCall(dockerfile=named, args=args, contexts=tuple(contexts), kind="bake", key=key)
        )
