"""Any LLB, printed: as text for people, JSON for programs, dot for drawings.

Reads a marshalled Definition (what ``buildctl build`` and ``buildctl debug dump-llb`` take),
checks that it is one, and keeps the order of its operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from homeport.buildkit.llb.marshal import digest_of
from homeport.buildkit.llb.ops import Definition, Op, OpMetadata
from homeport.buildkit.protobuf import BadMessage, contents, decode
from homeport.content.reading import read_bounded
from homeport.errors import UsageError

LARGEST = 64 << 20
_KINDS = ("exec", "source", "file", "build", "merge", "diff")


class BadLlb(UsageError):
    """Not a marshalled LLB definition."""

    id = "llb"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One operation with its name, and what people know of it."""

    digest: str
    op: Op
    metadata: OpMetadata

    @property
    def kind(self) -> str:
        """ "result" is the last one, which only names its input."""
        return next((kind for kind in _KINDS if getattr(self.op, kind) is not None), "result")


def read_llb(source: str | BinaryIO) -> Definition:
    """The definition in a file or a stream (standard input). Raises ``BadLlb``, ``UsageError``."""
    if not isinstance(source, str):
        return read_definition(read_bounded(source, LARGEST, "standard input"))
    try:
        with open(source, "rb") as stream:
            return read_definition(read_bounded(stream, LARGEST, source))
    except OSError as error:
        raise UsageError(f"cannot read {source}: {error.strerror}") from error


def read_definition(data: bytes) -> Definition:
    """Raises ``BadLlb``."""
    try:
        definition = decode(Definition, data)
        for each in definition.defs:
            decode(Op, each)
    except BadMessage as error:
        raise BadLlb(f"not an LLB definition: {error.what}") from error
    if not definition.defs:
        raise BadLlb(
            "this holds no LLB operations",
            hint="LLB is made by homeport.buildkit.llb.state, or by BuildKit's client package",
        )
    return definition


def steps(definition: Definition) -> list[Step]:
    """The operations in their order. Raises ``BadLlb`` for an input that is missing."""
    found = []
    known: set[str] = set()
    for data in definition.defs:
        digest = digest_of(data)
        metadata = definition.metadata.get(digest, OpMetadata())
        found.append(Step(digest=digest, op=decode(Op, data), metadata=metadata))
        known.add(digest)
    for step in found:
        for each in step.op.inputs:
            if each.digest not in known:
                raise BadLlb(f"operation {step.digest} uses {each.digest}, which is missing")
    return found


def as_json(definition: Definition) -> dict[str, Any]:
    """docs/formats/llb.md."""
    return {
        "schema": "homeport-llb/v1",
        "operations": [
            {
                "digest": step.digest,
                "kind": step.kind,
                "op": _plain(step.op),
                "metadata": _plain(step.metadata),
            }
            for step in steps(definition)
        ],
    }


def as_text(definition: Definition) -> str:
    """One paragraph an operation; inputs by the numbers of earlier ones."""
    found = steps(definition)
    numbers = {step.digest: number for number, step in enumerate(found, 1)}
    lines = []
    for number, step in enumerate(found, 1):
        inputs = ", ".join(f"{numbers[each.digest]}.{each.index}" for each in step.op.inputs)
        lines.append(
            f"{number:>3} {step.kind:<7} {title(step)}" + (f"  ← {inputs}" if inputs else "")
        )
        lines.append(f"    {step.digest}")
        body = _plain(getattr(step.op, step.kind)) if step.kind != "result" else {}
        if step.op.platform is not None:
            body = {"platform": _plain(step.op.platform), **body}
        lines += [f"    {line}" for line in _indented(body)]
    return "\n".join(lines)


def as_dot(definition: Definition) -> str:
    """A graph for Graphviz."""
    shapes = {"source": "ellipse", "exec": "box", "file": "note", "result": "plaintext"}
    lines = ["digraph llb {", "  rankdir=LR;"]
    for step in steps(definition):
        label = title(step).replace("\\", "\\\\").replace('"', '\\"')
        shape = shapes.get(step.kind, "hexagon")
        lines.append(f'  "{step.digest}" [label="{label}" shape={shape}];')
        for each in step.op.inputs:
            mark = f' [label="{each.index}"]' if each.index else ""
            lines.append(f'  "{each.digest}" -> "{step.digest}"{mark};')
    return "\n".join([*lines, "}"])


def title(step: Step) -> str:
    """What the operation does, in a line."""
    if name := step.metadata.description.get("llb.customname"):
        return name
    op = step.op
    if op.source is not None:
        return op.source.identifier
    if op.exec is not None and op.exec.meta is not None:
        return " ".join(op.exec.meta.args)
    if op.file is not None:
        verbs = ("copy", "mkfile", "mkdir", "rm", "symlink")
        return ", ".join(
            verb for each in op.file.actions for verb in verbs if getattr(each, verb) is not None
        )
    return step.kind


def _plain(value: Any) -> Any:
    """A message as JSON, without what is not set; bytes as text where they are text."""
    fields = contents(value)
    if fields is not None:
        return {name: _plain(content) for name, content in fields.items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {key: _plain(content) for key, content in sorted(value.items())}
    return value


def _indented(value: Any, depth: int = 0) -> Iterator[str]:
    pad = "  " * depth
    items = value.items() if isinstance(value, dict) else (("-", each) for each in value)
    for key, content in items:
        if isinstance(content, (dict, list)) and content:
            yield f"{pad}{key}:" if key != "-" else f"{pad}-"
            yield from _indented(content, depth + 1)
        else:
            shown = content if not isinstance(content, str) else repr(content)
            yield f"{pad}{key}: {shown}" if key != "-" else f"{pad}- {shown}"
