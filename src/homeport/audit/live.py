"""What really runs: containers of a local engine, pods of a cluster.

An engine is asked over its API; a cluster's pods come as JSON on standard input
(``kubectl get pods -A -o json``), so no credential of a cluster is ever touched here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from homeport.audit.collecting import Collector, read
from homeport.audit.context import Context
from homeport.audit.model import Sure, Use
from homeport.audit.readers import kubernetes
from homeport.audit.source import Place, Source
from homeport.content.reading import read_bounded
from homeport.errors import UsageError

#: Bounds on answers: a list of containers or images, a cluster's pods.
LARGEST_ANSWER = 32 << 20
LARGEST_LIST = 256 << 20

STDIN = "-"


class _Response(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...

    def close(self) -> None: ...


T = TypeVar("T")

#: GET on an engine's API.
Get = Callable[[str], AbstractContextManager[_Response]]


class _Container(msgspec.Struct, rename="pascal"):
    image: str = ""
    names: list[str] = []


class _Image(msgspec.Struct, rename="pascal"):
    repo_tags: list[str] | None = None
    repo_digests: list[str] | None = None


class _Engine(msgspec.Struct, rename="pascal"):
    version: str = ""


def docker_uses(get: Get) -> list[Use]:
    """Images of containers, and images that lie in the engine's store (likely)."""
    containers = _answer(get, "/containers/json?all=1", list[_Container])
    images = _answer(get, "/images/json", list[_Image])
    found = [
        _use("docker", f"container {', '.join(name.lstrip('/') for name in c.names)}", c.image)
        for c in containers
    ]
    known = {use.image for use in found}
    for image in images:
        tags = [tag for tag in image.repo_tags or [] if tag != "<none>:<none>"]
        for name in tags or (image.repo_digests or [])[:1]:
            use = _use("docker", "image store", name, sure="likely")
            if use.image not in known:
                found.append(use)
    return found


def docker_version(get: Get) -> str:
    """The engine's version."""
    return _answer(get, "/version", _Engine).version


def pod_uses(data: bytes) -> list[Use]:
    """The images of a list of pods, as kubectl prints it. Raises ``UsageError``."""
    source = Source(STDIN, data)
    found = Collector(source, "cluster")
    kubernetes.read(source, found, Context(Path("/")))
    if found.unread:
        fault = found.unread[0]
        raise UsageError(
            f"standard input: {fault.what}", where={"line": fault.line},
            hint="kubectl get pods -A -o json | homeport audit -",
        )  # fmt: skip
    return [_not_editable(use) for use in found.uses]


def read_stdin(stream: _Response) -> bytes:
    """All of standard input, bounded."""
    return read_bounded(stream, LARGEST_LIST, "standard input")


def _not_editable(use: Use) -> Use:
    return replace(use, exact=False, fields={})


def _answer(get: Get, path: str, type: type[T]) -> T:
    with get(path) as response:
        raw = read_bounded(response, LARGEST_ANSWER, f"the engine's answer to {path}")
    try:
        return msgspec.json.decode(raw, type=type)
    except msgspec.DecodeError as error:
        raise UsageError(f"the engine's answer to {path} is not understood: {error}") from error


def _use(kind: str, key: str, name: str, *, sure: Sure = "sure") -> Use:
    reference, problem = read(name)
    place = Place(file=f"{kind}:", start=0, end=0, line=0, column=0, end_line=0, end_column=0)
    return Use(
        kind=kind, key=key, place=place, expression=name, value=name, reference=reference,
        sure=sure, problem="an image without a name" if reference is None else problem,
        exact=False,
    )  # fmt: skip
