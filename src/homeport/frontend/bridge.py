"""The engine as a frontend sees it: solve a graph, read files of the result, return images.

Messages after BuildKit's frontend/gateway/pb/gateway.proto, by field number; only what is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from homeport.buildkit.llb import ops
from homeport.buildkit.llb.marshal import digest_of, marshal
from homeport.buildkit.llb.state import Node, State
from homeport.buildkit.protobuf import (
    changed,
    decode,
    flag,
    message,
    number,
    part,
    part_map,
    parts,
    raw,
    raw_map,
    text,
)
from homeport.buildkit.protocol import go_filemode
from homeport.buildkit.protocol.control import Stat
from homeport.buildkit.protocol.gateway import BRIDGE, RpcStatus
from homeport.errors import HomeportError, TooLarge
from homeport.frontend.pipe_calls import PipeCalls
from homeport.quantities import human_size

#: Of one file that the engine is asked for: one message must hold it.
_LARGEST_FILE = 15 << 20
#: Of one folder, with what is below.
_MOST_FILES = 2_000
_INVALID_ARGUMENT = 3


@message
class Ref:
    """The result of a graph, by the engine's name for it."""

    id: str = text(1)
    definition: ops.Definition | None = part(2, lambda: ops.Definition)


@message
class RefMap:
    refs: Mapping[str, Ref] = part_map(1, lambda: Ref)


@message
class Attestation:
    """``kind`` 0 is in-toto; the empty subject is the image itself."""

    kind: int = number(1)
    metadata: Mapping[str, bytes] = raw_map(2)
    ref: Ref | None = part(3, lambda: Ref)
    path: str = text(4)
    predicate_type: str = text(5)
    subjects: tuple[Empty, ...] = parts(6, lambda: Empty)


@message
class Attestations:
    attestation: tuple[Attestation, ...] = parts(1, lambda: Attestation)


@message
class Result:
    ref: Ref | None = part(3, lambda: Ref)
    refs: RefMap | None = part(4, lambda: RefMap)
    metadata: Mapping[str, bytes] = raw_map(10)
    attestations: Mapping[str, Attestations] = part_map(12, lambda: Attestations)


@message
class Empty:
    """A message of which nothing is set."""

    kind: int = number(1)


@message
class _SolveRequest:
    definition: ops.Definition | None = part(1, lambda: ops.Definition)
    allow_result: bool = flag(5)
    allow_array: bool = flag(6)
    evaluate: bool = flag(14)


@message
class _SolveResponse:
    result: Result | None = part(3, lambda: Result)


@message
class _ReadFileRequest:
    ref: str = text(1)
    path: str = text(2)


@message
class _ReadFileResponse:
    data: bytes = raw(1)


@message
class _ReadDirRequest:
    ref: str = text(1)
    path: str = text(2)


@message
class _ReadDirResponse:
    entries: tuple[Stat, ...] = parts(1, lambda: Stat)


@message
class _ReturnRequest:
    result: Result | None = part(1, lambda: Result)
    error: RpcStatus | None = part(2, lambda: RpcStatus)


class Bridge:
    """Calls of the gateway, with values in place of messages."""

    def __init__(self, calls: PipeCalls) -> None:
        self._calls = calls

    def solve(self, state: State) -> Ref:
        """Run a graph to its end. Raises ``CallRefused`` with the engine's reason."""
        request = _SolveRequest(
            definition=marshal(state), allow_result=True, allow_array=True, evaluate=True
        )
        result = decode(_SolveResponse, self._calls.call("Solve", request)).result
        return (result.ref if result else None) or Ref()

    def read_file(self, ref: Ref, path: str) -> bytes:
        """A whole file of a result."""
        request = _ReadFileRequest(ref=ref.id, path=path)
        return decode(_ReadFileResponse, self._calls.call("ReadFile", request)).data

    def fetch(self, ref: Ref, folder: Path) -> None:
        """Write all files of a result below ``folder``; links are left out.

        Raises ``TooLarge``.
        """
        count = 0
        pending = [""]
        while pending:
            below = pending.pop()
            request = _ReadDirRequest(ref=ref.id, path=below or "/")
            answer = decode(_ReadDirResponse, self._calls.call("ReadDir", request))
            for entry in answer.entries:
                name = entry.path.decode("utf-8", "replace").rpartition("/")[2]
                if name in ("", ".", ".."):
                    continue
                path = f"{below}/{name}"
                count += 1
                if count > _MOST_FILES:
                    raise TooLarge(f"more than {_MOST_FILES} files beside the recipe")
                if entry.mode & go_filemode.DIRECTORY:
                    (folder / path[1:]).mkdir()
                    pending.append(path)
                elif entry.mode >> 18 == 0:  # a regular file: no bit of a type is set
                    if entry.size > _LARGEST_FILE:
                        raise TooLarge(f"{path[1:]} is larger than {human_size(_LARGEST_FILE)}")
                    (folder / path[1:]).write_bytes(self.read_file(ref, path))

    def give(self, result: Result) -> None:
        """Hand the result to the engine."""
        self._calls.call("Return", _ReturnRequest(result=result))

    def refuse(self, text: str) -> None:
        """End the build with an error."""
        error = RpcStatus(code=_INVALID_ARGUMENT, message=text)
        self._calls.call("Return", _ReturnRequest(error=error))


def connect() -> Bridge:
    """The engine that started this process as a frontend, and was greeted."""
    return Bridge(PipeCalls(BRIDGE, greeted=True))


def graph_of(data: bytes) -> State:
    """A definition that was received, as a graph to build on. Raises ``HomeportError``."""
    definition = decode(ops.Definition, data)
    nodes: dict[str, State] = {}
    last: tuple[State, ...] = ()
    for each in definition.defs:
        op = decode(ops.Op, each)
        last = tuple(_output(nodes, one) for one in op.inputs)
        nodes[digest_of(each)] = State(Node(op=changed(op, inputs=()), inputs=last))
    if not last:
        raise HomeportError("the frontend's own image is missing in frontend.bin")
    return last[0]


def _output(nodes: Mapping[str, State], wanted: ops.Input) -> State:
    found = nodes.get(wanted.digest)
    if found is None:
        raise HomeportError(f"frontend.bin names an operation that it lacks: {wanted.digest}")
    return State(found.node, wanted.index)
