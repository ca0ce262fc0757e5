"""What is configured per registry host: trust, mirrors, plain HTTP.

Read from the places that docker, podman and containerd use (docs/registry.md):

    /etc/containerd/certs.d/HOST/hosts.toml   server, mirrors, ca, client, skip_verify
    /etc/docker/certs.d/HOST/*.crt, *.cert, *.key
    /etc/containers/certs.d/HOST/…            the same
    ~/.docker/certs.d/HOST/…, ~/.config/containers/certs.d/HOST/…

In each of these folders, ``_default`` stands for every registry without a folder of its own.

A mirror is used for reading only, before the registry, and only for what its ``capabilities``
say; it gets credentials of its own and never the registry's. Content is checked by digest.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from homeport.content.files import explained, open_input
from homeport.errors import UsageError
from homeport.net.tls_settings import Trust
from homeport.net.url import Url
from homeport.quantities import human_size
from homeport.registry.endpoint import Endpoint, endpoint_for

_LIMIT = 1 << 20  # bytes
_DEFAULT = "_default"
#: pull: content by digest; resolve: what a tag points to; referrers: what refers to a digest
CAPABILITIES = frozenset({"pull", "resolve", "push", "referrers"})


class Mirror(msgspec.Struct, frozen=True, kw_only=True):
    """A host that serves content of a registry, and what it may be used for."""

    endpoint: Endpoint
    capabilities: frozenset[str] = CAPABILITIES


class RegistryHosts(msgspec.Struct, frozen=True, kw_only=True):
    """All hosts that serve one registry. ``mirrors`` are tried first, for reading only."""

    server: Endpoint
    mirrors: tuple[Mirror, ...] = ()
    trust: Mapping[str, Trust]


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """What one ``hosts.toml`` says. ``trust``: by host."""

    server: Endpoint | None
    hosts: tuple[Mirror, ...]
    server_trust: Trust | None
    trust: Mapping[str, Trust]


def default_folders(home: Path) -> tuple[Path, ...]:
    """Where ``certs.d`` is looked for, the user's own last so that it wins."""
    return (
        Path("/etc/containerd/certs.d"),
        Path("/etc/docker/certs.d"),
        Path("/etc/containers/certs.d"),
        home / ".docker/certs.d",
        home / ".config/containers/certs.d",
    )


def read_hosts(
    registry: str, folders: Sequence[Path], server: Endpoint | None = None
) -> RegistryHosts:
    """The settings of one registry. Raises ``UsageError`` that names file and field.

    server: where the registry is, if the user named it; it has priority over every file
    """
    given = server if server != endpoint_for(registry) else None
    server = given or endpoint_for(registry)
    mirrors: list[Mirror] = []
    trust: dict[str, Trust] = {}
    for folder in _folders(registry, folders):
        certificates = _certificates(folder)
        file = folder / "hosts.toml"
        found = _read_toml(file, registry) if file.is_file() else None
        if found is not None:
            server = given or found.server or server
            mirrors += found.hosts
            certificates = found.server_trust or certificates
        if certificates is not None:
            trust[server.host] = certificates
        trust |= found.trust if found is not None else {}
    reading = frozenset({"pull", "resolve", "referrers"})
    return RegistryHosts(
        server=server,
        mirrors=tuple(
            mirror
            for mirror in mirrors
            if mirror.endpoint.host != server.host and mirror.capabilities & reading
        ),
        trust=trust,
    )


def _folders(registry: str, folders: Sequence[Path]) -> Iterator[Path]:
    """A colon may not stand in every file name; containerd writes ``host_5000_``."""
    host, colon, port = registry.rpartition(":")
    names = [registry, f"{host}_{port}_"] if colon else [registry]
    for folder in folders:
        own = [folder / name for name in names if (folder / name).is_dir()]
        yield from own or [path for path in (folder / _DEFAULT,) if path.is_dir()]


def _certificates(folder: Path) -> Trust | None:
    """Docker's layout: every ``*.crt`` is an authority, ``NAME.cert`` and ``NAME.key`` are ours."""
    with explained(folder, "read"):
        authorities = tuple(sorted(folder.glob("*.crt")))
        pairs = [
            (path, path.with_suffix(".key"))
            for path in sorted(folder.glob("*.cert"))
            if path.with_suffix(".key").is_file()
        ]
    if not authorities and not pairs:
        return None
    return Trust(ca_files=authorities, client_certificate=pairs[0] if pairs else None)


