"""A build through the frontend gateway, which returns the metadata that a plain Solve does not.

A Solve without frontend and definition waits; the client then asks the ``LLBBridge`` on the
same connection to run the frontend, sees the result's metadata (the image's config among
it), and hands the result back, whereupon the waiting Solve exports it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
from grpclib.exceptions import GRPCError

from homeport.buildkit.llb.ops import Definition
from homeport.buildkit.protobuf import (
    decode,
    encode,
    flag,
    message,
    number,
    part_map,
    parts,
    raw,
    raw_map,
    text,
    text_map,
)
from homeport.buildkit.protocol.control import CONTROL, CacheOptionsEntry, SolveRequest
from homeport.buildkit.protocol.grpc_client import Calls, stop

BRIDGE = "/moby.buildkit.v1.frontend.LLBBridge/"
CONFIG = "containerimage.config"
_BUILD_ID = "buildkit-controlapi-buildid"


@message
class BridgeSolveRequest:
    frontend: str = text(2)
    frontend_opt: Mapping[str, str] = text_map(3)
    allow_result: bool = flag(5)
    allow_array: bool = flag(6)
    cache_imports: tuple[CacheOptionsEntry, ...] = parts(12, lambda: CacheOptionsEntry)
    frontend_inputs: Mapping[str, Definition] = part_map(13, lambda: Definition)


@message
class BridgeSolveResponse:
    """``result`` stays bytes: it is handed back as it came."""

    result: bytes = raw(3)


@message
class ResultMetadata:
    """What we read of a result."""

    metadata: Mapping[str, bytes] = raw_map(10)


@message
class RpcStatus:
    code: int = number(1)
    message: str = text(2)


@message
class ReturnRequest:
    result: bytes = raw(1)
    error: bytes = raw(2)


class Bridged(msgspec.Struct, frozen=True):
    """The waiting Solve's answer, and the frontend's metadata."""

    answer: bytes
    metadata: Mapping[str, bytes]


async def bridged_solve(calls: Calls, request: SolveRequest, frontend: SolveRequest) -> Bridged:
    """Run ``frontend``'s frontend inside ``request``. Raises ``GRPCError``."""
    metadata: dict[str, bytes] = {}
    waiting = asyncio.ensure_future(calls.raw_unary(CONTROL + "Solve", request))
    running = asyncio.ensure_future(_run(calls, request.ref, frontend, metadata))
    try:
        await asyncio.wait((waiting, running), return_when=asyncio.FIRST_COMPLETED)
        # The waiting Solve may be answered before the Return that ends it: an engine answers
        # the two in no order. It may also be refused before the frontend could say anything.
        if not waiting.done():
            await running
        return Bridged(await waiting, metadata)
    finally:
        await stop(running)
        await stop(waiting)


async def _run(calls: Calls, ref: str, frontend: SolveRequest, metadata: dict[str, bytes]) -> None:
    """``metadata`` is filled before the result is handed back."""
    headers = {_BUILD_ID: ref}
    ask = BridgeSolveRequest(
        frontend=frontend.frontend,
        frontend_opt=frontend.frontend_attrs,
        allow_result=True,
        allow_array=True,
        cache_imports=frontend.cache.imports if frontend.cache else (),
        frontend_inputs=frontend.frontend_inputs,
    )
    try:
        data = await calls.raw_unary(BRIDGE + "Solve", ask, metadata=headers)
    except GRPCError as error:
        status = error.details if isinstance(error.details, bytes) else b""
        status = status or encode(
            RpcStatus(code=error.status.value, message=error.message or "the build failed")
        )
        await calls.raw_unary(BRIDGE + "Return", ReturnRequest(error=status), metadata=headers)
        return
    result = decode(BridgeSolveResponse, data).result
    metadata.update(decode(ResultMetadata, result).metadata)
    await calls.raw_unary(BRIDGE + "Return", ReturnRequest(result=result), metadata=headers)
