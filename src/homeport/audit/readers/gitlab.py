"""GitLab CI: images and services of jobs, with ``extends``, variables, matrix and inputs."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from homeport.audit.formats.yaml import (
    Node,
    column_of,
    documents,
    entries,
    get,
    is_map,
    items,
    text_of,
    whole_scalar,
    written,
)
from homeport.audit.model import Feed, Rewrite
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.commands import read_commands
from homeport.audit.reading.context import Context
from homeport.audit.reading.variables import Outcome, among, cut_by, feed, outcomes
from homeport.audit.source import Source, Written

_GLOBAL = frozenset(
    ("stages", "include", "variables", "workflow", "default", "image", "services", "cache",
     "before_script", "after_script", "spec", "types")
)  # fmt: skip
_SCRIPTS = ("before_script", "script", "after_script")
_VARIABLE = re.compile(
    r"\$\[\[\s{0,99}+(inputs\.[\w-]{1,200}+)[^\[\]]{0,400}+\]\]|\$\$|\$\{([A-Za-z_]\w*)\}|\$([A-Za-z_]\w*)|%([A-Za-z_]\w*)%"
)
_PROXY = re.compile(r"\$\{?CI_DEPENDENCY_PROXY(?:_DIRECT)?_GROUP_IMAGE_PREFIX\}?/")
_OWN = re.compile(r"\$\{?CI_(?:TEMPLATE_)?REGISTRY(?:_IMAGE)?\}?(?:[/:]|$)")
_OWN_REGISTRY = "the project's own registry"
_DEEPEST = 10
_MOST_NAMES = 50  # of matrices, whose other uses are counted


class _File(msgspec.Struct, frozen=True):
    source: Source
    found: Collector
    jobs: dict[str, Node] = msgspec.field(default_factory=dict)
    variables: dict[str, list[Feed]] = msgspec.field(default_factory=dict)
    mentions: dict[str, bool] = msgspec.field(default_factory=dict)

    def tables(self, *more: Mapping[str, Sequence[Feed]]) -> Sequence[Mapping[str, Sequence[Feed]]]:
        return (*more, self.variables)


def read(source: Source, found: Collector, context: Context) -> None:
    """Report every image of a GitLab CI file or of one that is included."""
    file = _File(source, found)
    every = list(documents(source, found))
    for document in every:
        _variables(file, document)
        _inputs(file, document)
        for name, node in entries(document):
            if name not in _GLOBAL and is_map(node):
                file.jobs[name] = node
        _included(file, document, context)
    _root_variables(file, context)
    for document in every:
        for key, part in (("", document), ("default", get(document, "default"))):
            _images(file, f"{key}." if key else "", part, file.tables())
            _scripts(file, key, part)
    extended = {name for node in file.jobs.values() for name in _extends(node)}
    for name, node in file.jobs.items():
        if name not in extended or not name.startswith("."):
            _job(file, name, node)
    _without_image(file, every)


def _without_image(file: _File, every: Sequence[Node]) -> None:
    """A job that no file gives an image runs in the runner's own; on GitLab.com in a public one."""
    named = [
        get(document, *path) for document in every for path in (("image",), ("default", "image"))
    ]
    included = any(get(document, "include") is not None for document in every)
    if any(named) or included:
        return
    for name, node in file.jobs.items():
        given = ("image", "extends", "trigger", "tags", "include", "inherit")
        if name.startswith(".") or any(get(node, key) is not None for key in given):
            continue
        script = get(node, "script")
        if script is not None:
            place = written(file.source, items(script)[0] if items(script) else script)
            file.found.cause("gitlab-job", "without-image", place, key=f"{name}.script")
            return


def _variables(file: _File, document: Node) -> None:
    for name, value in _variables_of(file, document):
        file.variables.setdefault(name, []).append(value)


def _variables_of(file: _File, node: Node | None) -> Iterator[tuple[str, Feed]]:
    for name, value in entries(get(node, "variables")):
        inner = get(value, "value") if is_map(value) else value
        if inner is not None and text_of(inner) is not None:
            note = f"a pipeline may set {name}"
            yield name, feed(name, written(file.source, inner), shared=True, note=note)


