"""Images that run now, and versions of engines: what files do not contain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from homeport.audit.engineversion import engine_versions
from homeport.audit.model import Use
from homeport.audit.running import docker_uses, docker_version, pod_uses, read_stdin
from homeport.images.transports.docker_api import request
from homeport.progress import CancelToken

if TYPE_CHECKING:
    from homeport.buildkit.address import Engine


class LiveImages(msgspec.Struct, frozen=True, kw_only=True):
    """Uses for ``Request.live``, and tool → version for ``Request.assumptions``."""

    uses: tuple[Use, ...]
    versions: Mapping[str, str]


def read_live(
    *,
    pods: BinaryIO | None,
    docker: bool,
    engines: Callable[[], Sequence[Engine]],
    cancel: CancelToken,
) -> LiveImages:
    """Query the sources that are given.

    pods:    what ``kubectl get pods -o json`` prints
    docker:  query containers, images and version of the local Docker engine
    engines: query their versions
    """
    uses: list[Use] = []
    versions: dict[str, str] = {}
    if pods is not None:
        uses += pod_uses(read_stdin(pods))
    if docker:
        uses += docker_uses(lambda path: request("GET", path))
        versions["docker"] = docker_version(lambda path: request("GET", path))
    for engine in engines():
        for tool, version in engine_versions(engine, cancel).items():
            versions.setdefault(tool, version)
    return LiveImages(uses=tuple(uses), versions=versions)
