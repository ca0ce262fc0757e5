"""What each layer of an image changed, and the files that result from all of them.

    history.final        path → StackedEntry: the files a container sees
    history.changes[n]   what layer n changed, one Change per path
    history.wasted()     bytes in lower layers that the final tree does not use

Not for how layers are stacked: ``overlay``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from homeport.budget import Budget
from homeport.layers.entry import Entry
from homeport.layers.listing import Listing
from homeport.tree.links import MAX_LINKS, followed

Action = Literal["added", "changed", "metadata", "rewritten", "removed", "hidden", "replaced"]
"""What a layer does to a path.

added      the path did not exist
changed    other content, target or kind
metadata   same content; mode, owner, time or attributes differ
rewritten  the same again, byte for byte
removed    by a whiteout of the path or of a directory above it
hidden     by an opaque directory above it
replaced   its directory became something else
"""
GONE = frozenset({"removed", "hidden", "replaced"})


class StackedEntry(msgspec.Struct, frozen=True, gc=False):
    """An entry and the number of its layer."""

    entry: Entry
    layer: int


class Change(msgspec.Struct, frozen=True, gc=False):
    """What one layer does to one path.

    now:    the entry of this layer; ``None`` if the path is removed
    before: the entry of a lower layer, with its layer
    by:     of a path that was removed with its directory: the path that the layer names
    wasted: bytes of ``before`` that are shipped but no longer used
    """

    path: bytes
    action: Action
    now: Entry | None
    before: StackedEntry | None
    by: bytes = b""
    wasted: int = 0


class History(msgspec.Struct):
    """All layers of an image, stacked.

    listings:  the layers, if they were read as listings
    problems:  what is unusual or invalid in them, at most a hundred lines
    error:     the first entry for which engines reject the image; "" if there is none
    links:     the file behind every hard link
    whiteouts: of every layer its entries that remove something, in order
    budget:    of following links and walking directories
    """

    listings: tuple[Listing, ...] = ()
    final: dict[bytes, StackedEntry] = msgspec.field(default_factory=dict)
    changes: list[list[Change]] = msgspec.field(default_factory=list)
    problems: list[str] = msgspec.field(default_factory=list)
    error: str = ""
    links: dict[bytes, StackedEntry] = msgspec.field(default_factory=dict)
    whiteouts: list[dict[bytes, None]] = msgspec.field(default_factory=list)
    budget: Budget = msgspec.field(default_factory=lambda: Budget("the image"))

    def of(self, path: bytes) -> Iterator[tuple[int, Change]]:
        """All changes of a path, lowest layer first."""
        for number, changes in enumerate(self.changes):
            for change in changes:
                if change.path == path:
                    yield number, change

    def wasted(self) -> Iterator[tuple[int, Change]]:
        """Every change that leaves bytes of a lower layer unused, with its layer's number."""
        for number, changes in enumerate(self.changes):
            for change in changes:
                if change.wasted:
                    yield number, change

    def file_at(self, path: bytes) -> StackedEntry | None:
        """The entry that has the content of a path: for a hard link that of its file."""
        return self.links.get(path) or self.final.get(path)

    def size_of(self, path: bytes) -> int:
        """Bytes of a path's content; 0 for symbolic links, the file's for hard links."""
        found = self.file_at(path)
        return found.entry.size if found is not None and found.entry.kind == "file" else 0

    def resolve(self, path: bytes) -> bytes | None:
        """``path`` with all links followed inside the root; ``None`` if there is nothing."""
        found, hops = self.followed(path)
        return found if hops <= MAX_LINKS and (not found or found in self.final) else None

    def followed(self, path: bytes) -> tuple[bytes, int]:
        """``path`` with every link followed, and how many there were."""
        return followed(path, self.link_target)

    def link_target(self, path: bytes) -> bytes | None:
        """The target of the symbolic link at ``path``, ``None`` for anything else."""
        self.budget.steps()
        found = self.final.get(path)
        if found is not None and found.entry.kind == "hardlink":
            found = self.links.get(path)  # a symlink can have several names, too
        return found.entry.target if found is not None and found.entry.kind == "symlink" else None