def _inputs(file: _File, document: Node) -> None:
    for name, node in entries(get(document, "spec", "inputs")):
        default = get(node, "default")
        if default is not None and text_of(default):
            value = feed(f"inputs.{name}", written(file.source, default), shared=True)
            file.variables[f"inputs.{name}"] = [value]


def _root_variables(file: _File, context: Context) -> None:
    """What the pipeline sets before it includes this file."""
    root = context.neighbour(Source("", b""), ".gitlab-ci.yml")
    if root is None or root.path == file.source.path:
        return
    for document in documents(root, Collector(root, "gitlab")):
        for name, value in _variables_of(_File(root, file.found), document):
            file.variables.setdefault(name, [value])


def _elsewhere(file: _File, key: str, node: Node) -> None:
    """Parts of the pipeline from another project, a server or GitLab itself."""

    def note(what: str, hint: str) -> None:
        file.found.not_followed(written(file.source, node), key, what, hint)

    text = text_of(node) or ""
    if "://" in text and not is_map(node):
        note(text, "download it and audit the file")
    if remote := text_of(get(node, "remote")):
        note(remote, "download it and audit the file")
    if project := text_of(get(node, "project")):
        named = [text_of(item) for item in items(get(node, "file"))] or [text_of(get(node, "file"))]
        ref = text_of(get(node, "ref"))
        at = f" at {ref}" if ref else ""
        files = ", ".join(name for name in named if name)
        note(f"{project}{at}: {files}", "audit a checkout of that project too")
    if component := text_of(get(node, "component")):
        note(component, "audit a checkout of the component's project too")
    if template := text_of(get(node, "template")):
        note(f"GitLab's template {template}", "its images come with GitLab's version")


def _included(file: _File, document: Node, context: Context) -> None:
    """Templates and local includes; images there are reported with that file."""
    include = get(document, "include")
    for node in items(include) or ([include] if include is not None else []):
        if template := text_of(get(node, "template")):
            value = written(file.source, get(node, "template") or node)
            file.found.cause("gitlab-template", template, value, key="include.template")
        _elsewhere(file, "include", node)
        path = text_of(get(node, "local")) or text_of(node)
        if not path or "://" in path or "*" in path:
            continue
        file.found.named.append((path.lstrip("/"), "gitlab"))
        # Paths of includes begin at the root of the repository.
        other = context.neighbour(Source("", b""), path.lstrip("/"))
        if other is None or other.path == file.source.path:
            continue
        included = _File(other, Collector(other, "gitlab", file.found.programs))
        for inner in documents(other, included.found):
            for name, feed_ in _variables_of(included, inner):
                file.variables.setdefault(name, [feed_])


def _extends(node: Node) -> list[str]:
    extends = get(node, "extends")
    names = [text_of(item) for item in items(extends)] or [text_of(extends)]
    return [name for name in names if name]


def _chain(file: _File, name: str, node: Node, depth: int = 0) -> Iterator[tuple[str, Node]]:
    """A job and what it extends, the strongest first."""
    yield name, node
    if depth < _DEEPEST:
        for parent in reversed(_extends(node)):
            if parent in file.jobs:
                yield from _chain(file, parent, file.jobs[parent], depth + 1)


def _job(file: _File, name: str, node: Node) -> None:
    child = get(node, "trigger", "include")
    for part in items(child) or ([child] if child is not None else []):
        _elsewhere(file, f"{name}.trigger.include", part)
        path = text_of(get(part, "local")) or text_of(part) or ""
        if path and "://" not in path and "$" not in path:
            file.found.named.append((path.lstrip("/"), "gitlab"))
    chain = list(itertools.islice(_chain(file, name, node), 50))
    variables: dict[str, list[Feed]] = {}
    for _, part in reversed(chain):
        variables.update({k: [v] for k, v in _variables_of(file, part)})
    matrix: dict[str, list[Feed]] = {}
    mentions = file.mentions
    for row in items(get(node, "parallel", "matrix")):
        for key, values in entries(row):
            if key not in mentions:
                known = len(mentions) < _MOST_NAMES
                mention = rf"[${{%]{re.escape(key)}\b"
                mentions[key] = not known or len(re.findall(mention, file.source.text)) > 1
            shared = mentions[key]
            for value in items(values) or [values]:
                if text_of(value) is not None:
                    one = feed(key, written(file.source, value), shared=shared)
                    matrix.setdefault(key, []).append(one)
    tables = file.tables(matrix, variables)
    for what in ("image", "services"):
        owner = next(((n, p) for n, p in chain if get(p, what) is not None), None)
        if owner is not None:
            _images(file, f"{owner[0]}.", owner[1], tables, only=what)
    for part_name, part in chain:
        _scripts(file, part_name, part)


