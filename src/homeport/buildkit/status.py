"""What a build is doing, from the engine's stream of statuses: steps, logs, warnings.

Records of one step come in pieces and more than once (a cache look-up, then a run); the
last one wins. Logs are cut anywhere, so lines are put together per step. Events go to a
``StatusListener``; how they look is the command line's business (``homeport.cli``).
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from homeport.buildkit.protocol.control import (
    StatusResponse,
    Vertex,
    VertexLog,
    VertexStatus,
    VertexWarning,
)

_LINE_LIMIT = 64 << 10
_KEPT_LINES = 200  # of each step's log, for the error
_MOST_STEPS = 100_000  # an engine that reports more is not followed further
_MOST_WARNINGS = 10_000


class StatusListener(Protocol):
    """Receives the events of a running build."""

    def step(self, number: int, vertex: Vertex) -> None:
        """A step started, was found cached, completed or failed."""

    def log(self, number: int, vertex: str, line: str, stream: int) -> None:
        """A whole line that a step printed (stream 1 or 2)."""

    def transfer(self, number: int, status: VertexStatus) -> None:
        """How far a part of a step is: a download, the context."""

    def warning(self, warning: VertexWarning) -> None: ...

    def raw(self, response: StatusResponse) -> None:
        """Everything as it came, for ``rawjson``."""

    def tick(self) -> None:
        """Called about every second as long as the build runs, whatever the engine reports."""


class Unwatched:
    """Ignores everything."""

    def step(self, number: int, vertex: Vertex) -> None:
        pass

    def log(self, number: int, vertex: str, line: str, stream: int) -> None:
        pass

    def transfer(self, number: int, status: VertexStatus) -> None:
        pass

    def warning(self, warning: VertexWarning) -> None:
        pass

    def raw(self, response: StatusResponse) -> None:
        pass

    def tick(self) -> None:
        pass


class Step(msgspec.Struct):
    """A step as far as it is known. ``seconds`` from its last start to its end."""

    number: int
    vertex: Vertex
    lines: list[str] = msgspec.field(default_factory=list)
    partial: bytes = b""

    @property
    def seconds(self) -> float | None:
        started, completed = self.vertex.started, self.vertex.completed
        if started is None or completed is None:
            return None
        return (completed - started) / 1e9


class Steps:
    """The state of a build, fed with responses."""

    def __init__(self, listener: StatusListener | None = None) -> None:
        self._watcher = listener or Unwatched()
        self.by_digest: dict[str, Step] = {}
        self.warnings: list[VertexWarning] = []

    def feed(self, response: StatusResponse) -> None:
        self._watcher.raw(response)
        for vertex in response.vertexes:
            self._vertex(vertex)
        for status in response.statuses:
            if step := self.by_digest.get(status.vertex):
                self._watcher.transfer(step.number, status)
        for log in response.logs:
            self._log(log)
        for warning in response.warnings[: _MOST_WARNINGS - len(self.warnings)]:
            self.warnings.append(warning)
            self._watcher.warning(warning)

    def tick(self) -> None:
        self._watcher.tick()

    def warn(self, text: str) -> None:
        """A warning of our own, beside those of the engine."""
        self._watcher.warning(VertexWarning(short=text.encode("utf-8", "surrogateescape")))

    def finish(self) -> None:
        """Lines without an end become lines."""
        for step in self.by_digest.values():
            if step.partial:
                self._line(step, step.partial, 1)
                step.partial = b""

    @property
    def failed(self) -> Step | None:
        """The step that failed first, not those that were given up because of it."""
        broken = [step for step in self.by_digest.values() if step.vertex.error]
        real = [s for s in broken if not s.vertex.error.endswith(("context canceled", "canceled"))]
        return next(iter(sorted(real or broken, key=lambda s: s.vertex.completed or 0)), None)

    def _vertex(self, vertex: Vertex) -> None:
        step = self.by_digest.get(vertex.digest)
        if step is None and len(self.by_digest) >= _MOST_STEPS:
            return
        if step is None:
            step = self.by_digest[vertex.digest] = Step(len(self.by_digest) + 1, vertex)
        elif step.vertex == vertex:
            return
        step.vertex = vertex
        if vertex.started is not None or vertex.cached or vertex.error:
            if vertex.completed is not None and step.partial:
                self._line(step, step.partial, 1)
                step.partial = b""
            self._watcher.step(step.number, vertex)

    def _log(self, log: VertexLog) -> None:
        step = self.by_digest.get(log.vertex)
        if step is None:
            return
        *whole, rest = (step.partial + log.msg).split(b"\n")
        for line in whole:
            self._line(step, line, log.stream)
        step.partial = rest
        if len(rest) > _LINE_LIMIT:
            self._line(step, rest, log.stream)
            step.partial = b""

    def _line(self, step: Step, line: bytes, stream: int) -> None:
        text = line.rsplit(b"\r", 1)[-1] if line.rstrip(b"\r").count(b"\r") else line
        shown = text.decode("utf-8", "replace").rstrip("\r")
        step.lines.append(shown)
        del step.lines[:-_KEPT_LINES]
        self._watcher.log(step.number, step.vertex.digest, shown, stream)
