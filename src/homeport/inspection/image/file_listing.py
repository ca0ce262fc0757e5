"""Lists of files: of the final tree, of one layer, of paths through all layers.

``list_files`` returns ``homeport-inspect-files/v1`` (docs/formats/inspect.md).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from homeport.errors import UsageError
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.image.path_search import matcher, not_found
from homeport.layers.entry import Entry
from homeport.layers.history import GONE, Change, History
from homeport.printable import path_text

SCHEMA = "homeport-inspect-files/v1"


class PathEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A layer's change to a path. ``by``: the removed directory that contained it."""

    layer: int
    change: str
    by: str = ""


class FileRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A path. ``size`` of a hard link is its file's; ``mode`` is octal text.

    layer:  the layer that the shown state comes from
    change: with ``--layer``: what that layer changed
    wasted: bytes of lower layers that this change made unused
    events: with ``--path``: what each layer changed
    """

    path: str
    kind: str
    size: int
    mode: str
    uid: int
    gid: int
    mtime: int
    layer: int
    target: str = ""
    sha256: str = ""
    change: str = ""
    by: str = ""
    wasted: int = 0
    events: tuple[PathEvent, ...] = ()


class FileListing(msgspec.Struct, frozen=True, kw_only=True):
    """A list of files. ``layer``: the one whose changes are listed."""

    schema: str = SCHEMA
    address: str
    digest: str
    layer: int | None
    files: tuple[FileRow, ...]


def list_files(
    opened: OpenedImage,
    *,
    layer: int | None = None,
    pattern: str | None = None,
    events: bool = False,
) -> FileListing:
    """Files of the final tree, or the changes of one layer; only of ``pattern`` if given.

    events: every path that matches ``pattern`` in any layer, with the changes of each layer

    Raises ``UsageError`` for a layer that does not exist, ``PathNotFound`` if nothing matches.
    """
    history = opened.history
    glob = pattern.encode("utf-8", "surrogateescape") if pattern is not None else None
    if layer is not None:
        rows = tuple(layer_rows(history, layer, glob))
    elif glob is not None and events:
        rows = tuple(path_rows(history, glob))
    else:
        rows = tuple(final_rows(history, glob))
    if not rows and glob is not None:
        if layer is not None:
            raise UsageError(
                f"no path in layer {layer} matches {pattern}", hint="leave out --path or --layer"
            )
        raise not_found(opened, glob.strip(b"/"))
    return FileListing(
        address=opened.address, digest=str(opened.image.digest), layer=layer, files=rows
    )


def final_rows(history: History, pattern: bytes | None) -> Iterator[FileRow]:
    """The final tree, in the order of paths."""
    wanted = matcher(pattern) if pattern is not None else None
    for path in sorted(history.final, key=lambda path: path.split(b"/")):
        if wanted is None or wanted(path):
            place = history.final[path]
            yield _row(path, place.entry, place.layer, history.size_of(path))


def layer_rows(history: History, layer: int, pattern: bytes | None) -> Iterator[FileRow]:
    """The changes of one layer, in the order of paths. Raises ``UsageError``."""
    if not 0 <= layer < len(history.changes):
        count = len(history.changes)
        known = f"its layers are numbered 0 to {count - 1}" if count else "it has no layers"
        raise UsageError(f"the image has no layer {layer}: {known}")
    wanted = matcher(pattern) if pattern is not None else None
    for change in sorted(history.changes[layer], key=lambda change: change.path.split(b"/")):
        if wanted is None or wanted(change.path):
            yield _change_row(change, layer)


def path_rows(history: History, pattern: bytes) -> Iterator[FileRow]:
    """All matching paths of any layer, each with the changes of every layer."""
    wanted = matcher(pattern)
    events: dict[bytes, list[PathEvent]] = {}
    last: dict[bytes, tuple[int, Change]] = {}
    for number, changes in enumerate(history.changes):
        for change in changes:
            if wanted(change.path):
                by = path_text(change.by) if change.by else ""
                event = PathEvent(layer=number, change=change.action, by=by)
                events.setdefault(change.path, []).append(event)
                last[change.path] = (number, change)
    for path in sorted(events, key=lambda path: path.split(b"/")):
        number, change = last[path]
        row = _change_row(change, number)
        if change.action not in GONE:
            row = msgspec.structs.replace(row, change="", size=history.size_of(path))
        yield msgspec.structs.replace(row, events=tuple(events[path]))


def _change_row(change: Change, layer: int) -> FileRow:
    before = change.before.entry if change.before is not None else None
    entry = change.now or before
    assert entry is not None
    row = _row(change.path, entry, layer, entry.size)
    by = path_text(change.by) if change.by else ""
    return msgspec.structs.replace(row, change=change.action, by=by, wasted=change.wasted)


def _row(path: bytes, entry: Entry, layer: int, size: int) -> FileRow:
    target = entry.target.decode("utf-8", "backslashreplace")
    return FileRow(
        path=path_text(path), kind=entry.kind, size=size, mode=f"{entry.mode:04o}",
        uid=entry.uid, gid=entry.gid, mtime=entry.mtime, layer=layer,
        target="/" + target if entry.kind == "hardlink" else target,
        sha256=entry.sha256.hex(),
    )  # fmt: skip
