"""Handing an image to a local engine (``--load``): docker over its API, podman as a program.

Both read a docker archive, which is written to a temporary file first, so that the request
can be made again. One platform: what the engine would run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from homeport.content.digest import Digest
from homeport.content.files import explained
from homeport.content.reading import read_bounded
from homeport.images.address import ArchiveAddress
from homeport.images.image import Image, Index
from homeport.images.storage.temp_space import temporary_folder
from homeport.images.transports.docker_api import EngineError, request
from homeport.images.transports.docker_archive import DockerArchive
from homeport.images.transports.podman import is_installed, run_podman
from homeport.oci.reference import Reference
from homeport.runtime import Runtime

LocalEngine = Literal["docker", "podman"]
_ANSWER_LIMIT = 4 << 20


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What was loaded: into which engine, under which name, the digest of the manifest."""

    engine: LocalEngine
    name: str
    digest: Digest


class _Line(msgspec.Struct):
    error: str = ""


_LINE_DECODER = msgspec.json.Decoder(_Line)


def load(
    value: Image | Index,
    name: Reference,
    runtime: Runtime,
    *,
    engine: LocalEngine | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Loaded:
    """Load the image under ``name``. Raises ``EngineError``, ``NotForDocker``.

    Without ``engine`` the docker daemon if there is one, else podman. Loading an image
    again changes nothing but its name.
    """
    chosen = engine or choose_engine(environ)
    with temporary_folder() as folder:
        path = folder / "image.tar"
        address = ArchiveAddress(format="docker-archive", path=path, tag=str(name))
        written = DockerArchive(address).write(value, runtime)
        if chosen == "docker":
            _load_docker(path, environ)
        else:
            run_podman(["load", "--quiet", "--input", str(path)], runtime.cancel)
    return Loaded(engine=chosen, name=name.familiar, digest=written.digest)


def choose_engine(environ: Mapping[str, str] = os.environ) -> LocalEngine:
    """The engine of this machine. Raises ``EngineError`` if there is none."""
    try:
        with request("GET", "/_ping", environ=environ) as response:
            response.read(64)
    except EngineError as error:
        if is_installed():
            return "podman"
        raise EngineError(
            f"no engine to load into: {error.what}, and no podman", where=error.where
        ) from error
    return "docker"


def _load_docker(path: Path, environ: Mapping[str, str]) -> None:
    with (
        explained(path, "read"),
        path.open("rb") as body,
        request(
            "POST", "/images/load?quiet=1", body, path.stat().st_size, environ=environ
        ) as response,
    ):
        answer = read_bounded(response, _ANSWER_LIMIT, "the docker daemon's answer")
    for line in answer.splitlines():
        try:
            failed = _LINE_DECODER.decode(line).error
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if failed:
            raise EngineError(f"docker cannot load the image: {failed}")
