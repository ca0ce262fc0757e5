"""What can go wrong with an engine, and gRPC's errors mapped to it, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from homeport.buildkit.protobuf import BadMessage, split
from homeport.errors import HomeportError

_DETAIL_LIMIT = 1 << 20


class EngineUnreachable(HomeportError):
    """No engine answers there; another may."""

    id = "engine-unreachable"
    retryable = True


class EngineLost(HomeportError):
    """The engine was there and went away before the work was done."""

    id = "engine-lost"
    retryable = True


class EngineRefused(HomeportError):
    """The engine answered that it cannot or will not. ``status`` is gRPC's name for why."""

    id = "engine-refused"

    def __init__(self, what: str, *, status: str = "", **more: Any) -> None:
        super().__init__(what, **more)
        self.status = status


class EngineTooOld(EngineRefused):
    """This engine cannot do that at all."""

    id = "engine-too-old"


class BuildFailed(EngineRefused):
    """A step of the build, or the Dockerfile itself, is wrong.

    quotation: the Dockerfile's lines with a caret, or nothing
    log:       the last lines that the failed step printed
    """

    id = "build-failed"
    quotation: str = ""
    log: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        found = super().to_json()
        if self.quotation:
            found["quotation"] = self.quotation
        if self.log:
            found["log"] = list(self.log)
        return found


def refused(error: GRPCError, doing: str) -> EngineRefused:
    """An engine's answer as one of our errors; ``doing`` says what was asked for."""
    text = (error.message or "no reason given").strip()
    name = error.status.name.lower()
    if error.status is Status.UNIMPLEMENTED:
        return EngineTooOld(f"this engine cannot {doing}: {text}", status=name)
    return EngineRefused(f"the engine did not {doing}: {text}", status=name)


def details(data: bytes) -> Iterator[tuple[str, Any]]:
    """What BuildKit adds to an error: pairs of type name and JSON value.

    ``grpc-status-details-bin`` is a google.rpc.Status whose details are Any; BuildKit's own
    hold JSON, their type ends in ``+json``. What cannot be read is left out.
    """
    if len(data) > _DETAIL_LIMIT:
        return
    try:
        for tag, _, content in split(data):
            if tag == 3 and not isinstance(content, int):
                any_fields = {tag: bytes(value) for tag, _, value in split(content)}
                name = any_fields.get(1, b"").decode("utf-8", "replace")
                if name.endswith("+json"):
                    yield name.removesuffix("+json").rpartition("/")[2], json.loads(any_fields[2])
    except (BadMessage, KeyError, TypeError, ValueError, RecursionError):
        return
