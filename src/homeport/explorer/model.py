"""The data that the explorer shows: the tree as of a layer, filtered and sorted.

Independent of widgets. The tree of a layer is replayed from the history when it is first
requested; the screen lists a directory when it is opened, so that a hundred thousand files cost
nothing before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import msgspec

from homeport.errors import UsageError
from homeport.inspection.image.opened_image import OpenedImage
from homeport.layers.entry import Entry
from homeport.layers.history import GONE, Change
from homeport.printable import printable

#: dive's four kinds of change.
CHANGES = ("added", "removed", "modified", "unmodified")


class TreeItem(msgspec.Struct):
    """A path as of a layer, or of two images. ``size`` of a directory includes everything shown
    below it.

    before, size_before: of two images: what the first one has
    """

    path: bytes
    entry: Entry
    change: str
    size: int
    before: Entry | None = None
    size_before: int = 0
    children: list[TreeItem] = msgspec.field(default_factory=list)

    @property
    def name(self) -> str:
        return printable(self.path.rpartition(b"/")[2].decode("utf-8", "backslashreplace"))

    @property
    def is_directory(self) -> bool:
        return self.entry.kind == "directory"

    def walk(self) -> Iterator[TreeItem]:
        """This path and all below it, each before what it holds."""
        todo = [self]
        while todo:
            item = todo.pop()
            yield item
            todo += item.children


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What to show of a layer.

    aggregated: changes of all layers up to this one, instead of this one only
    changes:    kinds of change to show
    """

    layer: int
    aggregated: bool = False
    pattern: str = ""
    by_size: bool = False
    changes: frozenset[str] = frozenset(CHANGES)


def build_tree(items: Iterable[TreeItem], view: View) -> TreeItem:
    """The root of what a view shows of ``items``. Raises ``UsageError`` for a bad pattern."""
    wanted = _matcher(view.pattern)
    entry = Entry(b"", "directory", 0o755, 0, 0, 0, 0, b"", b"", b"")
    root = TreeItem(b"", entry, "unmodified", 0, before=entry)
    shown = {b"": root}
    for item in items:
        if item.path and (item.is_directory or (item.change in view.changes and wanted(item.path))):
            shown[item.path] = item
    _attach_to_parents(shown, view)
    _sort(root, by_size=view.by_size)
    return root


class Model:
    """Trees of one image."""

    def __init__(self, opened: OpenedImage) -> None:
        self.opened = opened
        self._last: tuple[tuple[int, bool], dict[bytes, tuple[Entry, str]]] | None = None

    @property
    def layers(self) -> int:
        return len(self.opened.history.changes)

    def tree(self, view: View) -> TreeItem:
        """The root of what a view shows. Raises ``UsageError`` for a bad pattern."""
        paths = self._paths(view.layer, aggregated=view.aggregated)
        return build_tree(
            (TreeItem(path, entry, change, entry.size) for path, (entry, change) in paths.items()),
            view,
        )

    def matches(self, layer: int, pattern: str) -> bool:
        """Whether a layer changes a path that the pattern matches. Raises ``UsageError``."""
        wanted = _matcher(pattern)
        return any(wanted(change.path) for change in self.opened.history.changes[layer])

    def wasted(self) -> Iterator[tuple[int, Change]]:
        """Every change that made bytes of lower layers unused, the largest first."""
        return iter(sorted(self.opened.history.wasted(), key=lambda one: -one[1].wasted))

    def _paths(self, layer: int, *, aggregated: bool) -> dict[bytes, tuple[Entry, str]]:
        key = (layer, aggregated)
        if self._last is None or self._last[0] != key:
            self._last = (key, self._replay(layer, aggregated=aggregated))
        return self._last[1]

    def _replay(self, layer: int, *, aggregated: bool) -> dict[bytes, tuple[Entry, str]]:
        found: dict[bytes, tuple[Entry, str]] = {}
        for number, changes in enumerate(self.opened.history.changes[: layer + 1]):
            now = aggregated or number == layer
            for change in changes:
                if change.now is None:
                    if now and change.before is not None:
                        found[change.path] = (change.before.entry, "removed")
                    else:
                        found.pop(change.path, None)
                else:
                    found[change.path] = (change.now, _word(change) if now else "unmodified")
        return found


def _word(change: Change) -> str:
    if change.action in GONE:
        return "removed"
    if change.action == "added":
        return "added"
    same = (
        change.action == "rewritten" and change.now is not None and change.now.kind == "directory"
    )
    return "unmodified" if same else "modified"


def _attach_to_parents(items: dict[bytes, TreeItem], view: View) -> None:
    """Put items into their directories, deepest first; without empty ones if filtered."""
    filtered = view.pattern or view.changes != frozenset(CHANGES)
    for path in sorted(items, key=lambda path: path.split(b"/"), reverse=True):
        if not path:
            continue
        item = items[path]
        if item.is_directory and filtered and not item.children:
            continue
        parent = items.get(path.rpartition(b"/")[0])
        if parent is None:
            continue
        parent.children.append(item)
        if item.change != "removed":
            parent.size += item.size
        parent.size_before += item.size_before


def _sort(root: TreeItem, *, by_size: bool) -> None:
    for item in root.walk():
        if by_size:
            item.children.sort(key=lambda one: (-max(one.size, one.size_before), one.path))
        else:
            item.children.sort(key=lambda one: one.path)


def _matcher(pattern: str) -> Callable[[bytes], bool]:
    if not pattern:
        return lambda _path: True
    try:
        compiled = re.compile(pattern.encode("utf-8", "surrogateescape"))
    except re.error as error:
        raise UsageError(f"invalid regular expression {pattern!r}: {error}") from error
    return lambda path: compiled.search(b"/" + path) is not None
