"""What the explorers of one and of two images share: the filtered tree, its keys, its columns,
and opening another platform while the screen stays."""

from __future__ import annotations

import shutil
import sys
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import msgspec
from rich.text import Text
from textual import on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.widgets import Input

from homeport.errors import HomeportError, UsageError
from homeport.explorer.dialogs import ChooseDialog, TextDialog
from homeport.explorer.model import CHANGES, TreeItem, View
from homeport.explorer.rows import RowView
from homeport.layers.entry import Entry
from homeport.oci.platform import Platform
from homeport.printable import path_text, printable
from homeport.progress import Handover, Silent
from homeport.quantities import human_size
from homeport.runtime import Runtime

COLOURS = {"added": "green", "removed": "red", "modified": "yellow", "unmodified": ""}
SIGNS = {"added": "+", "removed": "-", "modified": "~", "unmodified": " "}
#: Columns of a tree that has place for mode and owner without being asked.
WIDE = 70
_MIN_WIDTH, _MIN_HEIGHT = 60, 15


def require_terminal() -> None:
    """Raise ``UsageError`` without a suitable terminal."""
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise UsageError("the explorer requires a terminal on standard input, output and error")
    size = shutil.get_terminal_size()
    if size.columns < _MIN_WIDTH or size.lines < _MIN_HEIGHT:
        raise UsageError(
            f"terminal too small: {size.columns} x {size.lines} characters; the explorer requires "
            f"{_MIN_WIDTH} x {_MIN_HEIGHT}"
        )


def run(app: TreeApp, progress: Handover) -> None:
    """Show ``app`` until the user quits; nothing else writes on the terminal meanwhile."""
    before, progress.to = progress.to, Silent()
    try:
        app.run()
    finally:
        progress.to = before


