"""A widget that shows a tree as rows of aligned columns, one line a path.

Textual's own tree puts guides before each label, so that columns of nested paths do not align.
Only lines that are visible are drawn. What a row shows is the caller's (``draw``).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import ClassVar

import msgspec
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from homeport.explorer.model import TreeItem

#: A filtered tree of fewer paths is shown expanded.
FEW = 500


class Row(msgspec.Struct, frozen=True):
    """A line: a path, how deep it is, and whether what is below it is shown."""

    item: TreeItem
    depth: int
    expanded: bool

    @property
    def name(self) -> str:
        """The name behind its place in the tree."""
        sign = " " if not self.item.children else "▾" if self.expanded else "▸"
        return f"{'  ' * self.depth}{sign} {self.item.name or '/'}"


class RowView(ScrollView, can_focus=True):
    """The rows. ``draw(row, width)`` makes the text of one."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--cursor"}
    DEFAULT_CSS = """
    RowView { background: $surface; color: $foreground; overflow-x: hidden; }
    RowView > .rows--cursor { background: $block-cursor-blurred-background; }
    RowView:focus > .rows--cursor {
        background: $block-cursor-background; color: $block-cursor-foreground;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "move(-1000000000)", "First", show=False),
        Binding("end,G", "move(1000000000)", "Last", show=False),
        Binding("enter,space", "expand_or_collapse", "Expand or collapse", show=False),
        Binding("right,l", "expand", "Expand", show=False),
        Binding("left,h", "collapse", "Collapse", show=False),
    ]

    class Moved(Message):
        """The cursor is on another row."""

    def __init__(self, draw: Callable[[Row, int], Text], *, id: str) -> None:
        super().__init__(id=id)
        self._draw = draw
        self.root: TreeItem | None = None
        self._expanded: set[bytes] = {b""}
        self.rows: list[Row] = []
        self.cursor = 0

    @property
    def chosen(self) -> TreeItem | None:
        """The path under the cursor."""
        return self.rows[self.cursor].item if self.rows else None

    def show(self, root: TreeItem | None, *, expand: bool = False) -> None:
        """Show a tree; what was expanded and chosen stays so where it is still there.

        expand: expand everything, if that is little
        """
        chosen = self.chosen.path if self.chosen else b""
        self.root = root
        if root is not None and expand:
            self._expanded |= _all_if_few(root)
        self._list()
        self.cursor = self._index(chosen) or 0
        self._moved()

    def reveal(self, path: bytes) -> None:
        """Put the cursor on a path, its directories expanded."""
        parts = path.split(b"/")
        self._expanded |= {b"/".join(parts[:number]) for number in range(len(parts))}
        self._list()
        self.cursor = self._index(path) or 0
        self._moved()

    def render_line(self, y: int) -> Strip:
        """One line of the screen; textual asks for those that it shows."""
        index = y + self.scroll_offset.y
        width = self.size.width
        if index >= len(self.rows):
            return Strip.blank(width, self.rich_style)
        text = self._draw(self.rows[index], width)
        text.truncate(width, overflow="ellipsis", pad=True)
        style = self.rich_style
        if index == self.cursor:
            style = self.get_component_rich_style("rows--cursor")
        return Strip(text.render(self.app.console)).apply_style(style).adjust_cell_length(width)

    def on_click(self, event: events.Click) -> None:
        """The cursor goes to the row; a second click expands or collapses it."""
        offset = event.get_content_offset(self)
        if offset is None or (row := offset.y + self.scroll_offset.y) >= len(self.rows):
            return
        if row == self.cursor:
            self.action_expand_or_collapse()
        self.cursor = row
        self._moved()

    def action_move(self, by: int) -> None:
        self.cursor += by
        self._moved()

    def action_page(self, by: int) -> None:
        self.action_move(by * max(1, self.size.height - 1))

    def action_expand_or_collapse(self) -> None:
        if item := self.chosen:
            self._expanded ^= {item.path}
            self._list()
            self._moved()

    def action_expand(self) -> None:
        item = self.chosen
        if item is not None and item.children:
            if item.path in self._expanded:
                self.action_move(1)
            else:
                self.action_expand_or_collapse()

    def action_collapse(self) -> None:
        """Collapse a directory; from anything else go to the directory that it is in."""
        item = self.chosen
        if item is None:
            return
        if item.children and item.path in self._expanded:
            self.action_expand_or_collapse()
        elif item.path:
            self.reveal(item.path.rpartition(b"/")[0])

    def _index(self, path: bytes) -> int | None:
        return next((at for at, row in enumerate(self.rows) if row.item.path == path), None)

    def _list(self) -> None:
        """The rows of what is expanded, from the top."""
        self.rows = []
        todo = [(self.root, 0)] if self.root is not None else []
        while todo:
            item, depth = todo.pop()
            expanded = item.path in self._expanded
            self.rows.append(Row(item, depth, expanded))
            if expanded:
                todo += [(child, depth + 1) for child in reversed(item.children)]
        self.virtual_size = Size(self.size.width, len(self.rows))

    def _moved(self) -> None:
        self.cursor = max(0, min(self.cursor, len(self.rows) - 1))
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)
        self.refresh()
        self.post_message(self.Moved())


def _all_if_few(root: TreeItem) -> set[bytes]:
    """Every path of a tree that has fewer than ``FEW``, else none."""
    paths = {item.path for item in itertools.islice(root.walk(), FEW)}
    return paths if len(paths) < FEW else set()
