"""A layer's tar, decoded and hashed on a thread of its own while its headers are read.

Decoding and hashing release the interpreter's lock and run beside the reading of headers, which
holds it. The number of chunks read ahead is bounded.
"""

from __future__ import annotations

import hashlib
from queue import SimpleQueue

from homeport.budget import Budget
from homeport.content.reading import Readable
from homeport.content.thread_pools import Pool
from homeport.progress import CancelToken

CHUNK = 1 << 20  # bytes passed to the reader at once
_AHEAD = 4  # chunks


class ReadAhead:
    """Counts and hashes ``stream`` while it is read, within the data of ``budget``.

    size, hasher: of what was decoded so far; complete once ``read`` returned ``b""``
    """

    def __init__(self, stream: Readable, budget: Budget, cancel: CancelToken) -> None:
        self._stream = stream
        self._budget = budget
        self._cancel = cancel
        self.size = 0
        self.hasher = hashlib.sha256()
        self._rest = b""
        self._thread = Pool(1, "decode")
        self._coming: SimpleQueue[bytes | BaseException] = SimpleQueue()
        self._last: bytes | BaseException | None = None  # the end, or the error
        for _ in range(_AHEAD):
            self._thread.submit(self._decode)

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; ``b""`` at the end."""
        data = self._rest or self._next()
        self._rest = data[size:]
        return data[:size]

    def close(self) -> None:
        """Stop decoding and close the stream."""
        self._thread.close(drop=True)
        self._stream.close()

    def _next(self) -> bytes:
        if self._last is None:
            found = self._coming.get()
            if found and not isinstance(found, BaseException):
                self._budget.data(len(found))
                self._thread.submit(self._decode)
                return found
            self._last = found
        if isinstance(self._last, BaseException):
            raise self._last
        return b""

    def _decode(self) -> None:
        """Queue one chunk or the error; runs on the thread."""
        try:
            self._coming.put(self._chunk())
        except BaseException as error:  # raised again by ``read``
            self._coming.put(error)

    def _chunk(self) -> bytes:
        parts = []
        left = CHUNK
        while left and (data := self._stream.read(left)):
            self._cancel.check()
            parts.append(data)
            left -= len(data)
        chunk = parts[0] if len(parts) == 1 else b"".join(parts)
        self.hasher.update(chunk)
        self.size += len(chunk)
        return chunk
