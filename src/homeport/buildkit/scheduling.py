"""Several engines, one image: each platform where it runs best, elsewhere if that one is lost.

A platform goes to an engine whose processor runs it, else to one that emulates it, else it
is an error; equal engines get platforms in turn. An engine that is lost in mid-build is named, and
its platforms are built once more on the others. One engine alone gets everything, because a
Dockerfile that runs nothing needs no processor for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import msgspec

from homeport.buildkit.address import Engine
from homeport.buildkit.engine import Description, describe
from homeport.buildkit.images import ImageOptions, built_image
from homeport.buildkit.protocol.errors import EngineLost, EngineUnreachable
from homeport.buildkit.solve import Build, Solved
from homeport.buildkit.status import StatusListener
from homeport.content.thread_pools import Pool, run_all
from homeport.errors import HomeportError, UsageError
from homeport.images.image import Child, Image, Index, child_of, new_index
from homeport.images.platforms import platforms_of, select
from homeport.oci.platform import Platform

#: What a processor runs besides its own platform, by architecture.
_RUNS_TOO = {"amd64": ("386",), "arm64": ("arm",)}

ListenerFor = Callable[[Engine], StatusListener | None]


class NoEngineFor(UsageError):
    """No engine builds for a platform that was asked for."""

    id = "no-engine-for"


def schedule(
    platforms: Sequence[Platform], descriptions: Mapping[str, Description]
) -> dict[str, list[Platform]]:
    """Platforms by engine's name. Raises ``NoEngineFor``, which names all that have none."""
    placed: dict[str, list[Platform]] = {name: [] for name in descriptions}
    unscheduled = []
    for platform in platforms:
        for fits in (_native, _listed):
            able = [name for name, each in descriptions.items() if fits(each, platform)]
            if able:
                placed[min(able, key=lambda name: len(placed[name]))].append(platform)
                break
        else:
            unscheduled.append(platform)
    if unscheduled:
        raise NoEngineFor(
            f"no engine builds for {', '.join(map(str, unscheduled))}",
            hint="name an engine that does with --engine, or install QEMU's binfmt on one",
        )
    return {name: each for name, each in placed.items() if each}


@contextmanager
def image_from_engines(
    engines: Sequence[Engine],
    build: Build,
    platforms: Sequence[Platform],
    how: ImageOptions,
    listener_for: ListenerFor,
) -> Iterator[tuple[Image | Index, Solved]]:
    """``built_image`` over any number of engines, several at the same time."""
    if len(engines) == 1 or len(platforms) < 2:
        with built_image(engines[0], build, platforms, how) as result:
            yield result
        return
    by_name = {engine.name: engine for engine in engines}
    described = _reachable(by_name, how)
    with ExitStack() as stack:
        rounds = _Rounds(
            engines=by_name, build=build, how=how, listener_for=listener_for, stack=stack
        )
        done, lost = rounds.build_all(schedule(platforms, described))
        if lost:
            rest = {name: each for name, each in described.items() if name not in lost}
            again = [platform for name in lost for platform in lost[name][0]]
            if not rest:
                raise next(iter(lost.values()))[1]
            for name, (_, error) in lost.items():
                how.runtime.progress.note(
                    "engines",
                    f"warning: lost {name} ({error.what}); building elsewhere",
                )
            more, lost = rounds.build_all(schedule(again, rest))
            if lost:
                raise next(iter(lost.values()))[1]
            done |= more
        solved = next(iter(done.values()))[1]
        children = [_child(done[platform][0], platform) for platform in platforms]
        yield new_index(children), solved


_Done = dict[Platform, tuple[Image | Index, Solved]]
_LostEngines = dict[str, tuple[list[Platform], HomeportError]]


class _Rounds(msgspec.Struct, frozen=True, kw_only=True):
    """What all rounds share."""

    engines: Mapping[str, Engine]
    build: Build
    how: ImageOptions
    listener_for: ListenerFor
    stack: ExitStack

    def build_all(self, placed: Mapping[str, list[Platform]]) -> tuple[_Done, _LostEngines]:
        """On all engines at once: results by platform, and the lost engines."""
        done: _Done = {}
        lost: _LostEngines = {}
        # A pool of its own: each build is a coordinator, which waits for tasks of the others.
        pool = Pool(len(placed), "engines")
        try:
            calls = [partial(self._attempt, name, placed[name]) for name in placed]
            outcomes = run_all(pool, calls)
        finally:
            pool.close()
        for name, outcome in zip(placed, outcomes, strict=True):
            if isinstance(outcome, HomeportError):
                lost[name] = (placed[name], outcome)
            else:
                done |= dict.fromkeys(placed[name], outcome)
        return done, lost

    def _attempt(
        self, name: str, platforms: list[Platform]
    ) -> tuple[Image | Index, Solved] | EngineLost | EngineUnreachable:
        try:
            return self._one(name, platforms)
        except (EngineLost, EngineUnreachable) as error:
            return error

    def _one(self, name: str, platforms: list[Platform]) -> tuple[Image | Index, Solved]:
        engine = self.engines[name]
        attrs = self.build.attrs
        if self.build.frontend:
            attrs = {**attrs, "platform": ",".join(map(str, platforms))}
        alone = msgspec.structs.replace(self.build, attrs=attrs)
        how = msgspec.structs.replace(self.how, listener=self.listener_for(engine))
        return self.stack.enter_context(built_image(engine, alone, platforms, how))


def _reachable(engines: Mapping[str, Engine], how: ImageOptions) -> dict[str, Description]:
    found, errors = {}, []
    for name, engine in engines.items():
        try:
            found[name] = describe(engine, how.cancel)
        except EngineUnreachable as error:
            errors.append(error)
            how.runtime.progress.note("engines", f"warning: {error.what}")
    if not found:
        raise errors[0]
    return found


def _native(description: Description, platform: Platform) -> bool:
    own = [worker.platforms[0] for worker in description.workers if worker.platforms]
    return any(
        platform.satisfies(each)
        or (
            platform.os == each.os and platform.architecture in _RUNS_TOO.get(each.architecture, ())
        )
        for each in own
    )


def _listed(description: Description, platform: Platform) -> bool:
    return any(
        platform.satisfies(each) for worker in description.workers for each in worker.platforms
    )


def _child(value: Image | Index, platform: Platform) -> Child:
    """The one image for ``platform`` in what an engine built."""
    if isinstance(value, Image) or not platforms_of(value):
        return child_of(value)
    return child_of(select(value, [platform]))
