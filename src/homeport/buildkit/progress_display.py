"""How a build looks while it runs: lines as buildx prints them, JSON as it came, or bars.

Made for one build each; ``homeport.buildkit.status`` feeds them. Where lines go is the
caller's business.
"""

from __future__ import annotations

import base64
import datetime
import time
from collections.abc import Callable
from typing import Any

import msgspec

from homeport.buildkit.protocol.control import StatusResponse, Vertex, VertexStatus, VertexWarning
from homeport.progress import Progress

Print = Callable[[str], None]


#: Seconds after which a step that printed nothing is shown to be running.
SILENCE = 30.0


class PlainWatcher(msgspec.Struct):
    """``#4 [2/3] COPY a b``, then its log lines, then ``#4 DONE 0.1s``.

    Some CI systems end a job that prints nothing: a step that is silent is named now and then.
    """

    print: Print
    clock: Callable[[], float] = time.monotonic
    _running: dict[int, tuple[str, float]] = msgspec.field(default_factory=dict)
    _printed: dict[int, float] = msgspec.field(default_factory=dict)
    _begun: dict[int, int] = msgspec.field(default_factory=dict)
    _transfers_printed: set[tuple[int, str]] = msgspec.field(default_factory=set)
    _ended: dict[int, str] = msgspec.field(default_factory=dict)

    def step(self, number: int, vertex: Vertex) -> None:
        if number not in self._begun:
            self.print(f"#{number} {vertex.name}")
        self._note_running(number, vertex)
        if vertex.started is not None:
            self._begun[number] = vertex.started
        self._begun.setdefault(number, 0)
        if vertex.error:
            self._end(number, f"ERROR: {vertex.error}")
        elif vertex.cached:
            self._end(number, "CACHED")
        elif vertex.completed is not None and vertex.started is not None:
            self._end(number, f"DONE {(vertex.completed - vertex.started) / 1e9:.1f}s")

    def tick(self) -> None:
        now = self.clock()
        for number, (name, since) in self._running.items():
            if now - self._printed[number] >= SILENCE:
                self._printed[number] = now
                self.print(f"#{number} {name}: running for {now - since:.0f} s")

    def _note_running(self, number: int, vertex: Vertex) -> None:
        over = vertex.cached or vertex.error or vertex.completed is not None
        if vertex.started is None or over:
            self._running.pop(number, None)
        elif number not in self._running:
            self._printed[number] = self.clock()
            self._running[number] = (vertex.name, self._printed[number])

    def _end(self, number: int, text: str) -> None:
        kind = text.split(" ", 1)[0]
        if self._ended.get(number) != kind:
            self._ended[number] = kind
            self.print(f"#{number} {text}")

    def log(self, number: int, vertex: str, line: str, stream: int) -> None:
        self._printed[number] = self.clock()
        self.print(f"#{number} {line}")

    def transfer(self, number: int, status: VertexStatus) -> None:
        if status.completed is not None and (number, status.id) not in self._transfers_printed:
            self._transfers_printed.add((number, status.id))
            amount = f" {_size(status.current)}" if status.current else ""
            self.print(f"#{number} {status.name or status.id}{amount} done")

    def warning(self, warning: VertexWarning) -> None:
        self.print(f"WARNING: {warning.short.decode('utf-8', 'replace')}")

    def raw(self, response: StatusResponse) -> None:
        pass


class JsonWatcher(msgspec.Struct):
    """One line of JSON for each response, in the form of buildx's rawjson."""

    print: Print

    def raw(self, response: StatusResponse) -> None:
        document = {
            "vertexes": [_vertex(each) for each in response.vertexes],
            "statuses": [_status(each) for each in response.statuses],
            "logs": [
                {
                    "vertex": each.vertex,
                    "stream": each.stream,
                    "data": base64.b64encode(each.msg).decode(),
                    "timestamp": _time(each.timestamp),
                }
                for each in response.logs
            ],
            "warnings": [
                {
                    "vertex": each.vertex,
                    "level": each.level,
                    "short": base64.b64encode(each.short).decode(),
                    "url": each.url,
                }
                for each in response.warnings
            ],
        }
        kept = {key: value for key, value in document.items() if value}
        if kept:
            self.print(msgspec.json.encode(kept).decode())

    def step(self, number: int, vertex: Vertex) -> None:
        pass

    def log(self, number: int, vertex: str, line: str, stream: int) -> None:
        pass

    def transfer(self, number: int, status: VertexStatus) -> None:
        pass

    def tick(self) -> None:
        pass

    def warning(self, warning: VertexWarning) -> None:
        pass


class BarWatcher(msgspec.Struct):
    """Steps as pieces of work of ``Progress``: bars on a terminal."""

    progress: Progress
    _begun: set[int] = msgspec.field(default_factory=set)
    _running: set[int] = msgspec.field(default_factory=set)

    def step(self, number: int, vertex: Vertex) -> None:
        id = f"build {number}"
        if vertex.started is not None:
            self._running.add(number)
        if vertex.completed is None and not vertex.error:
            if number not in self._begun:
                self._begun.add(number)
                self.progress.begin(id, label=vertex.name)
            return
        if number not in self._begun:
            self.progress.begin(id, label=vertex.name)
        self._begun.discard(number)
        self.progress.end(id, "failed" if vertex.error else "cached" if vertex.cached else "done")

    def log(self, number: int, vertex: str, line: str, stream: int) -> None:
        self.progress.note(f"build {number}", line)

    def transfer(self, number: int, status: VertexStatus) -> None:
        pass

    def tick(self) -> None:
        """Nothing more of any step; who shows lines may say that it goes on."""
        for number in sorted(self._begun & self._running):
            self.progress.advance(f"build {number}", 0)

    def warning(self, warning: VertexWarning) -> None:
        self.progress.note("build", f"warning: {warning.short.decode('utf-8', 'replace')}")

    def raw(self, response: StatusResponse) -> None:
        pass

    def close(self) -> None:
        """End what a failed build left open."""
        for number in sorted(self._begun):
            self.progress.end(f"build {number}", "cancelled")
        self._begun.clear()


def _vertex(vertex: Vertex) -> dict[str, Any]:
    found: dict[str, Any] = {"digest": vertex.digest, "name": vertex.name}
    if vertex.inputs:
        found["inputs"] = list(vertex.inputs)
    if vertex.started is not None:
        found["started"] = _time(vertex.started)
    if vertex.completed is not None:
        found["completed"] = _time(vertex.completed)
    if vertex.cached:
        found["cached"] = True
    if vertex.error:
        found["error"] = vertex.error
    return found


def _status(status: VertexStatus) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": status.id, "vertex": status.vertex, "name": status.name, "total": status.total,
        "current": status.current, "timestamp": _time(status.timestamp),
    }  # fmt: skip
    if status.started is not None:
        found["started"] = _time(status.started)
    if status.completed is not None:
        found["completed"] = _time(status.completed)
    return found


def _time(nanoseconds: int | None) -> str:
    """RFC 3339 with nanoseconds; Go's zero time where there is none."""
    if nanoseconds is None:
        return "0001-01-01T00:00:00Z"
    seconds, rest = divmod(nanoseconds, 10**9)
    try:
        moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return "0001-01-01T00:00:00Z"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _size(count: int) -> str:
    number = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            return f"{count}B" if unit == "B" else f"{number:.2f}{unit}"
        number /= 1000
    raise AssertionError
