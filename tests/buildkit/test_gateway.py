"""A build through the gateway: its two calls may be answered in any order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from homeport.buildkit.protobuf import encode
from homeport.buildkit.protocol.control import CONTROL, SolveRequest
from homeport.buildkit.protocol.gateway import (
    BRIDGE,
    BridgeSolveResponse,
    ResultMetadata,
    bridged_solve,
)
from homeport.buildkit.protocol.grpc_client import Calls

RESULT = encode(ResultMetadata(metadata={"result.json": b"[]"}))


class Engine:
    """Answers the waiting Solve when the result is returned, and the Return before or after it."""

    def __init__(self, first: str) -> None:
        self.first = first
        self.returned, self.answered = asyncio.Event(), asyncio.Event()

    async def raw_unary(
        self, method: str, request: Any, *, metadata: Mapping[str, str] | None = None
    ) -> bytes:
        if method == BRIDGE + "Solve":
            return encode(BridgeSolveResponse(result=RESULT))
        if method == CONTROL + "Solve":
            await self.returned.wait()
            return await self.answer("Solve", b"exported")
        assert (method, request.result) == (BRIDGE + "Return", RESULT)
        self.returned.set()
        return await self.answer("Return", b"")

    async def answer(self, name: str, answer: bytes) -> bytes:
        if self.first != name:
            await self.answered.wait()
        self.answered.set()
        return answer


@pytest.mark.parametrize("first", ["Solve", "Return"])
def test_the_frontends_metadata_is_known_whichever_call_is_answered_first(first: str) -> None:
    async def run() -> None:
        calls = cast(Calls, Engine(first))
        frontend = SolveRequest(ref="a", frontend="dockerfile.v0")
        bridged = await bridged_solve(calls, SolveRequest(ref="a"), frontend)
        assert (bridged.answer, bridged.metadata) == (b"exported", {"result.json": b"[]"})

    asyncio.run(run())
