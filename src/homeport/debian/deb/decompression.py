"""Decompression of a package's members: forward, bounded, strict about the end.

The decoders are those of layers (``tree.decompression``). The name of a member alone
determines its compression. A decompression bomb costs time, but neither memory nor, because
of ``limit``, disk.
"""

from __future__ import annotations

from homeport.debian.deb.ar import BadDeb
from homeport.errors import IntegrityError, TooLarge
from homeport.quantities import human_size
from homeport.tree.decompression import Codec, Source, decoded

_CODECS: dict[str, Codec] = {"": "none", "gz": "gzip", "xz": "xz", "zst": "zstd", "bz2": "bzip2"}


class Unpacked:
    """The decompressed bytes of ``source``.

    what:  names the member in errors
    limit: of decompressed bytes, past which ``TooLarge`` is raised
    """

    def __init__(self, source: Source, compression: str, *, what: str, limit: int) -> None:
        codec = _CODECS.get(compression)
        if codec is None:
            raise BadDeb(
                f"unknown compression of {what}: {compression}",
                hint="supported: none, gz, xz, zst and bz2",
            )
        self._stream = decoded(source, codec, what, padded=codec == "xz")
        self._what = what
        self._limit = limit
        self._seen = 0

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; empty at the end, once all checksums were right."""
        try:
            data = self._stream.read(size)
        except IntegrityError as error:
            raise BadDeb(error.what) from error
        self._seen += len(data)
        if self._seen > self._limit:
            raise TooLarge(f"{self._what} unpacks to more than {human_size(self._limit)}")
        return data
