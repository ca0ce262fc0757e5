"""Where docker's daemon is: ``DOCKER_HOST``, else docker's context, as the docker program finds it.

Contexts are the files below ``contexts`` in docker's folder, which Docker Desktop, colima,
rootless docker and ``docker context create`` write. Not for talking to the daemon
(``homeport.images.transports.docker_api``, ``homeport.buildkit.engine``).
"""

from __future__ import annotations

import hashlib
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

import msgspec

from homeport.content.files import open_input
from homeport.content.reading import read_bounded
from homeport.errors import UsageError

DEFAULT_HOST = "unix:///var/run/docker.sock"
_LIMIT = 1 << 20


class BadEngineAddress(UsageError):
    """The address of an engine cannot be used, or docker's context for it cannot be read."""

    id = "engine-address"


class DockerEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An address with scheme, and a folder with ca.pem, cert.pem and key.pem for TLS."""

    host: str
    certificates: Path | None = None
    verify: bool = True


class _Config(msgspec.Struct):
    current: str = msgspec.field(default="", name="currentContext")


class _Endpoint(msgspec.Struct):
    host: str = msgspec.field(default="", name="Host")
    skip_verify: bool = msgspec.field(default=False, name="SkipTLSVerify")


class _Meta(msgspec.Struct):
    endpoints: dict[str, _Endpoint] = msgspec.field(default_factory=dict, name="Endpoints")


_CONFIG_DECODER = msgspec.json.Decoder(_Config)
_META_DECODER = msgspec.json.Decoder(_Meta)


def docker_folder(environment: Mapping[str, str], home: Path) -> Path:
    """Where docker keeps its configuration and contexts."""
    return Path(environment.get("DOCKER_CONFIG") or home / ".docker")


def docker_endpoint(environment: Mapping[str, str], home: Path) -> DockerEndpoint:
    """The daemon that the docker program would use. Raises ``BadEngineAddress``."""
    folder = docker_folder(environment, home)
    if host := environment.get("DOCKER_HOST"):
        secured = environment.get("DOCKER_TLS_VERIFY")
        certificates = Path(environment.get("DOCKER_CERT_PATH") or folder)
        return DockerEndpoint(host=host, certificates=certificates if secured else None)
    if name := chosen_context(environment, folder):
        return context_endpoint(name, folder)
    return DockerEndpoint(host=DEFAULT_HOST)


def chosen_context(environment: Mapping[str, str], folder: Path) -> str:
    """The context that ``DOCKER_CONTEXT`` or docker's configuration names; empty for none."""
    name = environment.get("DOCKER_CONTEXT", "")
    if not name:
        try:
            name = _CONFIG_DECODER.decode(_read(folder / "config.json")).current
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return ""
    return "" if name == "default" else name


def context_endpoint(name: str, folder: Path) -> DockerEndpoint:
    """What a context leads to. Raises ``BadEngineAddress``."""
    directory = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    path = folder / "contexts/meta" / directory / "meta.json"
    try:
        meta = _META_DECODER.decode(_read(path))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadEngineAddress(
            f"cannot read docker's context {name!r}", where={"file": str(path)},
            hint="docker context ls lists those that exist",
        ) from error  # fmt: skip
    found = meta.endpoints.get("docker", _Endpoint())
    if not found.host:
        raise BadEngineAddress(f"docker's context {name!r} has no host", where={"file": str(path)})
    certificates = folder / "contexts/tls" / directory / "docker"
    return DockerEndpoint(
        host=found.host,
        certificates=certificates if certificates.is_dir() else None,
        verify=not found.skip_verify,
    )


def ssh_command(address: str) -> tuple[str, ...]:
    """The command whose streams are those of the daemon at ``ssh://…``.

    Raises ``BadEngineAddress``.
    """
    try:
        url = urllib.parse.urlsplit(address)
        port = url.port
    except ValueError as error:
        raise BadEngineAddress(f"{address!r}: {error}") from error
    host = url.hostname or ""
    if not host or host.startswith("-") or (url.username or "").startswith("-"):
        raise BadEngineAddress(f"{address!r} must be ssh://[USER@]HOST[:PORT]")
    target = f"{url.username}@{host}" if url.username else host
    ssh = ("ssh", "-T", *(("-p", str(port)) if port else ()), "--", target)
    return (*ssh, "docker", "system", "dial-stdio")


def _read(path: Path) -> bytes:
    with open_input(path) as stream:
        return read_bounded(stream, _LIMIT, str(path))
