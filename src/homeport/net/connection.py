"""One connection that speaks HTTP/1.1: a request out, its answer in, then perhaps the next.

Not for how a connection comes about or who gets it next (``net.pools``), nor for what an
answer means. What goes wrong comes out as ``OSError``, ``EOFError`` (the other side ended too
early) or ``Malformed``; ``net.errors`` has the words for it.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections.abc import Callable
from typing import Protocol

from homeport.net.http1 import (
    LONGEST_HEAD,
    Framing,
    Head,
    Malformed,
    NoAnswer,
    chunk_size,
    end_of_head,
    framing,
    read_head,
)

_READ = 64 << 10  # bytes asked for while a head is read
_LONGEST_LINE = 4 << 10  # bytes of a chunk's first line or of a trailer
_INTERIM = 16  # answers of the kind "100 Continue" before the real one
_TRAILERS = 256  # lines after the last chunk
_COPIED = 256 << 10  # bytes of a file that are read at once where they have to be
_JOINED = 64 << 10  # a body up to here travels together with its head


class Channel(Protocol):
    """What we need of a socket; TLS within TLS is none, but can do this."""

    def recv(self, size: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> None: ...
    def settimeout(self, seconds: float | None, /) -> None: ...
    def gettimeout(self) -> float | None: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


class Connection:
    """A channel and what was read from it too early. For one thread at a time."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._descriptor = channel.fileno()  # TLS goes on with the same
        self._unsent = b""
        self._held = b""
        self._broken = False

    def settimeout(self, seconds: float) -> None:
        """How long to wait for each byte from now on."""
        self._channel.settimeout(seconds)

    def change(self, wrap: Callable[[Channel], Channel]) -> None:
        """Go on with what ``wrap`` makes of the channel: TLS."""
        self._channel = wrap(self._channel)

    def ask(self, method: str, head: bytes, send_body: Callable[[], None] = lambda: None) -> Answer:
        """Send a request and read the head of its answer; ``send_body`` calls ``send``."""
        self._unsent = head
        try:
            send_body()
            self._send_head()
        except (BrokenPipeError, ConnectionResetError):
            # It has hung up on us; often it has said why before (413, 401).
            self._broken = True
        for _ in range(_INTERIM):
            found = self._read_head()
            if found.status >= 200:
                return Answer(self, found, framing(found, method))
            if found.status == 101:
                raise Malformed("it wants to speak another protocol")
        raise Malformed("it answers 1xx without end")

    def send(self, data: bytes) -> None:
        """Send bytes of the body, the first of them together with the head if they are few."""
        if len(data) <= _JOINED:
            data, self._unsent = self._unsent + data, b""
        else:
            self._send_head()
        self._channel.sendall(data)

    def send_file(self, descriptor: int, offset: int, length: int) -> int:
        """Send some bytes of an open file; how many they were, 0 at its end."""
        self._send_head()
        if type(self._channel) is not socket.socket:  # TLS has to see the bytes
            data = os.pread(descriptor, min(length, _COPIED), offset)
            self._channel.sendall(data)
            return len(data)
        while True:
            try:
                return os.sendfile(self._descriptor, descriptor, offset, length)
            except BlockingIOError:  # a socket with a time limit is one that does not block
                if not self._ready(select.POLLOUT, self._channel.gettimeout()):
                    raise TimeoutError from None

    def receive(self, size: int) -> bytes:
        """Up to ``size`` bytes as soon as some are there; empty when the other side ended."""
        held = self._held
        if held:
            self._held = held[size:]
            return held[:size]
        return self._channel.recv(size)

    def read_line(self) -> bytes:
        """A line without its end."""
        while (end := self._held.find(b"\n")) < 0:
            if len(self._held) > _LONGEST_LINE:
                raise Malformed("a line within its body is too long")
            self._fill("within the body")
        line, self._held = self._held[:end], self._held[end + 1 :]
        return line.rstrip(b"\r")

    @property
    def clean(self) -> bool:
        """Whether all went well and nothing unread is left."""
        return not self._broken and not self._held

    @property
    def stale(self) -> bool:
        """Whether the other side has hung up, or speaks unasked, since the last answer."""
        return self._ready(select.POLLIN, 0)

    def abort(self) -> None:
        """Wake whoever waits here; for another thread, as long as nobody closes it meanwhile."""
        # Not the method of a TLS socket, which would take its state from under the reader.
        with (
            contextlib.suppress(OSError),
            socket.socket(fileno=os.dup(self._descriptor)) as duplicate,
        ):
            duplicate.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._broken = True
        with contextlib.suppress(OSError):
            self._channel.close()

    def _ready(self, event: int, seconds: float | None) -> bool:
        """Whether ``event`` comes within so many seconds."""
        poll = select.poll()
        poll.register(self._descriptor, event)
        return bool(poll.poll(None if seconds is None else seconds * 1000))

    def _send_head(self) -> None:
        if self._unsent:
            self._channel.sendall(self._unsent)
            self._unsent = b""

    def _read_head(self) -> Head:
        searched, ends = 0, None
        while (end := end_of_head(self._held, max(0, searched - 2))) < 0:
            searched = len(self._held)
            if searched > LONGEST_HEAD:
                raise Malformed("its header is too long")
            if searched and not self._held.startswith(b"HTTP/"[:searched]):
                raise NoAnswer(f"it begins with {self._held[:40]!r}")
            if ends is not None and time.monotonic() > ends:
                raise TimeoutError  # a byte now and then is silence too
            self._fill("in mid-header" if searched else "without an answer")
            if ends is None:
                ends = time.monotonic() + (self._channel.gettimeout() or 0.0)
        head, self._held = self._held[:end], self._held[end:]
        if end > LONGEST_HEAD:
            raise Malformed("its header is too long")
        return read_head(head)

    def _fill(self, where: str) -> None:
        more = self._channel.recv(_READ)
        if not more:
            raise EOFError(where)
        self._held += more


class Answer:
    """The head of an answer, and its body to be read once."""

    def __init__(self, connection: Connection, head: Head, framing: Framing) -> None:
        self.head = head
        self.connection = connection
        self._chunked = framing.chunked
        self._left = 0 if framing.chunked else framing.length
        self.ended = self._left == 0 and not self._chunked
        self._in_chunk = False

    @property
    def reusable(self) -> bool:
        """Whether the connection may serve another request now."""
        whole = self.ended and self._left == 0  # and not merely over because the other side left
        return whole and self.head.persistent and self.connection.clean

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes as soon as some are there; empty at the end of the body.

        Raises ``EOFError`` if the connection ends before the body does.
        """
        if self._chunked and self._left == 0 and not self.ended:
            self._next_chunk()
        if self.ended:
            return b""
        data = self.connection.receive(size if self._left is None else min(size, self._left))
        if self._left is None:
            self.ended = not data
            return data
        if not data:
            raise EOFError("within the body")
        self._left -= len(data)
        self.ended = self._left == 0 and not self._chunked
        return data

    def _next_chunk(self) -> None:
        """Read what stands between two chunks, and the trailers after the last (RFC 9112, 7.1)."""
        if self._in_chunk and self.connection.read_line():
            raise Malformed("a chunk is longer than it says")
        self._in_chunk = True
        self._left = chunk_size(self.connection.read_line())
        if self._left == 0:
            for _ in range(_TRAILERS):
                if not self.connection.read_line():
                    self.ended = True
                    return
            raise Malformed("its trailers do not end")
