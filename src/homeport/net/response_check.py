"""What a response must look like before ``http.client`` parses it.

``http.client`` and urllib3 read responses more leniently than is safe on a connection that is
used again: they take folded and bare header lines, endless ``1xx`` responses, lengths such as
``+5``, chunk sizes such as ``0x1_0``, and lines of any length. ``CheckedResponse`` reads the
head itself, bounded, refuses what is ambiguous (RFC 9112, sections 5.2, 6.3, 7.1 and 11.2), and
hands exactly the checked bytes to ``http.client``. It also knows how many bytes came behind the
answer, so that they never become part of the next one.

Not for what a response means (``net.response``) or for sending (``net.connection``).
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import time
from collections.abc import Callable
from typing import Any, cast

LONGEST_HEAD = 64 << 10  # bytes of status line and header fields
_LONGEST_LINE = 4 << 10  # bytes of a chunk's size line or of a trailer
_MOST_INTERIM = 16  # 1xx responses before the real one
_MOST_TRAILERS = 100
_FREE_CHUNKS = 10_000  # chunks whose size is not checked
_SMALL_CHUNK = 64  # bytes that further chunks must have on average
_BLOCK = 64 << 10  # bytes read from the socket at once

_STATUS = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9]{2})(?: [^\r\n]*)?")
_FIELD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")


class Malformed(http.client.HTTPException):
    """The response violates HTTP, or its end is ambiguous."""


class NotHttp(Malformed):
    """The bytes do not begin as a response does."""


class CheckedResponse(http.client.HTTPResponse):
    """A response of ``http.client`` whose bytes are checked first.

    leftover: called once if the server sent bytes behind the response
    limit:    seconds that the head may take from its first byte on
    """

    def __init__(
        self, sock: Any, *arguments: Any,
        leftover: Callable[[], None] = lambda: None, limit: float | None = None, **more: Any,
    ) -> None:  # fmt: skip
        super().__init__(sock, *arguments, **more)
        raw = self.fp.detach()  # nothing has been read yet
        self._checked = _CheckedReader(cast(socket.SocketIO, raw), leftover, limit)
        self.fp = cast(io.BufferedReader, self._checked)

    def begin(self) -> None:
        """Read the head of the response. Raises ``Malformed``, ``OSError``."""
        for _ in range(_MOST_INTERIM):
            status, head = self._checked.read_head()
            if status == 101:
                raise Malformed("the server switched protocols without a request to do so")
            if status >= 200:
                break
        else:
            raise Malformed(f"more than {_MOST_INTERIM} interim (1xx) responses")
        framing = _framing(head)
        self._checked.replay(head)
        super().begin()
        if self.length == 0:  # HEAD, 204 and 304 have no body, whatever their fields say
            self.chunked = False
        elif (self.chunked, self.length) != framing:
            raise Malformed(
                "the end of the response is ambiguous"
            )  # http.client reads it otherwise
        if self.chunked:
            self._checked.expect_chunks()

    def read1(self, n: int = -1) -> bytes:
        """As in ``http.client``, but small chunks that are here already come together."""
        data = super().read1(n)
        if not self.chunked or not data:
            return data
        parts, left = [data], n - len(data)
        while left > 0 and self._checked.has_chunk and (data := super().read1(left)):
            parts.append(data)
            left -= len(data)
        return b"".join(parts)


class _CheckedReader:
    """The file that ``http.client`` reads a response from; knows what it has buffered."""

    def __init__(
        self, raw: socket.SocketIO, leftover: Callable[[], None], limit: float | None
    ) -> None:
        self._raw = raw
        self._leftover = leftover
        self._limit = limit
        self._held = b""
        self._at = 0  # where the unread bytes of ``_held`` begin
        self._head_bytes = 0
        self._began = 0.0
        self._in_chunks = False
        self._chunk_left = -1  # bytes of the chunk that are still to come; -1 before the first
        self._chunks = 0
        self._chunk_bytes = 0
        self._trailers = 0
        self.closed = False

    @property
    def has_chunk(self) -> bool:
        """Whether bytes of the next chunk, or of the rest of this one, are here already."""
        at = self._at
        if self._chunk_left == 0:
            at = self._held.find(b"\n", at + 2, at + _LONGEST_LINE) + 1
        return 0 < at < len(self._held) or (self._chunk_left > 0 and at < len(self._held))

    def read_head(self) -> tuple[int, bytes]:
        """The status and the bytes of one head, through its empty line."""
        lines = [self._head_line()]
        found = _STATUS.fullmatch(lines[0].rstrip(b"\r\n"))
        if found is None:
            raise NotHttp(f"the response begins with {lines[0][:60]!r}")
        while (line := self._head_line()).rstrip(b"\r\n"):
            if not _FIELD.fullmatch(line.rstrip(b"\r\n")):
                raise Malformed(f"invalid header line {line[:60]!r}")
            lines.append(line)
        return int(found[1]), b"".join([*lines, b"\r\n"])

    def replay(self, head: bytes) -> None:
        """Have ``http.client`` read these bytes next."""
        self._held, self._at = head + self._held[self._at :], 0
        self._head_bytes = 0

    def expect_chunks(self) -> None:
        """The lines that follow are sizes of chunks, then trailers."""
        self._in_chunks = True

    # The methods that http.client calls.

    def readline(self, _limit: int = -1, /) -> bytes:
        if not self._in_chunks:
            return self._head_line()
        line = self._line(_LONGEST_LINE, "a line between chunks")
        if self._trailers:
            if line.rstrip(b"\r\n"):
                self._trailers += 1
            if self._trailers > 1 + _MOST_TRAILERS:
                raise Malformed(f"more than {_MOST_TRAILERS} trailer fields")
            return line
        size = _CHUNK_SIZE.fullmatch(line.rstrip(b"\r\n"))
        if size is None:
            raise Malformed(f"invalid chunk size {line[:40]!r}")
        self._count_chunk(int(size[1], 16))
        return size[1] + b"\r\n"

    def read(self, size: int = -1, /) -> bytes:
        ends_chunk = self._in_chunks and self._chunk_left == 0
        parts = []
        while size and (data := self.read1(size)):
            parts.append(data)
            size -= len(data) if size > 0 else 0
        found = b"".join(parts)
        if ends_chunk and found != b"\r\n":
            raise Malformed("a chunk is longer than its size says")
        return found

    def read1(self, size: int = -1, /) -> bytes:
        if self._at < len(self._held):
            end = len(self._held) if size < 0 else self._at + size
            data = self._held[self._at : end]
            self._at += len(data)
        else:
            data = self._raw.read(_BLOCK if size < 0 else size) or b""
        if self._chunk_left > 0:
            self._chunk_left -= len(data)
        return data

    def readinto(self, buffer: Any, /) -> int:
        data = self.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def flush(self) -> None:
        """Nothing is written here."""

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._raw.close()
            if self._at < len(self._held):
                self._leftover()

    def _count_chunk(self, size: int) -> None:
        self._chunk_left = size
        self._chunks += 1
        self._chunk_bytes += size
        if size == 0:
            self._trailers = 1
        elif self._chunks > _FREE_CHUNKS and self._chunk_bytes < self._chunks * _SMALL_CHUNK:
            raise Malformed(f"{self._chunks} chunks with less than {_SMALL_CHUNK} bytes on average")

    def _head_line(self) -> bytes:
        line = self._line(LONGEST_HEAD - self._head_bytes, "the header of the response")
        self._head_bytes += len(line)
        return line

    def _line(self, limit: int, what: str) -> bytes:
        """A line with its end."""
        searched = self._at
        while (end := self._held.find(b"\n", searched) + 1) <= 0:
            if len(self._held) - self._at > limit:
                raise Malformed(f"{what} is too long")
            searched = len(self._held) - self._at
            self._fill()
        if end - self._at > limit:
            raise Malformed(f"{what} is too long")
        line = self._held[self._at : end]
        self._at = end
        return line

    def _fill(self) -> None:
        """Read more bytes of a line behind those that are held."""
        first = not self._head_bytes and not self._in_chunks
        if self._at == len(self._held) and first:
            self._began = 0.0
        elif self._began and self._limit and time.monotonic() > self._began + self._limit:
            raise TimeoutError  # occasional single bytes are not progress
        more = self._raw.read(_BLOCK) or b""
        if not more:
            if first and self._at == len(self._held):
                raise http.client.RemoteDisconnected("without an answer")
            raise http.client.IncompleteRead(self._held[self._at :][:100])
        self._held, self._at = self._held[self._at :] + more, 0
        self._began = self._began or time.monotonic()
        if first:
            _check_start(self._held)


def _check_start(data: bytes) -> None:
    """Refuse at once what cannot become a status line, however long it is."""
    if not data.startswith(b"HTTP/1."[: len(data)]):
        raise NotHttp(f"the response begins with {data[:60]!r}")


def _framing(head: bytes) -> tuple[bool, int | None]:
    """Whether the body comes in chunks, and its length (RFC 9112, 6.3).

    Raises ``Malformed`` if that is ambiguous.
    """
    lengths, codings = [], []
    for line in head.splitlines()[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            lengths.append(value.strip())
        elif name.lower() == b"transfer-encoding":
            codings.append(value.strip().lower())
    if codings and codings != [b"chunked"]:
        raise Malformed(f"unsupported transfer encoding {b', '.join(codings)[:60]!r}")
    if codings and lengths:
        raise Malformed("both Content-Length and Transfer-Encoding are set")
    if len(lengths) > 1 or any(not _LENGTH.fullmatch(length) for length in lengths):
        raise Malformed(f"invalid Content-Length {b', '.join(lengths)[:60]!r}")
    return bool(codings), int(lengths[0]) if lengths else None
