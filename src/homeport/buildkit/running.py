"""One build with any number of outputs: the engine is asked once for each.

Old engines take one exporter a call. The steps run in the first call; the others find them
in the engine's cache, even with ``--no-cache``, which only the first one hears.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from homeport.buildkit.address import Engine
from homeport.buildkit.images import ImageWork, pushed_by_engine
from homeport.buildkit.outputs import FolderOutput, ImageOutput, Output, TarOutput, export_to
from homeport.buildkit.placing import WatcherFor, built_on
from homeport.buildkit.solve import Build, Solved, solve
from homeport.buildkit.status import Steps
from homeport.content.digest import Digest
from homeport.images.address import Address, RegistryAddress
from homeport.images.transport import Destination
from homeport.oci.platform import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
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
    how: ImageWork,
    *,
    platforms: Sequence[Platform] = (),
    watcher_for: WatcherFor = lambda _engine: None,
    push_by_engine: bool = False,
    destination: Callable[[Address], Destination],
) -> Run:
    """Build, and write every output. Raises what ``solve`` and transports do.

    Directories and archives of files come from the first engine; of several engines each
    builds the platforms that suit it.
    """
    began = time.monotonic()
    steps: Steps | None = None
    response: dict[str, str] = {}
    images: dict[str, Digest] = {}
    files: list[FolderOutput | TarOutput | None] = [
        output for output in outputs if not isinstance(output, ImageOutput)
    ]
    for output in files if outputs else [None]:
        solved = _to_files(engines[0], build, output, how)
        steps = steps or solved.steps
        response |= solved.response
        build = _without_repeats(build)
    wanted = [output for output in outputs if isinstance(output, ImageOutput)]
    for image in list(wanted):
        if push_by_engine and isinstance(image.address, RegistryAddress):
            solved, images[str(image)] = pushed_by_engine(engines[0], build, image.address, how)
            steps = steps or solved.steps
            build = _without_repeats(build)
            wanted.remove(image)
    if wanted:
        with built_on(engines, build, platforms, how, watcher_for) as (value, solved):
            steps = steps or solved.steps
            response |= solved.response
            for image in wanted:
                images[str(image)] = destination(image.address).write(value, how.work).digest
    assert steps is not None
    vertices = [step.vertex for step in steps.by_digest.values()]
    return Run(
        steps=len(vertices),
        cached=sum(vertex.cached for vertex in vertices),
        seconds=time.monotonic() - began,
        response=response,
        images=images,
    )


def _to_files(
    engine: Engine, build: Build, output: FolderOutput | TarOutput | None, how: ImageWork
) -> Solved:
    if output is None:
        return solve(engine, build, watcher=how.watcher, cancel=how.cancel)
    with export_to(output) as export:
        return solve(
            engine, replace(build, exports=(export,)), watcher=how.watcher, cancel=how.cancel
        )


def _without_repeats(build: Build) -> Build:
    """For the next call: what ran must not run again, nor its cache be sent again."""
    attrs = {key: value for key, value in build.attrs.items() if key != "no-cache"}
    return replace(build, attrs=attrs, cache_exports=())
