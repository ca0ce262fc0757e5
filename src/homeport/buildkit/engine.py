"""A connection to an engine, whichever of the two kinds it is, and what the engine is.

dockerd speaks gRPC on upgraded HTTP connections (``/grpc``, and one ``/session`` per
build); buildkitd speaks it at once. Which one it is shows when it answers. Inside the
event loop; ``describe`` is the blocking way in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from homeport.buildkit.address import Engine, Kind
from homeport.buildkit.async_bridge import run_async
from homeport.buildkit.protocol.control import CONTROL, Empty, InfoResponse, ListWorkersResponse
from homeport.buildkit.protocol.errors import (
    EngineLost,
    EngineRefused,
    EngineTooOld,
    EngineUnreachable,
)
from homeport.buildkit.protocol.grpc_client import Calls
from homeport.buildkit.protocol.streams import NotHttp, upgrade
from homeport.errors import HomeportError
from homeport.oci.platform import Platform
from homeport.progress import CancelToken

#: dockerd puts this label on its worker when images are in containerd's store.
_SNAPSHOTTER = "org.mobyproject.buildkit.worker.snapshotter"
_ANSWER = 20.0  # seconds for a question about the engine itself
_START = "start one: sudo systemctl start docker, or sudo buildkitd"


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """One worker of an engine. ``platforms``: what it runs, its own first."""

    id: str
    platforms: tuple[Platform, ...]
    labels: tuple[tuple[str, str], ...]


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine reports about itself. ``version`` is empty if it reports none."""

    engine: str
    kind: Kind
    version: str
    workers: tuple[Worker, ...]

    @property
    def has_oci_exporter(self) -> bool:
        """Whether it can export images; dockerd needs the containerd store for that."""
        labels = {key for worker in self.workers for key, _ in worker.labels}
        return self.kind == "buildkit" or _SNAPSHOTTER in labels


class Connected(msgspec.Struct, frozen=True):
    """An open connection. ``kind`` is never "unknown"."""

    engine: Engine
    kind: Kind
    calls: Calls

    async def describe(self) -> Description:
        """Ask for workers and version."""
        listed = await self.calls.unary(
            CONTROL + "ListWorkers", Empty(), ListWorkersResponse,
            doing="list its workers", timeout=_ANSWER,
        )  # fmt: skip
        try:
            info = await self.calls.unary(
                CONTROL + "Info", Empty(), InfoResponse, doing="report its version", timeout=_ANSWER
            )
            version = info.version.version if info.version else ""
        except EngineTooOld:  # BuildKit before 0.11
            version = ""
        workers = tuple(
            Worker(
                id=record.id,
                platforms=tuple(
                    Platform(os=p.os, architecture=p.architecture, variant=p.variant).normalized()
                    for p in record.platforms
                ),
                labels=tuple(sorted(record.labels.items())),
            )
            for record in listed.record
        )
        return Description(
            engine=self.engine.name, kind=self.kind, version=version, workers=workers
        )


@asynccontextmanager
async def connected(engine: Engine) -> AsyncIterator[Connected]:
    """Connect for the length of the block. Raises ``EngineUnreachable``."""
    try:
        connection = await _reached(engine)
        try:
            yield connection
        except HomeportError as error:
            raise error.at(engine=engine.name)  # noqa: B904  the same error, with its place
        finally:
            connection.calls.close()
    finally:
        await asyncio.sleep(0)  # lets the transport close
        engine.opener.close()


async def _reached(engine: Engine) -> Connected:
    try:
        return await _connect(engine)
    except (OSError, TimeoutError) as error:
        raise EngineUnreachable(
            f"no answer from an engine at {engine.name}: {_reason(error)}",
            where={"engine": engine.name},
            hint=_START,
        ) from error  # fmt: skip


async def _connect(engine: Engine) -> Connected:
    if engine.kind != "buildkit":
        calls = Calls(lambda factory: upgrade(engine.opener, "/grpc", (), factory))
        try:
            await calls.connect()
        except NotHttp:
            if engine.kind == "docker":
                reason = engine.opener.failure_text() or "the server is not dockerd"
                raise EngineUnreachable(
                    f"no answer from an engine at {engine.name}: {reason}", hint=_START
                ) from None
        else:
            return Connected(engine, "docker", calls)
    calls = Calls(engine.opener.open)
    async with asyncio.timeout(_ANSWER):
        await calls.connect()
        try:  # that a program's stream is open does not say that an engine is behind it
            await calls.unary(CONTROL + "ListWorkers", Empty(), ListWorkersResponse, doing="answer")
        except (EngineLost, EngineRefused) as error:
            calls.close()
            reason = engine.opener.failure_text() or error.what
            raise EngineUnreachable(
                f"no answer from an engine at {engine.name}: {reason}",
                where={"engine": engine.name}, hint=_START,
            ) from error  # fmt: skip
    return Connected(engine, "buildkit", calls)


def describe(engine: Engine, cancel: CancelToken | None = None) -> Description:
    """Connect and ask what the engine is. Raises ``EngineUnreachable``, ``EngineRefused``."""

    async def ask() -> Description:
        async with connected(engine) as connection:
            return await connection.describe()

    return run_async(ask(), cancel)


def first_reachable(engines: Sequence[Engine], cancel: CancelToken | None = None) -> Engine:
    """The first that answers. Raises ``EngineUnreachable``, which names all that were tried."""
    reasons = []
    for engine in engines:
        try:
            describe(engine, cancel)
        except EngineUnreachable as error:
            reasons.append(error.what)
        else:
            return engine
    if len(reasons) == 1:
        raise EngineUnreachable(reasons[0], hint=_START)
    raise EngineUnreachable(
        f"no engine is reachable; tried {', '.join(engine.name for engine in engines)}",
        hint=f"name one with --engine, or {_START}",
    )


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(getattr(error, "strerror", None) or error)
