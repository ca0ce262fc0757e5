"""One build on one engine: a session, the Solve call, its status, and an error worth reading.

    result = solve(engine, Build(frontend="dockerfile.v0", …), cancel=cancel)

Cancelling resets the Solve call, which is what stops running steps (closing the session
alone does not). ``Build`` says what to build and where results go; Dockerfiles and
their options are ``homeport.buildkit.dockerfile``'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from homeport.buildkit.address import Engine
from homeport.buildkit.async_bridge import run_async
from homeport.buildkit.engine import Connected, connected
from homeport.buildkit.failures import Sources, build_failure
from homeport.buildkit.llb.ops import Definition
from homeport.buildkit.llb.source_policy import Policy
from homeport.buildkit.protobuf import changed, decode
from homeport.buildkit.protocol.control import (
    CONTROL,
    CacheOptions,
    CacheOptionsEntry,
    Exporter,
    SolveRequest,
    SolveResponse,
    StatusRequest,
    StatusResponse,
)
from homeport.buildkit.protocol.errors import EngineLost, EngineRefused, EngineTooOld, refused
from homeport.buildkit.protocol.gateway import bridged_solve
from homeport.buildkit.protocol.grpc_client import stop
from homeport.buildkit.session import services
from homeport.buildkit.session.context_folder import Folder, Offer
from homeport.buildkit.session.services import Sink
from homeport.buildkit.session.session import Service, Session, attached
from homeport.buildkit.status import StatusListener, Steps
from homeport.errors import HomeportError
from homeport.progress import CancelToken

#: BuildKit's name for frontends that are images.
GATEWAY = "gateway.v0"
_TICK = 1.0  # seconds between looks at steps that are silent
_DRAIN = 5.0  # seconds for the last statuses after the answer


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """One result: the engine's exporter, its attributes, and where its bytes go.

    to: an archive's sink, a directory, or nothing if the engine keeps or pushes the result
    """

    type: str
    attrs: Mapping[str, str] = msgspec.field(default_factory=dict)
    to: Sink | Path | None = None


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """What to build. Either ``definition`` (LLB) or ``frontend`` with its attributes.

    folders:  local directories by the names that the build uses
    services: more of the session: secrets, agents, credentials, content
    sources:  what failures may quote: the Dockerfile by its name
    wants_metadata: whether ``Solved`` shall tell the image's config, which takes a detour
    """

    definition: Definition | None = None
    frontend: str = ""
    attrs: Mapping[str, str] = msgspec.field(default_factory=dict)
    inputs: Mapping[str, Definition] = msgspec.field(default_factory=dict)
    folders: Mapping[str, Offer] = msgspec.field(default_factory=dict)
    services: Mapping[str, Service] = msgspec.field(default_factory=dict)
    exports: Sequence[Export] = ()
    cache_exports: Sequence[CacheOptionsEntry] = ()
    cache_imports: Sequence[CacheOptionsEntry] = ()
    entitlements: Sequence[str] = ()
    source_policy: Policy | None = None
    shared_key: str = ""
    sources: Sources = msgspec.field(default_factory=Sources)
    wants_metadata: bool = False


#: Services of the session that depend on the build, such as credentials for what it names.
ServicesFor = Callable[[Build], Mapping[str, Service]]


class Solved(msgspec.Struct, frozen=True, kw_only=True):
    """A finished build: the exporters' answer, every step, and metadata if it was wanted."""

    response: Mapping[str, str]
    steps: Steps
    metadata: Mapping[str, bytes] = msgspec.field(default_factory=dict)


def solve(
    engine: Engine,
    build: Build,
    *,
    listener: StatusListener | None = None,
    cancel: CancelToken | None = None,
) -> Solved:
    """Build and wait. Raises ``BuildFailed``, ``EngineUnreachable``, ``EngineLost``,
    ``EngineRefused``, ``BadContext``, ``CannotReceive``, ``Interrupted``.
    """  # fmt: skip

    async def run() -> Solved:
        async with connected(engine) as connection:
            return await solve_on(connection, build, listener)

    return run_async(run(), cancel)


