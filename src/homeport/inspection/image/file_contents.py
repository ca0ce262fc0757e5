"""Contents of chosen files, read from their layers again: each layer at most once.

Layers cannot be read out of order (gzip), so the caller names all files first and receives
them in the order of the layer. Small files are returned in memory, within a bound; large ones
go to a sink piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from homeport.content.blob import Blob
from homeport.content.thread_pools import Threads, run_all
from homeport.copying.errors import CopyError
from homeport.layers.entry import BadArchive, Entry
from homeport.layers.history import History, StackedEntry
from homeport.layers.listing import Listing, open_tar
from homeport.layers.tar_reader import LayerReader
from homeport.progress import CancelToken

_CHUNK = 1 << 18


class Sink(Protocol):
    """Takes one file's content."""

    def __call__(self, entry: Entry, read: Callable[[int], bytes]) -> None: ...


def read_layer(
    blob: Blob, listing: Listing, wanted: Mapping[int, Sink], cancel: CancelToken
) -> None:
    """Write the contents of entries ``wanted`` (by their number in the listing) to their sinks.

    Stops reading after the last one: the layer was verified when it was listed, and each
    file here again by its own digest, which the sink's owner checks.
    """
    last = max(wanted, default=-1)
    if last < 0:
        return
    stream, _ = open_tar(blob, "the layer")
    try:
        tar = LayerReader(stream)
        for number, entry in enumerate(listing.entries):
            cancel.check()
            if number > last or tar.next() is None:
                break
            if (sink := wanted.get(number)) is not None:
                sink(entry, tar.read)
    except CopyError as error:
        raise BadArchive(f"the layer: {error.what}", where=error.where) from error
    finally:
        stream.close()


def read_files(
    history: History,
    blobs: Mapping[int, Blob],
    paths: Iterable[bytes],
    cancel: CancelToken,
    pool: Threads | None = None,
    *,
    limit: int = 16 << 20,
) -> dict[bytes, bytes]:
    """Contents of files in the final tree, links followed; at most ``limit`` bytes of each.

    Paths that do not lead to a file are left out.
    """
    found: dict[bytes, bytes] = {}
    places: dict[bytes, StackedEntry] = {}
    for path in paths:
        resolved = history.resolve(path)
        place = history.file_at(resolved) if resolved is not None else None
        if place is not None and place.entry.kind == "file":
            places[path] = place
    contents = read_places(history, blobs, places.values(), cancel, pool, limit=limit)
    for path, place in places.items():
        found[path] = contents[id(place.entry)]
    return found


def read_places(
    history: History,
    blobs: Mapping[int, Blob],
    places: Iterable[StackedEntry],
    cancel: CancelToken,
    pool: Threads | None = None,
    *,
    limit: int = 16 << 20,
) -> dict[int, bytes]:
    """Contents by ``id`` of the entry, at most ``limit`` bytes of each."""
    found: dict[int, bytes] = {}

    def keep(entry: Entry, read: Callable[[int], bytes]) -> None:
        found[id(entry)] = _first(read, limit)

    sinks = {id(place.entry): keep for place in places if place.entry.size}
    empty = {id(place.entry): b"" for place in places if not place.entry.size}
    stream_contents(history, blobs, places, sinks, cancel=cancel, pool=pool)
    return {**found, **empty}


def stream_contents(
    history: History,
    blobs: Mapping[int, Blob],
    places: Iterable[StackedEntry],
    sinks: Mapping[int, Sink],
    *,
    cancel: CancelToken,
    pool: Threads | None = None,
) -> None:
    """Write the contents of ``places`` to the sinks, by ``id`` of the entry."""
    layers = sorted({place.layer for place in places if id(place.entry) in sinks})
    calls: list[Callable[[], None]] = []
    for layer in layers:
        listing = history.listings[layer]
        wanted = {
            number: sinks[id(entry)]
            for number, entry in enumerate(listing.entries)
            if id(entry) in sinks
        }
        calls.append(_call(blobs[layer], listing, wanted, cancel))
    if pool is None:
        for call in calls:
            call()
    else:
        run_all(pool, calls)


def _call(
    blob: Blob, listing: Listing, wanted: Mapping[int, Sink], cancel: CancelToken
) -> Callable[[], None]:
    return lambda: read_layer(blob, listing, wanted, cancel)


def _first(read: Callable[[int], bytes], limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit
    while left and (data := read(min(left, _CHUNK))):
        parts.append(data)
        left -= len(data)
    return b"".join(parts)
