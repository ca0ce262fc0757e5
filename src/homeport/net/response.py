"""A response whose body is read as it comes, bounded and watched.

Bytes are never decoded: digests are over what the server sent. Every read checks the
cancel token and the deadline, and notices a connection that was cut or went silent.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import msgspec
import urllib3
import urllib3.exceptions

from homeport.content.reading import CHUNK, read_bounded
from homeport.net.address_class import AddressClass
from homeport.net.clock import Clock, Deadline
from homeport.net.error_mapping import ended_early, mapped
from homeport.net.errors import BadResponse, ConnectionCut, NetError, Stalled
from homeport.net.url import Url
from homeport.progress import CancelToken
from homeport.quantities import apart, human_size

_DRAINED = 64 << 10  # bytes of a rest that is read so that the connection can be used again
_DRAIN_READS = 4  # reads that this may take; a slow rest closes the connection
_TRICKLE = 64  # bytes per stall limit below which a connection counts as silent

#: Media types of pages for people.
WEB_PAGES = frozenset({"text/html", "application/xhtml+xml"})

#: What urllib3 and ``http.client`` raise while a body is read.
_READ_ERRORS = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """A server that named another: its URL, and the class of the address that answered."""

    url: Url
    address_class: AddressClass


class Response:
    """``status``, ``headers`` (names in lower case), the ``url`` that answered, and the body."""

    def __init__(
        self,
        raw: urllib3.BaseHTTPResponse,
        url: Url,
        *,
        method: str,
        address_class: AddressClass,
        clock: Clock,
        cancel: CancelToken,
        deadline: Deadline | None,
        stall: float,
    ) -> None:
        self.status = raw.status
        self.headers: Mapping[str, str] = {
            name.lower(): ", ".join(raw.headers.getlist(name)) for name in raw.headers
        }
        self.url = url
        self.received = 0
        self._raw = raw
        self._address_class = address_class
        self._clock = clock
        self._cancel = cancel
        self._deadline = deadline
        self._stall = stall
        self._window_start = clock.monotonic()
        self._window_bytes = 0
        self._ended = False
        if method == "HEAD" or self.status in (204, 304) or self.length == 0:
            self._raw.read1(1)  # the end of the body, which frees the connection
            self._ended = True

    @property
    def sender(self) -> Sender:
        """The server that answered, for requests to where its response leads."""
        return Sender(url=self.url, address_class=self._address_class)

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
        return tuple(self._raw.headers.getlist(name))

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
            data = self._raw.read1(size, decode_content=False)
        except _READ_ERRORS as error:
            self._discard()
            self._cancel.check()
            if self._deadline is not None:  # sockets wait no longer than until then
                self._deadline.left()
            raise _answered(self._cut(error)) from error
        self.received += len(data)
        if not data or self.received == self.length:
            self._ended = True  # urllib3 has the connection back
        self._watch(len(data))
        return data

    def read_all(self, limit: int, what: str = "the answer") -> bytes:
        """The whole body, which may have at most ``limit`` bytes (``TooLarge``)."""
        try:
            return read_bounded(self, limit, f"{what} of {self.url.host}")
        finally:
            self.close()

    def read_json(self, limit: int, what: str = "the answer") -> bytes:
        """The whole body, which should be JSON, as text that nothing was decoded of.

        Raises ``TooLarge``; ``BadResponse`` for a page for people, and for a body that something
        on the way compressed. ``Content-Type`` and ``Content-Encoding`` alone decide neither:
        servers send right documents with wrong ones.
        """
        body = self.read_all(limit, what)
        if self.media_type in WEB_PAGES and not body.lstrip().startswith((b"{", b"[")):
            raise BadResponse(
                f"{self.url.host} returned a web page instead of {what}",
                where={"url": str(self.url)},
                hint="a login page or a proxy on this network may have answered instead",
            )
        if self.encoding is not None:
            try:
                body.decode()
            except UnicodeDecodeError:
                raise self.compressed(what) from None
        return body

    @property
    def encoding(self) -> str | None:
        """``Content-Encoding`` if the server says that it compressed the body."""
        value = self.headers.get("content-encoding", "").strip().lower()
        return None if value in ("", "identity") else value

    def compressed(self, what: str) -> BadResponse:
        """The error that ``what`` came compressed, which no request here asks for."""
        return BadResponse(
            f"{self.url.host} returned {what} compressed ({(self.encoding or '')[:40]}), "
            "although it was requested uncompressed",
            where={"url": str(self.url)},
            hint="a cache or proxy may compress it; bypass it",
        )

    def close(self) -> None:
        """Give the connection back; a short rest is read so that it can be used again."""
        if not self._ended:
            self._drain()
            self._discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _discard(self) -> None:
        """Stop reading. The connection is closed unless the body was read to its end."""
        if not self._ended:
            self._ended = True
            self._raw.close()
            self._raw.release_conn()

    def _drain(self) -> None:
        length = self.length
        if length is None or length - self.received > _DRAINED or self._cancel.cancelled:
            return
        try:
            for _ in range(_DRAIN_READS):
                if self._raw.closed or not self._raw.read1(_DRAINED, decode_content=False):
                    self._ended = True
                    return
        except _READ_ERRORS:
            return

    def _cut(self, error: Exception) -> NetError:
        if ended_early(error) and self.length is not None:
            received, length = apart(self.received, self.length)
            return ConnectionCut(
                f"{self.url.host} closed the connection after {received} of {length}",
                where={"url": str(self.url)},
            )
        return mapped(error, self.url, stall=self._stall)

    def _watch(self, count: int) -> None:
        """Occasional single bytes keep a socket from timing out; they count as a stall."""
        self._window_bytes += count
        now = self._clock.monotonic()
        if now - self._window_start < self._stall:
            return
        if self._window_bytes < _TRICKLE and not self._ended:
            self._discard()
            raise _answered(
                Stalled(
                    f"{self.url.host}: almost no data received "
                    f"({human_size(self._window_bytes)} in {now - self._window_start:.0f} s)",
                    where={"url": str(self.url)},
                )
            )
        self._window_start, self._window_bytes = now, 0


def _answered(error: NetError) -> NetError:
    error.answered = True
    return error
