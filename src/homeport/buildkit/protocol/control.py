"""The messages of ``moby.buildkit.v1.Control`` and of a session's services, by field number.

Only fields that we send or read. Sources: BuildKit's control.proto, filesync.proto,
auth.proto, secrets.proto, ssh.proto, fsutil's wire.proto.
"""

from __future__ import annotations

from collections.abc import Mapping

from homeport.buildkit.llb.ops import Definition, Platform, Range, SourceInfo
from homeport.buildkit.llb.source_policy import Policy
from homeport.buildkit.protobuf import (
    flag,
    message,
    number,
    part,
    part_map,
    parts,
    raw,
    raw_map,
    raws,
    text,
    text_map,
    texts,
    time,
)

CONTROL = "/moby.buildkit.v1.Control/"


@message
class Empty:
    """No fields, or none that matter."""


@message
class BuildkitVersion:
    package: str = text(1)
    version: str = text(2)
    revision: str = text(3)


@message
class InfoResponse:
    version: BuildkitVersion | None = part(1, lambda: BuildkitVersion)


@message
class WorkerRecord:
    id: str = text(1)
    labels: Mapping[str, str] = text_map(2)
    platforms: tuple[Platform, ...] = parts(3, lambda: Platform)
    version: BuildkitVersion | None = part(5, lambda: BuildkitVersion)


@message
class ListWorkersResponse:
    record: tuple[WorkerRecord, ...] = parts(1, lambda: WorkerRecord)


@message
class Exporter:
    type: str = text(1)
    attrs: Mapping[str, str] = text_map(2)


@message
class CacheOptionsEntry:
    type: str = text(1)
    attrs: Mapping[str, str] = text_map(2)


@message
class CacheOptions:
    exports: tuple[CacheOptionsEntry, ...] = parts(4, lambda: CacheOptionsEntry)
    imports: tuple[CacheOptionsEntry, ...] = parts(5, lambda: CacheOptionsEntry)


@message
class SolveRequest:
    """``exporter`` and ``exporters`` are both filled: old engines read the first alone."""

    ref: str = text(1)
    definition: Definition | None = part(2, lambda: Definition)
    exporter: str = text(3)
    exporter_attrs: Mapping[str, str] = text_map(4)
    session: str = text(5)
    frontend: str = text(6)
    frontend_attrs: Mapping[str, str] = text_map(7)
    cache: CacheOptions | None = part(8, lambda: CacheOptions)
    entitlements: tuple[str, ...] = texts(9)
    frontend_inputs: Mapping[str, Definition] = part_map(10, lambda: Definition)
    source_policy: Policy | None = part(12, lambda: Policy)
    exporters: tuple[Exporter, ...] = parts(13, lambda: Exporter)


@message
class SolveResponse:
    exporter_response: Mapping[str, str] = text_map(1)


@message
class StatusRequest:
    ref: str = text(1)


@message
class Vertex:
    digest: str = text(1)
    inputs: tuple[str, ...] = texts(2)
    name: str = text(3)
    cached: bool = flag(4)
    started: int | None = time(5)
    completed: int | None = time(6)
    error: str = text(7)


@message
class VertexStatus:
    id: str = text(1)
    vertex: str = text(2)
    name: str = text(3)
    current: int = number(4)
    total: int = number(5)
    timestamp: int | None = time(6)
    started: int | None = time(7)
    completed: int | None = time(8)


@message
class VertexLog:
    vertex: str = text(1)
    timestamp: int | None = time(2)
    stream: int = number(3)
    msg: bytes = raw(4)


@message
class VertexWarning:
    vertex: str = text(1)
    level: int = number(2)
    short: bytes = raw(3)
    detail: tuple[bytes, ...] = raws(4)
    url: str = text(5)
    info: SourceInfo | None = part(6, lambda: SourceInfo)
    ranges: tuple[Range, ...] = parts(7, lambda: Range)


@message
class StatusResponse:
    vertexes: tuple[Vertex, ...] = parts(1, lambda: Vertex)
    statuses: tuple[VertexStatus, ...] = parts(2, lambda: VertexStatus)
    logs: tuple[VertexLog, ...] = parts(3, lambda: VertexLog)
    warnings: tuple[VertexWarning, ...] = parts(4, lambda: VertexWarning)


@message
class BytesMessage:
    """A piece of a byte stream: of the session's tunnel, a tar, an agent's socket."""

    data: bytes = raw(1)


@message
class Stat:
    """A directory entry as fsutil sends it; names are bytes, ``mode`` is Go's FileMode."""

    path: bytes = raw(1)
    mode: int = number(2)
    uid: int = number(3)
    gid: int = number(4)
    size: int = number(5)
    mtime: int = number(6)
    linkname: bytes = raw(7)
    devmajor: int = number(8)
    devminor: int = number(9)
    xattrs: Mapping[str, bytes] = raw_map(10)


STAT, REQ, DATA, FIN, ERR = range(5)


@message
class Packet:
    type: int = number(1)
    stat: Stat | None = part(2, lambda: Stat)
    id: int = number(3)
    data: bytes = raw(4)


@message
class HealthResponse:
    status: int = number(1)


@message
class CredentialsRequest:
    host: str = text(1)


@message
class CredentialsResponse:
    username: str = text(1)
    secret: str = text(2)


@message
class FetchTokenRequest:
    client_id: str = text(1)
    host: str = text(2)
    realm: str = text(3)
    service: str = text(4)
    scopes: tuple[str, ...] = texts(5)


@message
class FetchTokenResponse:
    token: str = text(1)
    expires_in: int = number(2)
    issued_at: int = number(3)


@message
class TokenAuthorityRequest:
    host: str = text(1)
    salt: bytes = raw(2)


@message
class TokenAuthorityResponse:
    public_key: bytes = raw(1)


@message
class VerifyAuthorityRequest:
    host: str = text(1)
    payload: bytes = raw(2)
    salt: bytes = raw(3)


@message
class VerifyAuthorityResponse:
    signed: bytes = raw(1)


@message
class SecretRequest:
    id: str = text(1)


@message
class SecretResponse:
    data: bytes = raw(1)


@message
class AgentRequest:
    id: str = text(1)
