"""The text of a Packages index, unpacked and verified while it streams.

Nothing of it may be used before the iterator has ended without an error: only then are
size and digest verified. At most one block is in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.content.reading import Readable, VerifiedReader
from homeport.debian.listed_file import ListedFile
from homeport.errors import IntegrityError, TooLarge
from homeport.progress import CancelToken
from homeport.quantities import apart, human_size
from homeport.tree.decompression import Codec, decoded

_MAX_INDEX = 1 << 30  # bytes of one index, unpacked; Debian's largest has 60 MB
#: Bytes of text in a block. Large, because several indexes are unpacked side by side:
#: every call that gives up the interpreter's lock may wait 5 ms to get it back.
BLOCK = 4 << 20
_CODECS: dict[str, Codec] = {"xz": "xz", "gz": "gzip"}


def index_text(
    blob: Blob, form: ListedFile, plain: ListedFile | None, cancel: CancelToken
) -> Iterator[bytes]:
    """The text of ``blob``, which is the index ``form``, in blocks.

    plain: the release file's entry of the unpacked index, if it has one
    Raises ``IntegrityError`` or ``TooLarge``; then no block may be used.
    """
    limit = plain.size if plain is not None else _MAX_INDEX
    hasher = plain.digest.hasher() if plain is not None else None
    size = 0
    for text in _decoded(blob, form, cancel):
        size += len(text)
        if size > limit:
            raise TooLarge(f"{form.path} unpacks to more than {human_size(limit)}")
        if hasher is not None:
            hasher.update(text)
        yield text
    if plain is None or hasher is None:
        return
    found = Digest.finished(hasher, plain.digest.algorithm)
    if (size, found) != (plain.size, plain.digest):
        have, expected = apart(size, plain.size)
        raise IntegrityError(
            f"{form.path} unpacks to {have} with {found}, expected {expected} with {plain.digest}"
        )


def stream_text(stream: Readable, path: str, cancel: CancelToken) -> Iterator[bytes]:
    """The text of an index file, by the end of its name unpacked, in blocks."""
    codec = _CODECS.get(path.rpartition(".")[2], "none")
    text = decoded(stream, codec, path, padded=codec == "xz")
    size = 0
    while data := text.read(BLOCK):
        cancel.check()
        size += len(data)
        if size > _MAX_INDEX:
            raise TooLarge(f"{path} unpacks to more than {human_size(_MAX_INDEX)}")
        yield data


def _decoded(blob: Blob, form: ListedFile, cancel: CancelToken) -> Iterator[bytes]:
    raw = cast("Readable", blob.open())
    with VerifiedReader(raw, form.digest, form.size, form.path) as stream:
        yield from stream_text(cast("Readable", stream), form.path, cancel)