def _read_toml(file: Path, registry: str) -> _File:
    with explained(file, "read"), open_input(file) as stream:
        raw = stream.read(_LIMIT + 1)
    if len(raw) > _LIMIT:
        raise UsageError(f"the file is larger than {human_size(_LIMIT)}", where={"file": str(file)})
    try:
        document = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"not valid TOML: {error}", where={"file": str(file)}) from error
    server = document.get("server")
    if server is not None and not isinstance(server, str):
        raise UsageError("server must be a URL", where={"file": str(file), "field": "server"})
    hosts = document.get("host", {})
    if not isinstance(hosts, dict):
        raise UsageError("host must be a table", where={"file": str(file), "field": "host"})
    found: list[Mirror] = []
    trust: dict[str, Trust] = {}
    for url, fields in hosts.items():
        where: dict[str, str | int] = {"file": str(file), "field": f'host."{url}"'}
        if not isinstance(fields, dict):
            raise UsageError("must be a table", where=where)
        endpoint = _endpoint(url, registry, where, override=fields.get("override_path") is True)
        found.append(Mirror(endpoint=endpoint, capabilities=_capabilities(fields, where)))
        if (trusted := _trust(fields, file, where)) is not None:
            trust[endpoint.host] = trusted
    where = {"file": str(file), "field": "server"}
    override = document.get("override_path") is True
    return _File(
        server=_endpoint(server, registry, where, override=override) if server else None,
        hosts=tuple(found),
        server_trust=_trust(document, file, {"file": str(file)}),
        trust=trust,
    )


def _capabilities(fields: Mapping[str, Any], where: Mapping[str, str | int]) -> frozenset[str]:
    """What a host may be used for; without a list, everything, as in containerd."""
    found = fields.get("capabilities") or []
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise UsageError("capabilities must be a list of names", where=where)
    unknown = sorted(set(found) - CAPABILITIES)
    if unknown:
        raise UsageError(
            f"unknown capability {unknown[0][:40]!r}", where=where,
            hint=f"known capabilities: {', '.join(sorted(CAPABILITIES))}",
        )  # fmt: skip
    return frozenset(found) or CAPABILITIES


def _trust(fields: Mapping[str, Any], file: Path, where: Mapping[str, str | int]) -> Trust | None:
    """``ca``, ``client`` and ``skip_verify``, of a host or, at the root, of the server."""
    ca = _paths(fields.get("ca"), file)
    client = _client(fields.get("client"), file, where)
    skip = fields.get("skip_verify")
    if skip not in (None, True, False):
        raise UsageError("skip_verify must be true or false", where=where)
    if not (ca or client or skip):
        return None
    return Trust(ca_files=ca, client_certificate=client, verify=not skip)


def _endpoint(
    text: str, registry: str, where: Mapping[str, str | int], *, override: bool = False
) -> Endpoint:
    try:
        url = Url.parse(text if "://" in text else f"https://{text}")
    except UsageError as error:
        raise error.at(**where)  # noqa: B904  the same error, with its place
    path = url.path.rstrip("/")
    # With override_path the path is the root of the API; otherwise /v2 follows it.
    root = f"{path}/" if override else f"{path.removesuffix('/v2')}/v2/"
    is_mirror = url.netloc != endpoint_for(registry).host
    return Endpoint(
        name=url.netloc if is_mirror else registry,
        host=url.netloc,
        plain_http=url.scheme == "http",
        root=root,
        namespace=registry if is_mirror else "",
    )


def _paths(value: Any, file: Path) -> tuple[Path, ...]:
    values = value if isinstance(value, list) else [value] if value else []
    return tuple(file.parent / str(one) for one in values)


def _client(value: Any, file: Path, where: Mapping[str, str | int]) -> tuple[Path, Path] | None:
    """``client``: a file with both, a pair, or a list of pairs of which the first is taken."""
    if value is None:
        return None
    parts = value if isinstance(value, list) else [value]
    if parts and isinstance(parts[0], list):
        parts = parts[0]
    files = [file.parent / str(part) for part in parts]
    if len(files) == 1:
        return files[0], files[0]
    if len(files) != 2:
        raise UsageError("client must be a file or a pair of files", where=where)
    return files[0], files[1]
