"""A layer's tar, decoded and hashed on a thread of its own while its headers are read.

Decoding and hashing leave the interpreter free, so they cost next to no time on the clock
beside the reading of headers, which does not. What waits to be read is bounded.
"""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from homeport.content.reading import Readable
from homeport.errors import TooLarge
from homeport.progress import CancelToken

CHUNK = 1 << 20  # bytes that are handed over at once
_AHEAD = 4  # chunks


class ReadAhead:
    """Counts and hashes what ``stream`` holds while it is read; stops at ``limit`` bytes.

    size, hasher: of what was decoded so far; right once ``read`` gave the end
    """

    def __init__(self, stream: Readable, limit: int, what: str, cancel: CancelToken) -> None:
        self._stream = stream
        self._limit = limit
        self._what = what
        self._cancel = cancel
        self.size = 0
        self.hasher = hashlib.sha256()
        self._rest = b""
        self._thread = ThreadPoolExecutor(1, "decode")
        self._coming: deque[Future[bytes]] = deque()
        for _ in range(_AHEAD):
            self._ask()

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; ``b""`` at the end."""
        data = self._rest or self._next()
        self._rest = data[size:]
        return data[:size]

    def close(self) -> None:
        """Stop decoding and close the stream."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._stream.close()

    def _next(self) -> bytes:
        if not self._coming:
            return b""
        data = self._coming.popleft().result()
        if data:
            self._ask()
        else:
            self._coming.clear()
        return data

    def _ask(self) -> None:
        self._coming.append(self._thread.submit(self._decode))

    def _decode(self) -> bytes:
        """One chunk; runs on the thread."""
        parts = []
        left = CHUNK
        while left and (data := self._stream.read(left)):
            self._cancel.check()
            parts.append(data)
            left -= len(data)
        chunk = parts[0] if len(parts) == 1 else b"".join(parts)
        self.hasher.update(chunk)
        self.size += len(chunk)
        if self.size > self._limit:
            raise TooLarge(f"{self._what} unfolds to more than {self._limit} bytes")
        return chunk
