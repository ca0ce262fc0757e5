"""An answer whose body is read as it comes, bounded and watched.

Bytes are never decoded: digests are over what the server sent. Every read checks the
cancel token and the deadline, and notices a connection that was cut or went silent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from homeport.content.reading import CHUNK, read_bounded
from homeport.net.clock import Clock, Deadline
from homeport.net.connection import Answer
from homeport.net.error_mapping import mapped
from homeport.net.errors import ConnectionCut, NetError, Stalled
from homeport.net.http1 import Malformed
from homeport.net.url import Url
from homeport.progress import CancelToken

_DRAINED = 64 << 10  # bytes read to the end so that a connection can be used again
_DRAIN_READS = 4  # reads that this may take: a slow rest is not worth a connection
_TRICKLE = 64  # bytes per stall limit below which a connection counts as silent

#: What ``net.connection`` raises while a body is read.
_READ_ERRORS = (OSError, EOFError, Malformed)


class Response:
    """``status``, ``headers`` (names in lower case), the ``url`` that answered, and the body."""

    def __init__(
        self,
        answer: Answer,
        url: Url,
        *,
        clock: Clock,
        cancel: CancelToken,
        deadline: Deadline | None,
        stall: float,
        release: Callable[[bool], None],
    ) -> None:
        self.status = answer.head.status
        headers: dict[str, str] = {}
        for name, value in answer.head.fields:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        self.headers: Mapping[str, str] = headers
        self.url = url
        self.received = 0
        self._answer = answer
        self._clock = clock
        self._cancel = cancel
        self._deadline = deadline
        self._stall = stall
        self._release = release
        self._window_start = clock.monotonic()
        self._window_bytes = 0
        self._ended = False
        if answer.ended:
            self._give_back()

    @property
    def length(self) -> int | None:
        """The body's length if the server declared one."""
        value = self.headers.get("content-length", "")
        return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else None

    @property
    def media_type(self) -> str:
        """``Content-Type`` without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def header_values(self, name: str) -> tuple[str, ...]:
        """Every header of that name by itself (a challenge may come in several)."""
        return tuple(self._answer.head.values(name.lower()))

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes as soon as some are there; empty at the end.

        Raises ``ConnectionCut`` when the body ends early and ``Stalled`` when next to
        nothing comes.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        if self._ended or size == 0:
            return b""
        self._cancel.check()
        if self._deadline is not None:
            self._deadline.left()
        try:
            data = self._answer.read(size)
        except _READ_ERRORS as error:
            self._give_back()
            self._cancel.check()
            raise _answered(self._cut(error)) from error
        self.received += len(data)
        if self._answer.ended:
            self._give_back()
        self._watch(len(data))
        return data

    def read_all(self, limit: int, what: str = "the answer") -> bytes:
        """The whole body, which may have at most ``limit`` bytes (``TooLarge``)."""
        try:
            return read_bounded(self, limit, f"{what} of {self.url.host}")
        finally:
            self.close()

    def close(self) -> None:
        """Give the connection back; a short rest is read so that it can be used again."""
        if not self._ended:
            self._drain()
            self._give_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _give_back(self) -> None:
        """No more is read; the connection is kept if another request may go there."""
        if not self._ended:
            self._ended = True
            self._release(self._answer.reusable)

    def _drain(self) -> None:
        length = self.length
        if length is None or length - self.received > _DRAINED or self._cancel.cancelled:
            return
        try:
            for _ in range(_DRAIN_READS):
                if self._answer.ended or not self._answer.read(_DRAINED):
                    return
        except _READ_ERRORS:
            return

    def _cut(self, error: Exception) -> NetError:
        if isinstance(error, EOFError) and self.length is not None:
            return ConnectionCut(
                f"{self.url.host} closed the connection after {self.received} of "
                f"{self.length} bytes",
                where={"url": str(self.url)},
            )
        return mapped(error, self.url)

    def _watch(self, count: int) -> None:
        """A byte now and then keeps a socket from timing out; it is silence all the same."""
        self._window_bytes += count
        now = self._clock.monotonic()
        if now - self._window_start < self._stall:
            return
        if self._window_bytes < _TRICKLE and not self._ended:
            self._give_back()
            raise _answered(
                Stalled(
                    f"{self.url.host} sends next to nothing ({self._window_bytes} bytes in "
                    f"{now - self._window_start:.0f} s)",
                    where={"url": str(self.url)},
                )
            )
        self._window_start, self._window_bytes = now, 0


def _answered(error: NetError) -> NetError:
    error.answered = True
    return error
