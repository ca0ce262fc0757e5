"""Where engines are: addresses that people write, and those found when nothing is written.

    unix:///run/docker.sock               dockerd or buildkitd, whichever answers
    tcp://host:2376?certs=DIR             the same; with ca.pem, cert.pem, key.pem: TLS
    docker-container://NAME               buildkitd in a container, by the docker program
    podman-container://NAME               … by podman
    ssh://[user@]host[:port]              dockerd at the other end, by ssh
    docker-context://NAME                 what docker's context of that name leads to

Without an address: BUILDKIT_HOST, DOCKER_HOST, docker's current context, then the usual
sockets. Not for connecting (``homeport.buildkit.engine``).
"""

from __future__ import annotations

import ssl
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from homeport.buildkit.protocol.streams import (
    Opener,
    ProgramStream,
    TcpStream,
    UnixStream,
    tls_context,
)
from homeport.images.docker_endpoint import (
    BadEngineAddress,
    chosen_context,
    context_endpoint,
    docker_folder,
    ssh_command,
)

Kind = Literal["docker", "buildkit", "unknown"]
_SCHEMES = "unix://, tcp://, docker-container://, podman-container://, ssh://, docker-context://"
_SYSTEM_SOCKETS = ("/run/buildkit/buildkitd.sock", "/var/run/docker.sock")


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """An engine that may be there. ``name`` is for people; ``private``: no one can listen."""

    name: str
    opener: Opener
    kind: Kind = "unknown"
    private: bool = True


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """The environment and home directory that defaults come from."""

    environment: Mapping[str, str]
    home: Path

    @property
    def docker_folder(self) -> Path:
        return docker_folder(self.environment, self.home)


def parse_engine(text: str, around: Surroundings) -> Engine:
    """Read one address. Raises ``BadEngineAddress``."""
    scheme, found, place = text.partition("://")
    if not found or not place:
        raise BadEngineAddress(f"invalid engine address {text!r}", hint=f"use {_SCHEMES}")
    match scheme:
        case "unix":
            return Engine(name=text, opener=UnixStream("/" + place.lstrip("/")))
        case "tcp":
            return _tcp(text, around)
        case "docker-container" | "podman-container":
            program = scheme.partition("-")[0]
            argv = (program, "exec", "-i", _container(text, place), "buildctl", "dial-stdio")
            return Engine(name=text, opener=ProgramStream(argv), kind="buildkit")
        case "ssh":
            return Engine(name=text, opener=ProgramStream(ssh_command(text)), kind="docker")
        case "docker-context":
            return _context(place, around)
    raise BadEngineAddress(f"{text!r}: unknown kind of engine", hint=f"use {_SCHEMES}")


def default_engines(around: Surroundings) -> list[Engine]:
    """Engines to try when none is named, the most explicit first.

    What is named by a variable or a context is the only one: another engine would be a
    surprise.
    """
    for variable in ("BUILDKIT_HOST", "DOCKER_HOST"):
        if text := around.environment.get(variable):
            return [parse_engine(text, around)]
    if context := chosen_context(around.environment, around.docker_folder):
        return [_context(context, around)]
    sockets = list(_SYSTEM_SOCKETS)
    if runtime := around.environment.get("XDG_RUNTIME_DIR"):
        sockets += [f"{runtime}/buildkit/buildkitd.sock", f"{runtime}/docker.sock"]
    return [Engine(name=f"unix://{path}", opener=UnixStream(path)) for path in sockets]


def _tcp(text: str, around: Surroundings, certs: Path | None = None, verify: bool = True) -> Engine:
    try:
        url = urllib.parse.urlsplit(text)
        port = url.port
    except ValueError as error:
        raise BadEngineAddress(f"{text!r}: {error}") from error
    if not url.hostname or port is None or url.username is not None:
        raise BadEngineAddress(f"{text!r} must be tcp://HOST:PORT, with ?certs=DIR for TLS")
    query = urllib.parse.parse_qs(url.query)
    if certs is None and "certs" in query:
        certs = Path(query["certs"][0])
    elif certs is None and around.environment.get("DOCKER_TLS_VERIFY"):
        certs = Path(around.environment.get("DOCKER_CERT_PATH") or around.docker_folder)
    tls = _tls(text, certs, verify) if certs is not None else None
    opener = TcpStream(host=url.hostname, port=port, tls=tls)
    return Engine(name=text, opener=opener, private=tls is not None)


def _tls(text: str, certs: Path, verify: bool) -> ssl.SSLContext:
    try:
        return tls_context(certs, verify=verify)
    except (OSError, ssl.SSLError) as error:
        raise BadEngineAddress(
            f"{text!r}: cannot use the certificates in {certs}: {error}",
            hint="the folder holds ca.pem, cert.pem and key.pem",
        ) from error


def _container(text: str, place: str) -> str:
    name = place.partition("?")[0].strip("/")
    if not name or name.startswith("-"):
        raise BadEngineAddress(f"{text!r}: no container name")
    return name


def _context(name: str, around: Surroundings) -> Engine:
    found = context_endpoint(name, around.docker_folder)
    if found.host.startswith("tcp://") and found.certificates is not None:
        return _tcp(found.host, around, found.certificates, found.verify)
    return parse_engine(found.host, around)
