"""What is configured per registry host: trust, mirrors, plain HTTP.

Read from the places that docker, podman and containerd use (docs/registry.md):

    /etc/containerd/certs.d/HOST/hosts.toml   server, mirrors, ca, client, skip_verify
    /etc/docker/certs.d/HOST/*.crt, *.cert, *.key
    /etc/containers/certs.d/HOST/…            the same
    ~/.docker/certs.d/HOST/…, ~/.config/containers/certs.d/HOST/…

A mirror is asked for pulls only, before the registry; it gets credentials of its own and
never the registry's. Whatever it serves is checked by digest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from homeport.content.files import explained
from homeport.errors import UsageError
from homeport.net.tls_settings import Trust
from homeport.net.url import Url
from homeport.registry.endpoint import Endpoint, endpoint_for

_LIMIT = 1 << 20


class HostSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One host of ``hosts.toml``: where, what for, whom to trust."""

    endpoint: Endpoint
    capabilities: frozenset[str]
    trust: Trust | None = None


class RegistryHosts(msgspec.Struct, frozen=True, kw_only=True):
    """All ways to one registry. ``mirrors`` are tried first, for reading only."""

    server: Endpoint
    mirrors: tuple[Endpoint, ...] = ()
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

    ``server`` is where it is if somebody said so; then no file says otherwise.
    """
    said = server if server != endpoint_for(registry) else None
    server = said or endpoint_for(registry)
    mirrors: list[Endpoint] = []
    trust: dict[str, Trust] = {}
    for folder in _folders(registry, folders):
        certificates = _certificates(folder)
        if certificates is not None:
            trust[server.host] = certificates
        file = folder / "hosts.toml"
        if file.is_file():
            found, told = _read_toml(file, registry)
            server = said or found or server
            for one in told:
                if one.trust is not None:
                    trust[one.endpoint.host] = one.trust
                if one.capabilities & {"pull", "resolve"} and one.endpoint.host != server.host:
                    mirrors.append(one.endpoint)
    return RegistryHosts(server=server, mirrors=tuple(mirrors), trust=trust)


def _folders(registry: str, folders: Sequence[Path]) -> Iterator[Path]:
    """A colon may not stand in every file name; containerd writes ``host_5000_``."""
    host, colon, port = registry.rpartition(":")
    names = [registry, f"{host}_{port}_"] if colon else [registry]
    for folder in folders:
        for name in names:
            if (folder / name).is_dir():
                yield folder / name


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


def _read_toml(file: Path, registry: str) -> tuple[Endpoint | None, list[HostSettings]]:
    import tomllib  # few have such a file

    with explained(file, "read"), file.open("rb") as stream:
        raw = stream.read(_LIMIT + 1)
    try:
        document = tomllib.loads(raw[:_LIMIT].decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"not valid TOML: {error}", where={"file": str(file)}) from error
    server = document.get("server")
    found = _endpoint(server, registry, file, "server") if isinstance(server, str) else None
    hosts = document.get("host", {})
    if not isinstance(hosts, dict):
        raise UsageError("host must be a table", where={"file": str(file), "field": "host"})
    return found, [_host(url, fields, registry, file) for url, fields in hosts.items()]


def _host(url: str, fields: Any, registry: str, file: Path) -> HostSettings:
    where: dict[str, str | int] = {"file": str(file), "field": f'host."{url}"'}
    if not isinstance(fields, dict):
        raise UsageError("must be a table", where=where)
    capabilities = fields.get("capabilities", ["pull", "resolve", "push"])
    if not isinstance(capabilities, list):
        raise UsageError("capabilities must be a list", where=where)
    ca = _paths(fields.get("ca"), file)
    client = _client(fields.get("client"), file, where)
    skip = fields.get("skip_verify") is True
    trust = None
    if ca or client or skip:
        trust = Trust(ca_files=ca, client_certificate=client, verify=not skip)
    endpoint = _endpoint(
        url, registry, file, f'host."{url}"', override=fields.get("override_path") is True
    )
    return HostSettings(
        endpoint=endpoint, capabilities=frozenset(map(str, capabilities)), trust=trust
    )


def _endpoint(
    text: str, registry: str, file: Path, field: str, *, override: bool = False
) -> Endpoint:
    try:
        url = Url.parse(text if "://" in text else f"https://{text}")
    except UsageError as error:
        raise error.at(file=str(file), field=field)  # noqa: B904  the same error, with its place
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