async def solve_on(
    connection: Connected, build: Build, listener: StatusListener | None = None
) -> Solved:
    """The same on a connection that is open."""
    if build.source_policy is not None and not (await connection.describe()).version:
        raise EngineTooOld(
            "this engine does not support source policies",
            hint="BuildKit 0.11 and later do (Docker 24.0)",
        )
    with contextlib.ExitStack() as stack:
        folders = {}
        for name, offer in build.folders.items():
            folders[name] = Folder.open(offer)
            stack.callback(folders[name].close)
        steps = Steps(listener)
        offered = _session_services(build, folders, steps)
        session = Session(offered, shared_key=build.shared_key)
        async with attached(session, connection):
            return await _Solving(connection, build, session, steps).run()


def _session_services(
    build: Build, folders: Mapping[str, Folder], steps: Steps
) -> dict[str, Service]:
    found: dict[str, Service] = {**services.health(), **build.services}
    if folders:
        found |= services.file_sync(folders)
    sinks = [each.to for each in build.exports if each.to is not None]
    if sinks:
        found |= services.file_send(sinks, steps.warn)
    return found


class _Solving(msgspec.Struct):
    connection: Connected
    build: Build
    session: Session
    steps: Steps
    ref: str = msgspec.field(default_factory=lambda: secrets.token_hex(12))

    async def run(self) -> Solved:
        status = asyncio.ensure_future(self._status())
        ticking = asyncio.ensure_future(self._tick())
        try:
            answer, metadata = await self._call()
            await asyncio.wait((status,), timeout=_DRAIN)
        except GRPCError as error:
            await asyncio.wait((status,), timeout=_DRAIN)
            self.steps.finish()
            raise self._failure(error) from error
        except (StreamTerminatedError, ConnectionError) as error:
            raise self.session.failure or EngineLost(
                f"lost the engine {self.connection.engine.name} during the build: {error}",
                hint="check the engine's log, then run the build again",
            ) from error
        finally:
            await stop(ticking)
            await stop(status)
        self.steps.finish()
        if self.session.failure is not None:
            raise self.session.failure
        return Solved(
            response=decode(SolveResponse, answer).exporter_response,
            steps=self.steps,
            metadata=metadata,
        )

    async def _call(self) -> tuple[bytes, Mapping[str, bytes]]:
        """The exporters' answer, and the frontend's metadata if it was wanted."""
        request, calls = self._request(), self.connection.calls
        if not (self.build.wants_metadata and self.build.frontend):
            return await calls.raw_unary(CONTROL + "Solve", request), {}
        bare = changed(request, frontend="", frontend_attrs={}, frontend_inputs={})
        bridged = await bridged_solve(calls, bare, request)
        return bridged.answer, bridged.metadata

    def _request(self) -> SolveRequest:
        build = self.build
        attrs = dict(build.attrs)
        if build.frontend and build.cache_imports:
            # Frontends look for caches themselves, step by step.
            entries = [{"Type": each.type, "Attrs": each.attrs} for each in build.cache_imports]
            attrs["cache-imports"] = json.dumps(entries, sort_keys=True)
        first = build.exports[0] if build.exports else None
        return SolveRequest(
            ref=self.ref,
            definition=build.definition,
            exporter=first.type if first else "",
            exporter_attrs=first.attrs if first else {},
            session=self.session.id,
            frontend=build.frontend,
            frontend_attrs=attrs,
            frontend_inputs=build.inputs,
            cache=CacheOptions(
                exports=tuple(build.cache_exports), imports=tuple(build.cache_imports)
            ),
            entitlements=tuple(build.entitlements),
            source_policy=build.source_policy,
            exporters=tuple(Exporter(type=each.type, attrs=each.attrs) for each in build.exports),
        )

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            self.steps.tick()

    async def _status(self) -> None:
        """Follow the build until the engine ends the stream.

        A broken stream does not fail the build.
        """
        listening = self.connection.calls.listen(
            CONTROL + "Status",
            StatusRequest(ref=self.ref),
            StatusResponse,
            doing="report status",
        )
        with contextlib.suppress(EngineRefused, EngineLost):
            async for response in listening:
                self.steps.feed(response)

    def _failure(self, error: GRPCError) -> HomeportError:
        if self.session.failure is not None:
            return self.session.failure
        if error.status in (Status.UNIMPLEMENTED, Status.UNAVAILABLE):
            return refused(error, "build")
        return build_failure(error, self.steps, self.build.sources)
