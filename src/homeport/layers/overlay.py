"""Layers on top of each other: the one set of rules (docs/formats/layer.md, "Stacking").

    history = stack([listing, listing, …])

Entries apply in their order, as if they were unpacked one after the other. A whiteout removes
from lower layers only, wherever it is in its own layer; an opaque directory hides all its lower
children; a directory over a directory keeps its children, any other change of type removes
everything below. A hard link refers to the file that its target is at that moment, and keeps
that content. Symbolic links in a path are followed inside the root.

Rejects no layer: an entry that engines would reject changes nothing, and is named in
``history.problems`` and ``history.error``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from homeport.budget import Budget
from homeport.copying.errors import shown
from homeport.layers.entry import (
    AUFS,
    OPAQUE,
    WHITEOUT,
    Entry,
    is_reserved,
    is_whiteout,
    join,
)
from homeport.layers.history import Action, Change, History, StackedEntry
from homeport.layers.listing import ENTRY_MEMORY, Listing
from homeport.tree.links import MAX_LINKS, followed

_PLAIN = ("file", "directory")
_MAX_PROBLEMS = 100
_SETGID = 0o2000
_MAX_ASKED = 64 << 20  # bytes of paths that are remembered with links followed


def stack(listings: Sequence[Listing], budget: Budget | None = None) -> History:
    """The history of ``listings``, lowest first.

    budget: for all layers together; implied directories are added to what it has

    Raises ``LimitExceeded``.
    """
    history = History(tuple(listings))
    overlay = _Overlay(history if budget is None else History(tuple(listings), budget=budget))
    for listing in listings:
        overlay.apply(listing.entries)
    return overlay.history


def unpack(entries: Sequence[Entry], budget: Budget | None = None) -> History:
    """The history of one archive that is a complete filesystem: no name in it is a whiteout.

    Raises ``LimitExceeded``.
    """
    overlay = _Overlay(History() if budget is None else History(budget=budget))
    overlay.apply(entries, whiteouts=False)
    return overlay.history


class _Overlay:
    """The tree so far, the names in every directory, and how many names a content has."""

    def __init__(self, history: History) -> None:
        self.history = history
        self._final = self.history.final
        self._names: dict[bytes, set[bytes]] = {}
        self._inode: dict[bytes, int] = {}  # only for contents of several names
        self._alive: list[int] = []  # how many names an inode has
        self._sizes: list[int] = []
        self._directories: dict[bytes, bytes] = {}  # with links followed
        self._asked: set[bytes] = set()  # paths that could have been a link on the way
        self._asked_bytes = 0
        self._open: dict[bytes, set[bytes]] = {}  # directories that exist, with their names
        self._own: dict[bytes, int] = {}  # paths added by this layer → index of the change
        self._indexed = 0  # how many changes of this layer are in it
        self._aufs: dict[bytes, StackedEntry] = {}  # of this layer: the targets of its hard links

    def apply(self, entries: Sequence[Entry], *, whiteouts: bool = True) -> None:
        """Put one more layer on top."""
        layer = len(self.history.changes)
        changes: list[Change] = []
        self.history.changes.append(changes)
        self._own, self._indexed = {}, 0
        removing, skipped = self._reserved(entries, layer) if whiteouts else ({}, frozenset())
        self.history.whiteouts.append(removing)
        for path in removing:
            self._white_out(path, changes)
        final, open_, added = self._final, self._open, changes.append
        for entry in entries:
            path = entry.path
            directory, _, name = path.rpartition(b"/")
            names = open_.get(directory) if path else None
            if names is None or path in final or entry.kind not in _PLAIN or path in skipped:
                if path not in skipped:
                    self._put(entry, layer, changes)
                continue
            final[path] = StackedEntry(entry, layer)  # nearly all: new, in a directory that exists
            names.add(name)
            added(Change(path, "added", entry, None))

    def _reserved(
        self, entries: Iterable[Entry], layer: int
    ) -> tuple[dict[bytes, None], frozenset[bytes]]:
        """The whiteouts of a layer, and all paths that are not among its files."""
        odd = [entry for entry in entries if WHITEOUT in entry.path]
        whiteouts = dict.fromkeys(entry.path for entry in odd if is_whiteout(entry.path))
        below = {entry.path: entry for entry in odd if is_reserved(entry.path)}
        self._aufs = {path: StackedEntry(entry, layer) for path, entry in below.items()}
        for path in below:
            self._inode.pop(path, None)  # of a lower layer
            if not path.startswith(AUFS):
                self._problem(f"{shown(path)} is below a name that is reserved for whiteouts")
        removing = {path: None for path in whiteouts if path not in below}
        return removing, frozenset({*whiteouts, *below})

    # -- removing

    def _white_out(self, path: bytes, changes: list[Change]) -> None:
        directory, _, name = path.rpartition(b"/")
        directory = self._directory(directory)
        if name == OPAQUE:
            for child in sorted(self._names.get(directory, ())):
                self._remove(join(directory, child), "hidden", directory, changes)
        elif not name.startswith(AUFS):  # other markers of aufs remove nothing
            named = join(directory, name[len(WHITEOUT) :])
            if named not in self._final or not name[len(WHITEOUT) :]:
                self._problem(f"{shown(path)} removes a path that does not exist")
                return
            self._remove(named, "removed", named, changes)

    def _remove(self, path: bytes, action: Action, by: bytes, changes: list[Change]) -> None:
        """Remove a path with everything below it."""
        self._open.clear()
        todo = [path]
        while todo:
            each = todo.pop()
            todo.extend(join(each, name) for name in self._names.pop(each, ()))
            found = self._final.pop(each, None)
            if found is None:
                continue
            wasted = self._release(each, found)
            cause = b"" if each == by else by
            changes.append(Change(each, action, None, found, cause, wasted))
        directory, _, name = path.rpartition(b"/")
        self._names.get(directory, set()).discard(name)

    def _directory(self, path: bytes) -> bytes:
        """A directory with links followed; remembered until a link on its way changes."""
        found = self._directories.get(path)
        if found is None:
            if self._asked_bytes > _MAX_ASKED:
                self._forget_directories()
            found, hops = followed(path, self._target_on_the_way)
            self._directories[path] = found
            self._asked_bytes += len(path)
            if hops > MAX_LINKS:
                self._refuse(f"the symbolic links in {shown(path)} form a loop")
        return found

    def _target_on_the_way(self, path: bytes) -> bytes | None:
        if path not in self._asked:
            self._asked.add(path)
            self._asked_bytes += len(path)
        return self.history.link_target(path)

    def _link_changed(self, path: bytes) -> None:
        """A symbolic link was added or removed: what was followed through it is not valid."""
        if path in self._asked:
            self._forget_directories()

    def _forget_directories(self) -> None:
        self._directories.clear()
        self._asked.clear()
        self._asked_bytes = 0
        self._open.clear()

    def _release(self, path: bytes, found: StackedEntry) -> int:
        """Bytes that are unused once ``path`` is removed."""
        file = self.history.links.pop(path, found)
        if file.entry.kind == "symlink":
            self._link_changed(path)
        inode = self._inode.pop(path, None)
        if inode is None:
            return found.entry.size
        self._alive[inode] -= 1
        return self._sizes[inode] if not self._alive[inode] else 0

    # -- adding

    def _put(self, entry: Entry, layer: int, changes: list[Change]) -> None:
        path = entry.path
        written, _, name = path.rpartition(b"/")
        directory = self._directory(written)
        if directory != written:
            path = join(directory, name)
            self.history.budget.depth(path.count(b"/") + 1)
            self.history.budget.entries(0, len(path))
        if not path and entry.kind != "directory":
            self._refuse(f"the root is a {entry.kind}")
            return
        if path and not self._make_directories(directory, entry, layer, changes):
            return
        linked = None
        if entry.kind == "hardlink":
            linked = self._link_target(path, entry.target)
            if linked is None:
                self._refuse(f"the hard link {shown(path)} has no target")
                return
        before = self._final.get(path)
        wasted = self._replace(path, before, entry, changes) if before is not None else 0
        self._final[path] = StackedEntry(entry, layer)
        if entry.kind == "symlink":
            self._link_changed(path)
        if path:
            names = self._names.setdefault(directory, set())
            names.add(name)
            if directory == written:
                self._open[directory] = names
        else:
            self._open.clear()
        if linked is not None:
            self._link(path, *linked)
        if before is not None and before.layer == layer:
            repeated = self._put_at(path, changes)
            if repeated is not None:
                self._repeat(changes, repeated, path, entry, wasted)
                return
        changes.append(Change(path, _action_of(before, entry), entry, before, b"", wasted))

    def _replace(
        self, path: bytes, before: StackedEntry, entry: Entry, changes: list[Change]
    ) -> int:
        """Remove what was at ``path``, with its children unless a directory stays one."""
        if before.entry.kind == "directory" and entry.kind != "directory":
            for child in sorted(self._names.get(path, ())):
                self._remove(join(path, child), "replaced", path, changes)
            self._names.pop(path, None)
            self._open.clear()
        return self._release(path, before)

    def _put_at(self, path: bytes, changes: list[Change]) -> int | None:
        """The index of this layer's last entry for a path; made when it is first needed."""
        for at in range(self._indexed, len(changes)):
            if changes[at].now is not None:
                self._own[changes[at].path] = at
        self._indexed = len(changes)
        return self._own.get(path)

    def _repeat(
        self, changes: list[Change], at: int, path: bytes, entry: Entry, wasted: int
    ) -> None:
        """A second entry of one name in one layer: the last applies, the first is wasted."""
        first = changes[at]
        before = first.before
        action: Action = _action_of(before, entry)
        changes[at] = Change(path, action, entry, before, first.by, first.wasted + wasted)

    def _link_target(self, path: bytes, written: bytes) -> tuple[int, StackedEntry] | None:
        """The inode and the entry of the file that a hard link at ``path`` gets.

        Engines remove what is at ``path`` first, so the target cannot be reached through it.
        """
        parent, _, name = written.rpartition(b"/")
        target = join(self._directory_without(path, parent), name)
        if target == path or target.startswith(path + b"/"):
            return None
        found = self.history.file_at(target)
        known = self._inode.get(target)
        if found is None and (found := self._aufs.get(written)) is not None:
            target, known = written, self._inode.get(written)
        if found is None or found.entry.kind == "directory":
            return None
        if known is None:
            known = self._inode[target] = len(self._alive)
            self._alive.append(int(target in self._final))
            self._sizes.append(found.entry.size)
        return known, found

    def _directory_without(self, path: bytes, directory: bytes) -> bytes:
        """``directory`` with links followed, once what is at ``path`` is removed."""
        before = self.history.file_at(path)
        if before is None or before.entry.kind != "symlink":
            return self._directory(directory)
        removed = self._final.pop(path)
        found = self.history.followed(directory)[0]
        self._final[path] = removed
        return found

    def _link(self, path: bytes, inode: int, file: StackedEntry) -> None:
        """Make ``path`` one more name of a file."""
        self.history.links[path] = file
        self._inode[path] = inode
        self._alive[inode] += 1
        if file.entry.kind == "symlink":
            self._link_changed(path)

    def _make_directories(
        self, path: bytes, below: Entry, layer: int, changes: list[Change]
    ) -> bool:
        """Make the missing directories above an entry, with the mode that engines set."""
        found = self._final.get(path)
        if found is not None and found.entry.kind == "directory":
            return True
        missing = []
        while path and path not in self._final:
            missing.append(path)
            path = path.rpartition(b"/")[0]
        found = self._final.get(path)
        if found is not None and found.entry.kind != "directory":
            self._refuse(f"{shown(path)} is not a directory, but {shown(below.path)} is below it")
            return False
        mode, gid = 0o755, 0
        if found is not None and found.entry.mode & _SETGID:  # as in mkdir(2)
            mode, gid = mode | _SETGID, found.entry.gid
        budget = self.history.budget
        budget.entries(len(missing), sum(map(len, missing)))
        budget.memory(len(missing) * ENTRY_MEMORY + sum(map(len, missing)))
        for each in reversed(missing):
            entry = Entry(each, "directory", mode, 0, gid, 0, below.mtime, b"", b"", b"")
            self._final[each] = StackedEntry(entry, layer)
            parent, _, name = each.rpartition(b"/")
            self._names.setdefault(parent, set()).add(name)
            changes.append(Change(each, "added", entry, None))
        return True

    def _refuse(self, text: str) -> None:
        self.history.error = self.history.error or text
        self._problem(text)

    def _problem(self, text: str) -> None:
        if len(self.history.problems) < _MAX_PROBLEMS:
            self.history.problems.append(text)


def _action_of(before: StackedEntry | None, now: Entry) -> Action:
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
