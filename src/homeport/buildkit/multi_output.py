"""One build with any number of outputs: the engine is asked once for each.

Old engines take one exporter a call. The steps run in the first call; the others find them
in the engine's cache, even with ``--no-cache``, which only the first call has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from homeport.buildkit.address import Engine
from homeport.buildkit.outputs import (
    FolderOutput,
    ImageOutput,
    LoadOutput,
    Output,
    TarOutput,
    export_to,
)
from homeport.buildkit.solve import Build, Solved, solve
from homeport.buildkit.status import StatusListener, Steps
from homeport.oci.platform import Platform
from homeport.progress import CancelToken

# 12 ms that a build without an image saves
if TYPE_CHECKING:
    from homeport.buildkit.images import ImageOptions
    from homeport.buildkit.scheduling import ListenerFor
    from homeport.content.digest import Digest
    from homeport.images.address import Address
    from homeport.images.image import Image, Index
    from homeport.images.transports.base import Destination
    from homeport.runtime import Runtime


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What happened: steps of the first call, the engine's answers, images by output."""

    steps: int
    cached: int
    seconds: float
    response: Mapping[str, str]
    images: Mapping[str, Digest]


def run_outputs(
    engines: Sequence[Engine],
    build: Build,
    outputs: Sequence[Output],
    *,
    listener: StatusListener | None = None,
    cancel: CancelToken,
    for_images: Callable[[], ImageOptions],
    platforms: Sequence[Platform] = (),
    listener_for: ListenerFor = lambda _engine: None,
    push_by_engine: bool = False,
    destination: Callable[[Address], Destination],
) -> Run:
    """Build, and write every output. Raises what ``solve`` and transports do.

    Directories and archives of files come from the first engine; of several engines each
    builds the platforms that suit it. ``for_images`` is asked if an image is wanted.
    """
    began = time.monotonic()
    found = _Found()
    files = [output for output in outputs if isinstance(output, FolderOutput | TarOutput)]
    nothing = [None] if not outputs else []
    for output in (*files, *nothing):
        with export_to(output) as exports:
            one = msgspec.structs.replace(build, exports=exports)
            found.add(solve(engines[0], one, listener=listener, cancel=cancel))
        build = _without_repeats(build)
    wanted = [output for output in outputs if isinstance(output, ImageOutput | LoadOutput)]
    if wanted:
        # 12 ms that a build without an image saves
        from homeport.buildkit.images import pushed_by_engine
        from homeport.buildkit.scheduling import image_from_engines
        from homeport.images.address import RegistryAddress

        how = for_images()
        for image in list(wanted):
            if (
                push_by_engine
                and isinstance(image, ImageOutput)
                and isinstance(image.address, RegistryAddress)
            ):
                solved, digest = pushed_by_engine(engines[0], build, image.address, how)
                found.add(solved)
                found.images[str(image)] = digest
                build = _without_repeats(build)
                wanted.remove(image)
    if wanted:
        with image_from_engines(engines, build, platforms, how, listener_for) as (value, solved):
            found.add(solved)
            for image in wanted:
                found.images[str(image)] = _write(image, value, how.runtime, destination)
    return found.run(time.monotonic() - began)


def _write(
    output: ImageOutput | LoadOutput,
    value: Image | Index,
    runtime: Runtime,
    destination: Callable[[Address], Destination],
) -> Digest:
    """Write or load the image; its digest there."""
    if isinstance(output, ImageOutput):
        return destination(output.address).write(value, runtime).digest
    # 100 ms that other builds save
    from homeport.images.load import load
    from homeport.images.transports.docker_archive import one_platform

    return load(one_platform(value), output.name, runtime).digest


class _Found(msgspec.Struct):
    """The answers of all calls, joined."""

    steps: Steps | None = None
    response: dict[str, str] = msgspec.field(default_factory=dict)
    images: dict[str, Digest] = msgspec.field(default_factory=dict)

    def add(self, solved: Solved) -> None:
        self.steps = self.steps or solved.steps
        self.response |= solved.response

    def run(self, seconds: float) -> Run:
        assert self.steps is not None
        vertices = [step.vertex for step in self.steps.by_digest.values()]
        return Run(
            steps=len(vertices),
            cached=sum(vertex.cached for vertex in vertices),
            seconds=seconds,
            response=self.response,
            images=self.images,
        )


def _without_repeats(build: Build) -> Build:
    """For the next call: what ran must not run again, nor its cache be sent again.

    An inline cache is part of an image and goes wherever one does.
    """
    attrs = {key: value for key, value in build.attrs.items() if key != "no-cache"}
    inline = [entry for entry in build.cache_exports if entry.type == "inline"]
    return msgspec.structs.replace(build, attrs=attrs, cache_exports=inline)
