"""Layers on top of each other, path by path: what each layer did, and what is left.

    history = stack([listing, listing, …])
    history.final        path → Place: the files a container sees
    history.changes[n]   what layer n did, one Change per path
    history.wasted()     bytes in lower layers that the final tree does not use

Rules as in the OCI image specification ("layer", "Whiteouts"): a whiteout speaks of lower
layers only, wherever it stands in its own; an opaque directory hides all its lower
children; a directory over a directory keeps what is in it, any other change of kind
replaces everything below. Links in the way are followed inside the root, as engines do.
Never refuses a layer: what engines would is in ``history.problems``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from homeport.copying.errors import shown
from homeport.inspection.layers.listing import Entry, Listing
from homeport.tree.links import MOST, followed

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
_PLAIN = ("file", "directory")
_MOST_PROBLEMS = 100

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


class Place(msgspec.Struct, frozen=True, gc=False):
    """An entry and the layer it stands in."""

    entry: Entry
    layer: int


class Change(msgspec.Struct, frozen=True, gc=False):
    """What one layer did to one path.

    now:    the entry of this layer; ``None`` if the path is gone
    before: what was there, and where that came from
    by:     of a path that went with its directory: the path the layer named
    freed:  bytes of ``before`` that nothing uses any more: shipped for nothing
    """

    path: bytes
    did: Did
    now: Entry | None
    before: Place | None
    by: bytes = b""
    freed: int = 0


class History(msgspec.Struct):
    """All layers of an image, stacked.

    links:     the file behind every hard link
    whiteouts: of every layer its entries that remove something, in order
    """

    listings: tuple[Listing, ...]
    final: dict[bytes, Place] = msgspec.field(default_factory=dict)
    changes: list[list[Change]] = msgspec.field(default_factory=list)
    problems: list[str] = msgspec.field(default_factory=list)
    links: dict[bytes, Place] = msgspec.field(default_factory=dict)
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

    def file_at(self, path: bytes) -> Place | None:
        """The place of the content behind a path: a hard link's file, else the path's own."""
        return self.links.get(path) or self.final.get(path)

    def size_of(self, path: bytes) -> int:
        """Bytes of the content behind a path; links have none, hard links their file's."""
        place = self.file_at(path)
        return place.entry.size if place is not None and place.entry.kind == "file" else 0

    def resolve(self, path: bytes) -> bytes | None:
        """``path`` with every link followed inside the root; ``None`` if it leads nowhere."""
        found, hops = self.followed(path)
        return found if hops <= MOST and (not found or found in self.final) else None

    def followed(self, path: bytes) -> tuple[bytes, int]:
        """``path`` with every link followed, and how many there were."""
        return followed(path, self._target)

    def _target(self, path: bytes) -> bytes | None:
        place = self.final.get(path)
        return place.entry.target if place is not None and place.entry.kind == "symlink" else None


def stack(listings: Sequence[Listing]) -> History:
    """The history of ``listings``, lowest first."""
    stacked = _Stack(tuple(listings))
    for number in range(len(listings)):
        stacked.apply(number)
    return stacked.history


def whiteout_of(path: bytes) -> bytes | None:
    """The path that a whiteout entry speaks of; ``None`` for any other entry.

    An opaque marker speaks of its directory.
    """
    directory, _, name = path.rpartition(b"/")
    if not name.startswith(WHITEOUT):
        return None
    return directory if name == OPAQUE else _join(directory, name[len(WHITEOUT) :])


def is_whiteout(path: bytes) -> bool:
    """Whether an entry removes something instead of being something."""
    return WHITEOUT in path and path.rpartition(b"/")[2].startswith(WHITEOUT)


