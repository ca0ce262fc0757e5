"""Decoding ahead: bounded, in order, and its errors come where they are."""

from __future__ import annotations

import hashlib
import io
import threading

import pytest

from homeport.budget import Budget, Limits
from homeport.errors import IntegrityError, Interrupted, TooLarge
from homeport.layers.read_ahead import CHUNK, ReadAhead
from homeport.progress import CancelToken

DATA = bytes(range(256)) * (CHUNK // 100)


class Watched(io.BytesIO):
    """Counts what was read; fails at ``fails_at`` if that is given."""

    def __init__(self, data: bytes, fails_at: int = -1) -> None:
        super().__init__(data)
        self.fails_at = fails_at

    def read(self, size: int | None = -1, /) -> bytes:
        if 0 <= self.fails_at <= self.tell():
            raise IntegrityError("broken here")
        return super().read(size)


def test_everything_comes_in_order_and_is_hashed() -> None:
    ahead = ReadAhead(Watched(DATA), Budget("it"), CancelToken())
    found = b"".join(iter(lambda: ahead.read(70_001), b""))
    ahead.close()
    assert found == DATA
    assert ahead.size == len(DATA)
    assert ahead.hasher.hexdigest() == hashlib.sha256(DATA).hexdigest()
    assert ahead.read(1) == b""


def test_no_more_than_four_chunks_wait() -> None:
    stream = Watched(b"x" * (20 * CHUNK))
    ahead = ReadAhead(stream, Budget("it"), CancelToken())
    ahead.read(1)
    ahead.close()
    assert ahead.size <= 5 * CHUNK
    assert stream.closed


def test_an_error_comes_where_it_is() -> None:
    ahead = ReadAhead(Watched(DATA, fails_at=CHUNK), Budget("it"), CancelToken())
    assert len(ahead.read(CHUNK)) == CHUNK
    with pytest.raises(IntegrityError, match="broken here"):
        ahead.read(1)
    ahead.close()


def test_the_bound_is_kept() -> None:
    ahead = ReadAhead(Watched(DATA), Budget("layer 3", Limits(bytes=CHUNK)), CancelToken())
    with pytest.raises(TooLarge, match=r"layer 3: more than 1\.05 MB of content"):
        while ahead.read(CHUNK):
            pass
    ahead.close()


def test_it_stops_when_cancelled_and_leaves_no_thread() -> None:
    cancel = CancelToken()
    cancel.cancel()
    ahead = ReadAhead(Watched(DATA), Budget("it"), cancel)
    with pytest.raises(Interrupted):
        ahead.read(1)
    ahead.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("decode")]
