"""GitHub Actions, and Gitea and Forgejo, which read the same files: workflows and actions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec
import yaml

from homeport.audit.formats.yaml import (
    Node,
    documents,
    entries,
    get,
    is_map,
    items,
    text_of,
    written,
)
from homeport.audit.model import Feed, Insertion
from homeport.audit.readers.buildkeys import read_attest, read_cache, read_context, read_sbom
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.commands import read_commands
from homeport.audit.reading.context import BuildCall, Context, resolve
from homeport.audit.reading.variables import Outcome, among, cut_by, feed, outcomes
from homeport.audit.source import Source, Written

_EXPRESSION = re.compile(
    r"\$\{\{\s{0,99}+([A-Za-z_][\w.-]{0,200}+)\s{0,99}+\}\}|\$\{\{(?:(?!\$\{\{|\}\}).){0,1000}\}\}",
    re.DOTALL,
)
_DOCKER = "docker://"
_MOST_NAMES = 50  # of a matrix, whose other uses are counted
#: In ``append`` the options of a driver are a list in YAML, or one of its items.
_OPTIONS_LIST = re.compile(
    r"^\s{0,99}(?:-\s{0,9})?(?:driver-opts:\s{0,9})?(?:\[|-)?\s{0,9}['\"]?(?=image=)"
)
_IMAGE_OPTION = re.compile(
    r"(?:^|,)\s{0,99}+\"?(?:env\.)?image=((?:\$\{\{[^{}]{0,200}+\}\}|[^,\"\s])+)"
)

Values = dict[str, list[Feed]]


class _File(msgspec.Struct, frozen=True):
    source: Source
    found: Collector
    context: Context
    env: Values = msgspec.field(default_factory=dict)
    mentions: dict[str, bool] = msgspec.field(default_factory=dict)

    def values(self, value: Written, *tables: Mapping[str, Sequence[Feed]]) -> list[Outcome]:
        return outcomes(value, cut_by(_EXPRESSION), among(*tables, self.env))

    def image(self, node: Node, key: str, *tables: Mapping[str, Sequence[Feed]]) -> None:
        if text_of(node) is None:
            return
        value = written(self.source, node)
        if value.text.startswith(_DOCKER):
            value = value.after(_DOCKER)
        for outcome in self.values(value, *tables):
            self.found.image(value, key, outcome=outcome)


def read(source: Source, found: Collector, context: Context) -> None:
    """Report every image of a workflow or an action."""
    for document in documents(source, found):
        file = _File(source, found, context, _env(source, document, "env"))
        for name, node in entries(get(document, "inputs")):
            default = get(node, "default")
            if default is not None and text_of(default):
                file.env[f"inputs.{name}"] = [feed(name, written(source, default), shared=True)]
        for name, job in entries(get(document, "jobs")):
            _job(file, f"jobs.{name}", job)
        _action(file, get(document, "runs"))


def _env(source: Source, node: Node | None, prefix: str) -> Values:
    found: Values = {}
    for name, value in entries(get(node, "env")):
        if text_of(value) is not None:
            found[f"{prefix}.{name}"] = [feed(name, written(source, value), shared=True)]
    return found


def _action(file: _File, runs: Node | None) -> None:
    if text_of(get(runs, "using")) == "docker" and (image := get(runs, "image")):
        text = text_of(image) or ""
        if text.startswith(_DOCKER):
            file.image(image, "runs.image")
        elif (named := resolve(file.source, text)) is not None:
            file.found.names_dockerfile(named)
    _steps(file, "runs", runs, {})


def _job(file: _File, key: str, job: Node) -> None:
    matrix = _matrix(file, get(job, "strategy", "matrix"))
    matrix.update(_env(file.source, job, "env"))
    container = get(job, "container")
    image = get(container, "image") if is_map(container) else container
    if image is not None:
        name = f"{key}.container" + (".image" if is_map(container) else "")
        file.image(image, name, matrix)
    for name, service in entries(get(job, "services")):
        if (image := get(service, "image")) is not None:
            file.image(image, f"{key}.services.{name}.image", matrix)
    runner = text_of(get(job, "runs-on"))
    if runner:
        node = get(job, "runs-on")
        assert node is not None
        forge = file.source.path.rpartition("/workflows/")[0].rpartition(".")[2]
        file.found.cause("runner", runner, written(file.source, node), key=f"{key}.runs-on",
                         attributes={"forge": forge})  # fmt: skip
    _steps(file, key, job, matrix)
    _called(file, key, job)


def _called(file: _File, key: str, job: Node) -> None:
    """A workflow that is called; one of this repository is read by itself."""
    uses = get(job, "uses")
    text = text_of(uses) or ""
    if uses is None or not text or text.startswith("./"):
        return
    repository = "/".join(text.partition("@")[0].split("/")[:2])
    ref = text.partition("@")[2]
    inputs = {key: text_of(node) or "" for key, node in entries(get(job, "with"))}
    file.found.cause("workflow", text.partition("@")[0], written(file.source, uses),
                     key=f"{key}.uses", version=ref, attributes=inputs)  # fmt: skip
    hint = f"audit a checkout of {repository}" + (f" at {ref}" if ref else "") + " too"
    file.found.not_followed(written(file.source, uses), f"{key}.uses", text, hint)


def _matrix(file: _File, matrix: Node | None) -> Values:
    found: Values = {}
    mentions = file.mentions

    def add_value(name: str, node: Node) -> None:
        # A value that is used in more than one place means more than an image.
        if name not in mentions:
            known = len(mentions) < _MOST_NAMES
            mention = rf"\b{re.escape(name)}\b"
            mentions[name] = not known or len(re.findall(mention, file.source.text)) > 1
        value = feed(name, written(file.source, node), shared=mentions[name])
        found.setdefault(name, []).append(value)

    def add(name: str, node: Node) -> None:
        if text_of(node) is not None:
            add_value(name, node)
        for key, value in entries(node):
            if text_of(value) is not None:
                add_value(f"{name}.{key}", value)

    for name, node in entries(matrix):
        if name == "include":
            for row in items(node):
                for key, value in entries(row):
                    add(f"matrix.{key}", value)
        elif name != "exclude":
            for value in items(node):
                add(f"matrix.{name}", value)
    return found


def _steps(file: _File, key: str, job: Node | None, matrix: Values) -> None:
    for number, step in enumerate(items(get(job, "steps"))):
        path = f"{key}.steps[{number}]"
        uses = get(step, "uses")
        if uses is not None and (text := text_of(uses)):
            if text.startswith(_DOCKER):
                file.image(uses, f"{path}.uses", matrix)
            elif not text.startswith("."):
                _uses(file, path, step, matrix)
        run = get(step, "run")
        if run is not None and text_of(run):
            read_commands(written(file.source, run), file.found, f"{path}.run")


def _uses(file: _File, path: str, step: Node, matrix: Values) -> None:
    uses = get(step, "uses")
    assert uses is not None
    value = written(file.source, uses)
    name, _, version = value.text.partition("@")
    inputs = {key: node for key, node in entries(get(step, "with")) if text_of(node) is not None}
    if name.lower() == "docker/build-push-action":
        _build_call(file, path, inputs)
    for key, node in inputs.items():
        _input(file, name.lower(), written(file.source, node), f"{path}.with.{key}", matrix)
    if installed := text_of(inputs.get("version")):
        place = written(file.source, inputs["version"])
        file.found.cause("setup", name.lower(), place, key=f"{path}.with", version=installed)
    file.found.cause(
        "action", name.lower(), value, key=f"{path}.uses", version=version,
        attributes={key: text_of(node) or "" for key, node in inputs.items()},
        insertion=_insertion(file.source, step, uses, inputs),
    )  # fmt: skip


def _build_call(file: _File, path: str, inputs: Mapping[str, Node]) -> None:
    """The Dockerfile that build-push-action builds, with its arguments and named contexts."""
    where = (text_of(inputs.get("context")) or ".").rstrip("/")
    name = text_of(inputs.get("file")) or f"{where}/Dockerfile"
    # Paths begin at the root of the repository that the workflow belongs to.
    root = file.source.path.partition(".github/")[0]
    named = resolve(Source(root, b""), name)
    if named is None or "${{" in name or "://" in name:
        return
    lines: dict[str, dict[str, Written]] = {"build-args": {}, "build-contexts": {}}
    for key, found in lines.items():
        if key in inputs:
            for line in (part.stripped() for part in written(file.source, inputs[key]).lines()):
                left, equals, _ = line.text.partition("=")
                if equals and "${{" not in line.text:
                    found[left] = line.part(len(left) + 1)
    file.found.names_dockerfile(named)
    file.context.calls.append(
        BuildCall(
            dockerfile=named, args=lines["build-args"], contexts=tuple(lines["build-contexts"]),
            kind="github", key=path,
        )
    )  # fmt: skip


def _value(file: _File, value: Written, key: str, matrix: Values) -> None:
    for outcome in file.values(value, matrix):
        file.found.image(value, key, outcome=outcome)


def _input(file: _File, action: str, value: Written, key: str, matrix: Values) -> None:
    """Images inside the inputs of actions that are known to take some."""
    name = key.rpartition(".")[2]
    match action, name:
        case "docker/metadata-action", "images":
            for line in value.lines():
                file.found.produces(f"{line.text.strip()}:$TAG", f"{file.source.path}: {key}")
        case "docker/setup-qemu-action", "image":
            _value(file, value, key, matrix)
        case "docker/setup-buildx-action", ("driver-opts" | "append"):
            for line in value.lines():
                text = _OPTIONS_LIST.sub(_blanks, line.text) if name == "append" else line.text
                for match in _IMAGE_OPTION.finditer(text):
                    _value(file, line.part(match.start(1), match.end(1)), key, matrix)
        case (("docker/build-push-action" | "docker/bake-action"), _):
            _build_input(file.found, name, value, key)
        case ("addnab/docker-run-action", "image") | ("helm/kind-action", "node_image"):
            _value(file, value, key, matrix)


def _blanks(match: re.Match[str]) -> str:
    return " " * len(match.group())


def _build_input(found: Collector, name: str, value: Written, key: str) -> None:
    for line in (part.stripped() for part in value.lines()):
        left, equals, _ = line.text.partition("=")
        rest = line.part(len(left) + 1) if equals else line
        argument = left.strip().rpartition("args.")[2]
        match name:
            case "tags" if line.text:
                found.produces(line.text, f"{found.source.path}: {key}")
            case "build-contexts":
                read_context(rest, found, key)
            case "build-args" | "set" if argument == "BUILDKIT_SYNTAX":
                found.image(rest, key)
            case "build-args" | "set" if argument == "BUILDKIT_ATTEST_SBOM":
                read_sbom(rest, found, key)
            case "attests":
                read_attest(line, found, key)
            case "sbom" if "generator=" in line.text:
                read_attest(line, found, key)
            case "cache-from":
                if "type=registry" in line.text or "=" not in line.text:
                    read_cache(line, found, key)
            case "set" if ".contexts." in left:
                read_context(rest, found, key)
            case "set" if left.endswith(".attest"):
                read_attest(rest, found, key)


def _insertion(
    source: Source, step: Node, uses: Node, inputs: Mapping[str, Node]
) -> Insertion | None:
    """Where an input can be added: before the first one, or as a new ``with:``."""
    if not isinstance(step, yaml.MappingNode) or step.flow_style:
        return None
    existing = {key: text_of(node) or "" for key, node in inputs.items()}
    shift = 1 if source.text.startswith("\ufeff") else 0
    with_node = next((v for k, v in step.value if k.value == "with"), None)
    newline = "\r\n" if "\r\n" in source.text else "\n"
    if with_node is None:
        key = next((k for k, _ in step.value if k.value == "uses"), None)
        if key is None:
            return None
        end = uses.end_mark.index + shift
        line_end = source.text.find("\n", end)
        line_end = len(source.text) if line_end < 0 else line_end
        if source.text[line_end - 1 : line_end] == "\r":
            line_end -= 1
        indent = " " * key.start_mark.column
        text = f"{newline}{indent}with:{newline}{indent}  {{name}}: {{value}}"
        return Insertion(at=source.byte(line_end), text=text)
    if not isinstance(with_node, yaml.MappingNode) or with_node.flow_style or not with_node.value:
        return None
    first = with_node.value[0][0]
    at = source.byte(first.start_mark.index + shift)
    text = f"{{name}}: {{value}}{newline}{' ' * first.start_mark.column}"
    places = {
        key: value.place
        for key, node in inputs.items()
        if (value := written(source, node)).exact and value.quoting != "block"
    }
    return Insertion(at=at, text=text, existing=existing, places=places)