class _Stack:
    """The tree so far, the names in every directory, and how many names a content has."""

    def __init__(self, listings: tuple[Listing, ...]) -> None:
        self.history = History(listings)
        self._final = self.history.final
        self._names: dict[bytes, set[bytes]] = {}
        self._inode: dict[bytes, tuple[int, bytes]] = {}  # only for contents of several names
        self._alive: dict[tuple[int, bytes], int] = {}
        self._sizes: dict[tuple[int, bytes], int] = {}
        self._directories: dict[bytes, bytes] = {}
        self._open: dict[bytes, set[bytes]] = {}  # directories that stand, with their names
        self._own: dict[bytes, int] = {}  # paths this layer put there → index of the change
        self._indexed = 0  # how many changes of this layer are in it

    def apply(self, layer: int) -> None:
        """Put one more layer on top."""
        listing = self.history.listings[layer]
        changes: list[Change] = []
        self.history.changes.append(changes)
        self._own, self._indexed = {}, 0
        whiteouts = dict.fromkeys(
            entry.path
            for entry in listing.entries
            if WHITEOUT in entry.path and is_whiteout(entry.path)
        )
        self.history.whiteouts.append(whiteouts)
        for path in whiteouts:
            self._white_out(path, changes)
        final, open_, added = self._final, self._open, changes.append
        for entry in listing.entries:
            path = entry.path
            directory, _, name = path.rpartition(b"/")
            names = open_.get(directory) if path else None
            if names is None or path in final or entry.kind not in _PLAIN or path in whiteouts:
                if path not in whiteouts:
                    self._put(entry, layer, changes)
                continue
            final[path] = Place(entry, layer)  # nearly all are new, in a directory that stands
            names.add(name)
            added(Change(path, "added", entry, None))

    # -- removing

    def _white_out(self, path: bytes, changes: list[Change]) -> None:
        directory, _, name = path.rpartition(b"/")
        directory = self._directory(directory)
        if name == OPAQUE:
            for child in sorted(self._names.get(directory, ())):
                self._remove(_join(directory, child), "hidden", directory, changes)
        elif not name.startswith(WHITEOUT + WHITEOUT):  # other markers of aufs mean nothing
            named = _join(directory, name[len(WHITEOUT) :])
            if named not in self._final or not name[len(WHITEOUT) :]:
                self._problem(f"{shown(path)} removes what is not there")
                return
            self._remove(named, "removed", named, changes)

    def _remove(self, path: bytes, did: Did, by: bytes, changes: list[Change]) -> None:
        """Remove a path with everything below it."""
        self._open.clear()
        todo = [path]
        while todo:
            each = todo.pop()
            todo.extend(_join(each, name) for name in self._names.pop(each, ()))
            place = self._final.pop(each, None)
            if place is None:
                continue
            freed = self._release(each, place)
            cause = b"" if each == by else by
            changes.append(Change(each, did, None, place, cause, freed))
        directory, _, name = path.rpartition(b"/")
        self._names.get(directory, set()).discard(name)

    def _directory(self, path: bytes) -> bytes:
        """A directory with links followed; remembered until a link comes or goes."""
        found = self._directories.get(path)
        if found is None:
            found = self._directories[path] = self.history.followed(path)[0]
        return found

    def _forget_directories(self) -> None:
        self._directories.clear()
        self._open.clear()

    def _release(self, path: bytes, place: Place) -> int:
        """Bytes that nothing uses once ``path`` is gone."""
        if place.entry.kind == "symlink":
            self._forget_directories()
        self.history.links.pop(path, None)
        inode = self._inode.pop(path, None)
        if inode is None:
            return place.entry.size
        self._alive[inode] -= 1
        return self._sizes[inode] if not self._alive[inode] else 0

    # -- adding

    def _put(self, entry: Entry, layer: int, changes: list[Change]) -> None:
        path = entry.path
        written, _, name = path.rpartition(b"/")
        directory = self._directory(written)
        if directory != written:
            path = _join(directory, name)
        above = self._final.get(directory)
        stands = above is not None and above.entry.kind == "directory"
        if path and not stands and not self._make_directories(directory, entry, layer, changes):
            return
        before = self._final.get(path)
        freed = 0
        if before is not None:
            if before.entry.kind == "directory" and entry.kind != "directory":
                for child in sorted(self._names.get(path, ())):
                    self._remove(_join(path, child), "replaced", path, changes)
                self._names.pop(path, None)
                self._open.clear()
            freed = self._release(path, before)
        self._final[path] = Place(entry, layer)
        if entry.kind == "symlink":
            self._forget_directories()
        if path:
            names = self._names.setdefault(directory, set())
            names.add(name)
            if directory == written:
                self._open[directory] = names
        else:
            self._open.clear()
        if entry.kind == "hardlink":
            before = self._hard_link(path, entry, layer, before)
        if before is not None and before.layer == layer:
            repeated = self._put_at(path, changes)
            if repeated is not None:
                self._repeat(changes, repeated, path, entry, freed)
                return
        changes.append(Change(path, _did(before, entry), entry, before, b"", freed))

    def _put_at(self, path: bytes, changes: list[Change]) -> int | None:
        """Where this layer's last entry for a path is; few layers ever ask."""
        for at in range(self._indexed, len(changes)):
            if changes[at].now is not None:
                self._own[changes[at].path] = at
        self._indexed = len(changes)
        return self._own.get(path)

    def _repeat(
        self, changes: list[Change], at: int, path: bytes, entry: Entry, freed: int
    ) -> None:
        """A second entry of one name in one layer: the last counts, the first was for nothing."""
        first = changes[at]
        before = first.before
        did: Did = _did(before, entry)
        changes[at] = Change(path, did, entry, before, first.by, first.freed + freed)

    def _hard_link(
        self, path: bytes, entry: Entry, layer: int, before: Place | None
    ) -> Place | None:
        parent, _, name = entry.target.rpartition(b"/")
        target = _join(self._directory(parent), name)
        found = self._final.get(target)
        if found is None or found.entry.kind == "directory" or target == path:
            self._problem(f"the hard link {shown(path)} leads to no file")
            return before
        inode = self._inode.get(target)
        if inode is None:
            inode = (found.layer, target)
            self._inode[target] = inode
            self._alive[inode] = 1
            self._sizes[inode] = found.entry.size
        self.history.links[path] = self.history.links.get(target, found)
        self._inode[path] = inode
        self._alive[inode] += 1
        return before

    def _make_directories(
        self, path: bytes, below: Entry, layer: int, changes: list[Change]
    ) -> bool:
        """Make what is missing above an entry, with the rights that engines give it."""
        missing = []
        while path and path not in self._final:
            missing.append(path)
            path = path.rpartition(b"/")[0]
        found = self._final.get(path)
        if found is not None and found.entry.kind != "directory":
            self._problem(f"{shown(path)} is no directory, but {shown(below.path)} lies in it")
            return False
        for each in reversed(missing):
            entry = Entry(each, "directory", 0o755, 0, 0, 0, below.mtime, b"", b"", b"")
            self._final[each] = Place(entry, layer)
            parent, _, name = each.rpartition(b"/")
            self._names.setdefault(parent, set()).add(name)
            changes.append(Change(each, "added", entry, None))
        return True

    def _problem(self, text: str) -> None:
        if len(self.history.problems) < _MOST_PROBLEMS:
            self.history.problems.append(text)


def _did(before: Place | None, now: Entry) -> Did:
    if before is None:
        return "added"
    old = before.entry
    same = (old.kind, old.size, old.sha256, old.target, old.device) == (
        now.kind, now.size, now.sha256, now.target, now.device,
    )  # fmt: skip
    if not same:
        return "changed"
    facts = (old.mode, old.uid, old.gid, old.mtime, old.xattrs)
    return (
        "rewritten" if facts == (now.mode, now.uid, now.gid, now.mtime, now.xattrs) else "metadata"
    )


def _join(directory: bytes, name: bytes) -> bytes:
    return directory + b"/" + name if directory else name