def _images(
    file: _File,
    prefix: str,
    node: Node | None,
    tables: Sequence[Mapping[str, Sequence[Feed]]],
    *,
    only: str = "",
) -> None:
    if only != "services" and (image := get(node, "image")) is not None:
        _image(file, f"{prefix}image", image, tables)
    if only != "image":
        for number, service in enumerate(items(get(node, "services"))):
            alias = get(service, "alias") is not None
            _image(file, f"{prefix}services[{number}]", service, tables, service=not alias)


def _image(
    file: _File,
    key: str,
    node: Node,
    tables: Sequence[Mapping[str, Sequence[Feed]]],
    *,
    service: bool = False,
    owner: Node | None = None,
) -> None:
    if is_map(node):
        name = get(node, "name")
        if name is not None:
            _image(file, f"{key}.name", name, tables, service=service, owner=node)
        return
    if text_of(node) is None:
        return
    named = _Named(file.source, node, owner) if service else None
    _expression(file, key, written(file.source, node), tables, named)


#: What follows the name of an image without a digest.
_TAG = re.compile(r":[^:/]{0,200}$")


class _Named(msgspec.Struct, frozen=True):
    """A service without an alias: jobs reach it under a name that is made of its image's."""

    source: Source
    node: Node
    owner: Node | None

    def rewrite(self, image: str) -> Rewrite | None:
        """The same service with its name as an alias, for another image."""
        name = _TAG.sub("", image.partition("@")[0])
        # The runner leaves the port of a registry out (helpers/container/services).
        host, slash, rest = name.partition("/")
        name = f"{host.partition(':')[0]}{slash}{rest}"
        names = dict.fromkeys((name.replace("/", "__"), name.replace("/", "-")))
        alias = f'alias: "{",".join(names)}"'
        start, end = whole_scalar(self.source, self.node)
        old = self.source.text[start:end]
        scalar = "{scalar}" if old[:1] in ("'", '"') else '"{scalar}"'
        if self.owner is None:
            text = f"{{name: {scalar}, {alias}}}"
        elif getattr(self.owner, "flow_style", False):
            text = f"{{scalar}}, {alias}"
        else:
            key = next(k for k, v in self.owner.value if v is self.node)
            newline = "\r\n" if "\r\n" in self.source.text else "\n"
            text = f"{{scalar}}{newline}{' ' * column_of(self.source, key)}{alias}"
        return Rewrite(place=self.source.place(start, end), old=old, text=text)


def _expression(
    file: _File,
    key: str,
    value: Written,
    tables: Sequence[Mapping[str, Sequence[Feed]]],
    named: _Named | None = None,
) -> None:
    if _OWN.match(value.text):
        file.found.image(value, key, problem=_OWN_REGISTRY, internal=_OWN_REGISTRY)
        return
    via = ""
    if proxy := _PROXY.match(value.text):
        value, via = value.part(proxy.end()), "GitLab's dependency proxy"
    for outcome in outcomes(value, cut_by(_VARIABLE), among(*tables)):
        if proxied := _PROXY.match(outcome.value):
            outcome = Outcome(  # noqa: PLW2901  the same value behind the proxy
                value=outcome.value[proxied.end() :], problem=outcome.problem, feeds=outcome.feeds
            )
            file.found.image(value, key, outcome=outcome, via="GitLab's dependency proxy")
        elif _OWN.match(outcome.value):
            file.found.image(value, key, problem=_OWN_REGISTRY, internal=_OWN_REGISTRY)
        else:
            rewrite = named.rewrite(outcome.value) if named and not outcome.problem else None
            file.found.image(value, key, outcome=outcome, via=via, rewrite=rewrite)


def _scripts(file: _File, key: str, node: Node | None) -> None:
    for name in _SCRIPTS:
        script = get(node, name)
        for item in items(script) or ([script] if script is not None else []):
            for line in items(item) or [item]:
                if text_of(line):
                    path = f"{key}.{name}" if key else name
                    read_commands(written(file.source, line), file.found, path)
