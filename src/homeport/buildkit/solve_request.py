"""Runs a build as a user asks for it, from the request to the written outputs.

Opens what the build needs while it runs: engines, local images, caches, an uploaded context.
Not for what a build consists of (``builds``) nor for how outputs are written (``multi_output``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Protocol

import msgspec

from homeport.buildkit import builds
from homeport.buildkit.address import Engine
from homeport.buildkit.images import ImageOptions
from homeport.buildkit.multi_output import Run, run_outputs
from homeport.buildkit.outputs import ImageOutput
from homeport.buildkit.session.session import Service
from homeport.buildkit.solve import Build
from homeport.buildkit.status import StatusListener
from homeport.runtime import Runtime

if TYPE_CHECKING:  # only a build with an image loads what it needs
    from homeport.buildkit.scheduling import ListenerFor
    from homeport.images.address import Address
    from homeport.images.image import Image, Index
    from homeport.images.transports.base import Destination


class SolveResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a build on engines did."""

    engines: tuple[str, ...]
    run: Run


class OpenSession(Protocol):
    """Makes the services that an engine may ask during a build."""

    def __call__(
        self, build: Build, *, pushes: Sequence[str], more: Sequence[str], passwords: bool
    ) -> Mapping[str, Service]: ...


class SolveAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What a build reaches outside this package.

    engines:      opens the engines at addresses
    session:      tokens and passwords of registries for an engine
    open_image:   opens a local image
    destinations: makes what writes images to these addresses
    """

    engines: Callable[[Sequence[str]], list[Engine]]
    session: OpenSession
    open_image: Callable[[str], AbstractContextManager[Image | Index]]
    destinations: Callable[[Sequence[Address]], Callable[[Address], Destination]]


def run_request(
    request: builds.SolveRequest, environment: Mapping[str, str], runtime: Runtime,
    access: SolveAccess, *,
    listener: StatusListener | None = None, listener_for: ListenerFor | None = None,
) -> SolveResult:  # fmt: skip
    """Build a Dockerfile or LLB on engines, and write its outputs.

    listener: is told of every step; ``listener_for``, if several engines build at once
    """
    build = builds.make_build(request, environment)
    with ExitStack() as stack:
        engines = access.engines(request.engines)
        if request.engine_credentials:
            builds.require_private(engines)
        services = access.session(
            build,
            pushes=request.engine_pushes(),
            more=request.allowed_pulls,
            passwords=request.engine_credentials,
        )
        build = msgspec.structs.replace(build, services={**build.services, **services})
        if request.upload is not None:
            build = builds.with_upload(build, request.upload, stack)
        if frontend := request.local_frontend():
            value = stack.enter_context(access.open_image(frontend))
            build = stack.enter_context(builds.served_frontend(build, value, engines))
        caches = builds.find_local_caches(build)
        for folder in caches.missing if caches else ():
            runtime.progress.note("cache", f"warning: --cache-from: no build cache in {folder}")
        if request.attests:
            builds.require_attestations(engines, runtime.cancel)
        images = request.local_images()
        if images:
            builds.require_layouts(engines, runtime.cancel)
        opened = {name: stack.enter_context(access.open_image(at)) for name, at in images.items()}
        build = builds.with_contents(build, opened, caches)
        written = [each.address for each in request.outputs if isinstance(each, ImageOutput)]
        run = run_outputs(
            engines, build, request.outputs, listener=listener, cancel=runtime.cancel,
            for_images=lambda: ImageOptions(
                runtime=runtime, squash=request.squash, listener=listener
            ),
            platforms=request.platforms,
            listener_for=listener_for or (lambda _engine: None),
            push_by_engine=request.push_by_engine,
            destination=access.destinations(written),
        )  # fmt: skip
        if caches is not None:
            caches.finish(run.response, runtime.cancel)
    return SolveResult(engines=tuple(engine.name for engine in engines), run=run)
