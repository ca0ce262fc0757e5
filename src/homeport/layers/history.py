"""What every layer of an image did to every path, and what is left in the end.

    history.final        path → StackedEntry: the files a container sees
    history.changes[n]   what layer n did, one Change per path
    history.wasted()     bytes in lower layers that the final tree does not use

Not for how layers are stacked: ``overlay``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from homeport.layers.entry import Entry
from homeport.layers.listing import Listing
from homeport.tree.links import MOST, followed

Did = Literal["added", "changed", "metadata", "rewritten", "removed", "hidden", "replaced"]
"""What a layer did to a path.

added      it was not there
changed    other content, target or kind
metadata   same content; mode, owner, time or attributes differ
rewritten  the same again, byte for byte
removed    by a whiteout of its own or of a directory above
hidden     by an opaque directory above
replaced   it lay in a directory that became something else
"""
GONE = frozenset({"removed", "hidden", "replaced"})


class StackedEntry(msgspec.Struct, frozen=True, gc=False):
    """An entry and the number of its layer."""

    entry: Entry
    layer: int


class Change(msgspec.Struct, frozen=True, gc=False):
    """What one layer did to one path.

    now:    the entry of this layer; ``None`` if the path is gone
    before: what was there, and where that came from
    by:     of a path that went with its directory: the path that the layer named
    freed:  bytes of ``before`` that nothing uses any more: shipped for nothing
    """

    path: bytes
    did: Did
    now: Entry | None
    before: StackedEntry | None
    by: bytes = b""
    freed: int = 0


class History(msgspec.Struct):
    """All layers of an image, stacked.

    listings:  the layers, if they were read as listings
    problems:  what is odd in them, at most a hundred lines
    error:     the first entry that engines refuse, and so the whole image; "" if there is none
    links:     the file behind every hard link
    whiteouts: of every layer its entries that remove something, in order
    """

    listings: tuple[Listing, ...] = ()
    final: dict[bytes, StackedEntry] = msgspec.field(default_factory=dict)
    changes: list[list[Change]] = msgspec.field(default_factory=list)
    problems: list[str] = msgspec.field(default_factory=list)
    error: str = ""
    links: dict[bytes, StackedEntry] = msgspec.field(default_factory=dict)
    whiteouts: list[dict[bytes, None]] = msgspec.field(default_factory=list)

    def of(self, path: bytes) -> Iterator[tuple[int, Change]]:
        """Everything that happened to a path, lowest layer first."""
        for number, changes in enumerate(self.changes):
            for change in changes:
                if change.path == path:
                    yield number, change

    def wasted(self) -> Iterator[tuple[int, Change]]:
        """Every change that made bytes of a lower layer useless, with the layer that did."""
        for number, changes in enumerate(self.changes):
            for change in changes:
                if change.freed:
                    yield number, change

    def file_at(self, path: bytes) -> StackedEntry | None:
        """The entry of the content behind a path: a hard link's file, else the path's own."""
        return self.links.get(path) or self.final.get(path)

    def size_of(self, path: bytes) -> int:
        """Bytes of the content behind a path; links have none, hard links their file's."""
        found = self.file_at(path)
        return found.entry.size if found is not None and found.entry.kind == "file" else 0

    def resolve(self, path: bytes) -> bytes | None:
        """``path`` with every link followed inside the root; ``None`` if it leads nowhere."""
        found, hops = self.followed(path)
        return found if hops <= MOST and (not found or found in self.final) else None

    def followed(self, path: bytes) -> tuple[bytes, int]:
        """``path`` with every link followed, and how many there were."""
        return followed(path, self._target)

    def _target(self, path: bytes) -> bytes | None:
        found = self.final.get(path)
        if found is not None and found.entry.kind == "hardlink":
            found = self.links.get(path)  # a symlink may have several names too
        return found.entry.target if found is not None and found.entry.kind == "symlink" else None
