"""One build with any number of outputs: the engine is asked once for each.

Old engines take one exporter a call. The steps run in the first call; the others find them
in the engine's cache, even with ``--no-cache``, which only the first one hears.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from homeport.buildkit.address import Engine
from homeport.buildkit.outputs import ImageOutput, Output, export_to
from homeport.buildkit.solve import Build, solve
from homeport.buildkit.status import Steps, Watcher
from homeport.errors import UsageError
from homeport.progress import CancelToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What happened: steps of the first call, and the engine's answers."""

    steps: int
    cached: int
    seconds: float
    response: Mapping[str, str]


def run_outputs(
    engine: Engine,
    build: Build,
    outputs: Sequence[Output],
    *,
    watcher: Watcher | None = None,
    cancel: CancelToken | None = None,
) -> Run:
    """Build, and write every output. Raises what ``solve`` does."""
    began = time.monotonic()
    steps: Steps | None = None
    response: dict[str, str] = {}
    for output in outputs or (None,):
        if isinstance(output, ImageOutput):
            raise UsageError(f"{output}: images are not written yet")
        if output is None:
            solved = solve(engine, build, watcher=watcher, cancel=cancel)
        else:
            with export_to(output) as export:
                solved = solve(
                    engine, replace(build, exports=(export,)), watcher=watcher, cancel=cancel
                )
        steps = steps or solved.steps
        response |= solved.response
        attrs = {key: value for key, value in build.attrs.items() if key != "no-cache"}
        build = replace(build, attrs=attrs, cache_exports=())
    assert steps is not None
    vertices = [step.vertex for step in steps.by_digest.values()]
    return Run(
        steps=len(vertices),
        cached=sum(vertex.cached for vertex in vertices),
        seconds=time.monotonic() - began,
        response=response,
    )
