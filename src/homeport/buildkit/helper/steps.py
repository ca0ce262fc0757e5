"""One command in an image, run by the engine: its exit code's truth and what it printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from homeport.buildkit.helper.trial import Trial
from homeport.buildkit.llb.marshal import marshal
from homeport.buildkit.llb.state import MountSpec, State
from homeport.buildkit.protocol.errors import EngineRefused
from homeport.buildkit.solve import Build, solve
from homeport.buildkit.status import Unwatched

_ENTITLEMENT = "security.insecure"
_EXITED = "exit code: "
_KEPT = 1 << 20  # characters of each stream
_LINE_COSTS = 64  # so many characters does a line count besides its own


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended. ``error`` is empty after exit code 0."""

    error: str
    out: tuple[str, ...]
    err: tuple[str, ...]

    @property
    def ran(self) -> bool:
        """Whether the program was started at all."""
        return not self.error or _EXITED in self.error

    @property
    def why(self) -> str:
        """The engine's reason and what the program gave as its error, for people."""
        told = [line for line in self.err if line.startswith("error: ")] or self.err[-1:]
        return self.error + (f" ({told[0]})" if self.error and told else "")

    @property
    def forbidden(self) -> bool:
        """Whether the engine gives no privileges."""
        return _ENTITLEMENT in self.error


class Streams(Unwatched):
    """Keeps the lines of both streams apart, and the beginning alone of a flood."""

    def __init__(self) -> None:
        self.lines: dict[int, list[str]] = {1: [], 2: []}
        self._left = {1: _KEPT, 2: _KEPT}

    def log(self, number: int, vertex: str, line: str, stream: int) -> None:
        if self._left.get(stream, 0) < len(line) + _LINE_COSTS:
            self._left[stream] = 0
            return
        self._left[stream] -= len(line) + _LINE_COSTS
        self.lines[stream].append(line)


def run_step(
    trial: Trial, root: State, args: Sequence[str], *,
    environment: Mapping[str, str] | None = None, mounts: Sequence[MountSpec] = (),
    privileged: bool = False,
) -> Ended:  # fmt: skip
    """Run a command without a network, never from the cache. Raises what a lost engine raises."""
    ran = root.run(
        args, env=environment, mounts=mounts, network="none", insecure=privileged,
        ignore_cache=True, name=" ".join(args),
    )  # fmt: skip
    build = Build(definition=marshal(ran.root), entitlements=(_ENTITLEMENT,) if privileged else ())
    streams, error = Streams(), ""
    try:
        solve(trial.engine, build, listener=streams, cancel=trial.runtime.cancel)
    except EngineRefused as failure:  # BuildFailed, and entitlements that are not granted
        error = failure.what
    return Ended(error=error, out=tuple(streams.lines[1]), err=tuple(streams.lines[2]))
