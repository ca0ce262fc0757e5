"""What version an engine is, for the rules that depend on it (``--engine``).

dockerd returns Docker's version and, if recent enough, BuildKit's; buildkitd returns its own.
Nothing else is requested.
"""

from __future__ import annotations

import asyncio
import re

import msgspec

from homeport.buildkit.address import Engine
from homeport.buildkit.async_bridge import run_async
from homeport.buildkit.engine import describe
from homeport.buildkit.protocol.errors import EngineRefused
from homeport.progress import CancelToken

_REQUEST = b"GET /version HTTP/1.0\r\nHost: localhost\r\n\r\n"
_LIMIT = 1 << 20
_PATIENCE = 20.0  # seconds for the answer


class _Version(msgspec.Struct, rename="pascal"):
    version: str = ""


_VERSION_DECODER = msgspec.json.Decoder(_Version)


def engine_versions(engine: Engine, cancel: CancelToken | None = None) -> dict[str, str]:
    """Tool → version, as rules name them. Raises ``EngineUnreachable``, ``EngineRefused``."""
    found = describe(engine, cancel)
    versions = {"buildkit": found.version, "docker": ""}
    if found.kind == "docker":
        versions["docker"] = read_version(run_async(_asked(engine), cancel), engine.name)
    return {
        tool: version.removeprefix("v")
        for tool, version in versions.items()
        if re.match(r"v?[1-9]|v?0\.[1-9]", version)
    }


def read_version(answer: bytes, name: str) -> str:
    """The version in a whole HTTP answer. Raises ``EngineRefused``."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if re.match(rb"HTTP/1\.[01] 200\b", head) is None:
        status = ascii(head[:60].split(b"\r\n")[0].decode("latin-1"))
        raise EngineRefused(f"{name}: no version in the answer: {status}")
    try:
        return _VERSION_DECODER.decode(body).version
    except msgspec.DecodeError as error:
        raise EngineRefused(f"{name}: unknown format of the version") from error


async def _asked(engine: Engine) -> bytes:
    async with asyncio.timeout(_PATIENCE):
        connection = await engine.opener.open(_Question)
        try:
            return await connection.answer
        finally:
            connection.close()
            engine.opener.close()


class _Question(asyncio.Protocol):
    """One request; the answer is all bytes until the other side closes."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(_REQUEST)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > _LIMIT:
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_result(bytes(self._received[:_LIMIT]))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
