"""What really runs: containers of a local engine, pods of a cluster.

An engine is queried over its API; a cluster's pods come as JSON on standard input
(``kubectl get pods -A -o json``), so no credential of a cluster is ever touched here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

import msgspec

from homeport.audit.model import Confidence, Use
from homeport.audit.reading.collector import read
from homeport.audit.source import Place
from homeport.content.reading import read_bounded
from homeport.errors import UsageError

#: Bounds on answers: a list of containers or images, a cluster's pods.
LARGEST_ANSWER = 32 << 20
LARGEST_LIST = 256 << 20

STDIN = "-"
_HINT = "kubectl get pods -A -o json | homeport audit -"


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


class _Meta(msgspec.Struct):
    name: str = ""
    namespace: str = ""


class _PodContainer(msgspec.Struct):
    image: str
    name: str = ""


class _Spec(msgspec.Struct, rename="camel"):
    containers: list[_PodContainer] = []
    init_containers: list[_PodContainer] = []
    ephemeral_containers: list[_PodContainer] = []

    @property
    def every(self) -> list[_PodContainer]:
        return [*self.init_containers, *self.containers, *self.ephemeral_containers]


class _State(msgspec.Struct, rename={"image_id": "imageID"}):
    name: str = ""
    image_id: str = ""


class _Status(msgspec.Struct, rename="camel"):
    container_statuses: list[_State] = []
    init_container_statuses: list[_State] = []

    @property
    def every(self) -> list[_State]:
        return [*self.container_statuses, *self.init_container_statuses]


class _Pod(msgspec.Struct):
    spec: _Spec = msgspec.field(default_factory=_Spec)
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    status: _Status = msgspec.field(default_factory=_Status)


_POD_DECODER = msgspec.json.Decoder(_Pod)


class _Pods(msgspec.Struct):
    items: list[_Pod] | None = None


_CONTAINERS_DECODER = msgspec.json.Decoder(list[_Container])
_IMAGES_DECODER = msgspec.json.Decoder(list[_Image])
_PODS_DECODER = msgspec.json.Decoder(_Pods)


class _Engine(msgspec.Struct, rename="pascal"):
    version: str = ""


_ENGINE_DECODER = msgspec.json.Decoder(_Engine)


def docker_uses(get: Get) -> list[Use]:
    """Images of containers, and images in the engine's store (medium confidence)."""
    containers = _answer(get, "/containers/json?all=1", _CONTAINERS_DECODER)
    images = _answer(get, "/images/json", _IMAGES_DECODER)
    found = [
        _use("docker", f"container {', '.join(name.lstrip('/') for name in c.names)}", c.image)
        for c in containers
    ]
    known = {use.image for use in found}
    for image in images:
        tags = [tag for tag in image.repo_tags or [] if tag != "<none>:<none>"]
        for name in tags or (image.repo_digests or [])[:1]:
            use = _use("docker", "image store", name, confidence="medium")
            if use.image not in known:
                found.append(use)
    return found


def docker_version(get: Get) -> str:
    """The engine's version."""
    return _answer(get, "/version", _ENGINE_DECODER).version


def pod_uses(data: bytes) -> list[Use]:
    """The images of a list of pods, as kubectl prints it. Raises ``UsageError``."""
    try:
        listed = _PODS_DECODER.decode(data).items
        pods = [_POD_DECODER.decode(data)] if listed is None else listed
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"standard input is not a list of pods: {error}", hint=_HINT) from error
    if listed is None and not pods[0].spec.every:
        raise UsageError("standard input is not a list of pods", hint=_HINT)
    found = []
    for pod in pods:
        running = {s.name: s.image_id for s in pod.status.every}
        name = f"{pod.metadata.namespace}/{pod.metadata.name}".lstrip("/")
        for container in pod.spec.every:
            use = _use("cluster", f"{name}: {container.name}", container.image, file=STDIN)
            digest = running.get(container.name, "").rpartition("@")[2]
            found.append(
                msgspec.structs.replace(use, note=f"runs {digest}" if ":" in digest else "")
            )
    return found


def read_stdin(stream: _Response) -> bytes:
    """All of standard input, bounded."""
    return read_bounded(stream, LARGEST_LIST, "standard input")


def _answer(get: Get, path: str, decoder: msgspec.json.Decoder[T]) -> T:
    with get(path) as response:
        raw = read_bounded(response, LARGEST_ANSWER, f"the engine's answer to {path}")
    try:
        return decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise UsageError(f"invalid response of the engine to {path}: {error}") from error


def _use(kind: str, key: str, name: str, *, confidence: Confidence = "high", file: str = "") -> Use:
    reference, problem = read(name)
    place = Place(
        file=file or f"{kind}:", start=0, end=0, line=0, column=0, end_line=0, end_column=0
    )
    return Use(
        kind=kind, key=key, place=place, expression=name, value=name, reference=reference,
        confidence=confidence, problem="an image without a name" if reference is None else problem,
        exact=False,
    )  # fmt: skip