class TreeApp(App[None]):
    """An application around one ``RowView`` with a filter above it."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    .head { height: 1; padding: 0 1; background: $primary-background; text-style: bold;
        text-wrap: nowrap; text-overflow: ellipsis; }
    #columns { height: 1; color: $text-muted; text-wrap: nowrap; }
    #pane { border: round $primary; } #pane:focus-within { border: round $accent; }
    #details { height: auto; max-height: 12; border: round $primary; padding: 0 1; }
    #filter { display: none; } #filter.shown { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+c", "quit", "Quit"),
        Binding("question_mark", "help", "Keys", key_display="?"),
        Binding("slash,ctrl+f", "filter", "Filter", key_display="/"),
        Binding("escape", "close_filter", "close the filter", show=False),
        Binding("s,ctrl+o", "sort", "Sort", key_display="s"),
        Binding("p", "preview", "Preview"),
        Binding("o", "platform", "Platform"),
        Binding("ctrl+b", "attributes", "show or hide mode and owner", show=False),
        Binding("y", "copy_path", "copy the path to the clipboard", show=False),
        Binding("1", "toggle_change('added')", "show or hide what is added", show=False),
        Binding("2", "toggle_change('removed')", "show or hide what is removed", show=False),
        Binding("3", "toggle_change('modified')", "show or hide what is modified", show=False),
        Binding("4", "toggle_change('unmodified')", "show or hide what is unmodified", show=False),
        Binding("ctrl+r", "toggle_change('removed')", "as 2 (dive)", show=False),
        Binding("ctrl+u", "toggle_change('unmodified')", "as 4 (dive)", show=False),
    ]
    #: What every row view does, for the list of keys.
    MOVING = (
        ("↑ ↓ j k", "move; page up, page down, home and end, too"),
        ("space", "expand or collapse; also → and ←"),
    )

    def __init__(self, runtime: Runtime, view: View) -> None:
        super().__init__()
        self.view = view
        self.attributes: bool | None = None
        self._runtime = runtime
        self._opening = False

    # -- what each explorer does its own way

    @abstractmethod
    def root(self) -> TreeItem | None:
        """The tree to show. Raises ``UsageError`` for a bad pattern."""

    @abstractmethod
    def after_refresh(self) -> None:
        """Update what stands around the tree."""

    @abstractmethod
    def platforms(self) -> tuple[Sequence[Platform], Platform | None]:
        """The platforms that can be opened, and which is."""

    @abstractmethod
    def open_platform(self, platform: Platform) -> Callable[[], None]:
        """Read another platform, on a thread; the result shows it."""

    def path_of(self, item: TreeItem) -> bytes:
        """What a path is called in the image."""
        return item.path

    # -- what happens

    def on_mount(self) -> None:
        self.refresh_tree()

    def on_unmount(self) -> None:
        if self._opening:
            self._runtime.cancel.cancel()

    def on_resize(self) -> None:
        self.call_after_refresh(self.after_refresh)

    @on(Input.Changed, "#filter")
    def _filtered(self, event: Input.Changed) -> None:
        try:
            self.change(pattern=event.value)
        except UsageError as error:
            self.notify(error.what, markup=False, severity="warning")

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self.tree_rows.focus()

    def change(self, **fields: Any) -> None:
        """Show something else; nothing is done if it is shown already."""
        view, before = msgspec.structs.replace(self.view, **fields), self.view
        if view != before:
            self.view = view
            try:
                self.refresh_tree()
            except UsageError:  # a bad pattern
                self.view = before
                raise

    def refresh_tree(self) -> None:
        self.tree_rows.show(self.root(), expand=bool(self.view.pattern))
        self.after_refresh()

    @property
    def tree_rows(self) -> RowView:
        return self.query_one("#tree", RowView)

    def action_filter(self) -> None:
        box = self.query_one("#filter", Input)
        box.add_class("shown")
        box.focus()

    def action_close_filter(self) -> None:
        box = self.query_one("#filter", Input)
        box.value = ""
        box.remove_class("shown")
        self.tree_rows.focus()

    def action_help(self) -> None:
        bindings = [*TreeApp.BINDINGS, *type(self).BINDINGS]
        rows = dict(self.MOVING) | {
            each.key_display or each.key.split(",")[0]: each.description
            for each in bindings
            if isinstance(each, Binding) and each.description
        }
        width = max(map(len, rows))
        lines = [f"{key:<{width}}  {text[0].lower()}{text[1:]}" for key, text in rows.items()]
        self.push_screen(TextDialog("Keys", "\n".join(lines)))

    def action_copy_path(self) -> None:
        item = self.tree_rows.chosen
        if item is not None:
            path = path_text(self.path_of(item))
            self.copy_to_clipboard(path)
            self.notify(f"copied {printable(path)}", markup=False)

    def action_sort(self) -> None:
        self.change(by_size=not self.view.by_size)

    def action_attributes(self) -> None:
        self.attributes = not self.shows_attributes
        self.tree_rows.refresh()
        self.after_refresh()

    def action_toggle_change(self, kind: str) -> None:
        self.change(changes=self.view.changes ^ {kind})

    def action_platform(self) -> None:
        there, shown = self.platforms()
        if len(there) < 2:
            self.notify("this is the only platform" if there else "no platform is named")
            return
        at = next((number for number, each in enumerate(there) if each == shown), 0)

        def chosen(number: int | None) -> None:
            if number is not None and number >= 0 and there[number] != shown:
                self._begin(there[number])

        self.push_screen(ChooseDialog("Platform", [str(each) for each in there], at), chosen)

    # -- another platform

    def _begin(self, platform: Platform) -> None:
        if self._opening:
            return
        self._opening = True
        self.notify(f"reading {platform}", markup=False)
        self.run_worker(lambda: self._read(platform), thread=True, exit_on_error=False)

    def _read(self, platform: Platform) -> None:
        """On a thread: the screen stays usable."""
        try:
            show = self.open_platform(platform)
        except HomeportError as error:
            text = "\n".join(map(printable, filter(None, (error.what, error.hint))))
            self.call_from_thread(self._opened, lambda: self.push_screen(TextDialog("Error", text)))
        else:
            self.call_from_thread(self._opened, show)

    def _opened(self, show: Callable[[], Any]) -> None:
        self._opening = False
        self.clear_notifications()
        show()

    # -- what is shown

    @property
    def shows_attributes(self) -> bool:
        if self.attributes is None:
            return self.tree_rows.size.width >= WIDE
        return self.attributes

    def view_words(self) -> list[str]:
        """How the tree is sorted, and what is hidden."""
        hidden = [kind for kind in CHANGES if kind not in self.view.changes]
        return [
            "by size" if self.view.by_size else "by name",
            *(f"without {kind}" for kind in hidden),
        ]


def columns_of(entry: Entry | None, size: int, *, attributes: bool) -> str:
    """Mode, owner and size of a path, aligned; blank for one that is not there."""
    if entry is None:
        return " " * (27 if attributes else 9)
    owner = f"{entry.uid}:{entry.gid}"
    return (f"{entry.mode:04o} {owner:>11}  " if attributes else "") + f"{human_size(size):>9}"


def heading(*, attributes: bool) -> str:
    """The names of these columns."""
    return (f"{'mode':<4} {'owner':>11}  " if attributes else "") + f"{'size':>9}"


def legend() -> Text:
    """What the signs and colours of paths mean."""
    parts: list[Text | str] = []
    for kind, sign in SIGNS.items():
        if sign != " ":
            parts += [Text(f"{sign} {kind}", style=COLOURS[kind]), "  "]
    return Text.assemble(*parts[:-1])
