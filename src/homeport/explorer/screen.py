"""The interactive inspector: layers on the left, the tree on the right, keys as in dive.

Shows what ``model`` computes. Started by
``homeport inspect -i``.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import msgspec
from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, OptionList, Static, Tree
from textual.widgets.option_list import Option
from textual.widgets.tree import TreeNode

from homeport.errors import HomeportError, UsageError
from homeport.explorer.model import CHANGES, Model, TreeItem, View
from homeport.inspection.image.extraction import extract, paths_below
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.packages.provenance import inspect_binary
from homeport.inspection.report.anomalies import MAX_EXAMPLES
from homeport.inspection.report.builder import history_rows, sizes_of
from homeport.inspection.report.waste import find_waste
from homeport.printable import json_text, path_text, printable
from homeport.quantities import counted, human_size

_COLOURS = {"added": "green", "removed": "red", "modified": "yellow", "unmodified": ""}
_SIGNS = {"added": "+", "removed": "-", "modified": "~", "unmodified": " "}
_MIN_WIDTH, _MIN_HEIGHT = 60, 15
_PREVIEW = 64 << 10


def explore(opened: OpenedImage) -> None:
    """Show an image until the user quits. Raises ``UsageError`` without a suitable terminal."""
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise UsageError("the explorer requires a terminal on standard input, output and error")
    size = shutil.get_terminal_size()
    if size.columns < _MIN_WIDTH or size.lines < _MIN_HEIGHT:
        raise UsageError(
            f"terminal too small: {size.columns} x {size.lines} characters; the explorer requires "
            f"{_MIN_WIDTH} x {_MIN_HEIGHT}"
        )
    Explorer(opened).run()


class TextDialog(ModalScreen[None]):
    """A text over the explorer: a file's content, a binary's origin, the waste."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "Close", show=True)
    ]
    CSS = """
    TextDialog { align: center middle; }
    TextDialog VerticalScroll {
        width: 90%; height: 90%; border: round $accent; background: $surface; padding: 0 1;
    }
    """

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = Text(self._title)
            box.border_subtitle = "esc, q or enter closes"
            yield Static(Text(self._text), id="page")


class SaveDialog(ModalScreen[str]):
    """Asks for the directory to save to; empty if the user cancels."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss('')", "Cancel")]
    CSS = """
    SaveDialog { align: center middle; } SaveDialog Input { width: 80%; border: round $accent; }
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def compose(self) -> ComposeResult:
        box = Input(value=".", placeholder="directory", id="folder")
        box.border_title = Text(f"Save {self._path} below this directory")
        yield box

    @on(Input.Submitted, "#folder")
    def _answered(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value)


class Explorer(App[None]):
    """The application."""

    CSS = """
    #head { height: 1; padding: 0 1; background: $primary-background; text-style: bold;
        text-wrap: nowrap; text-overflow: ellipsis; }
    #left { width: 40%; }
    #layers { height: 1fr; border: round $primary; text-wrap: nowrap; text-overflow: ellipsis; }
    #details { height: auto; max-height: 12; border: round $primary; padding: 0 1; }
    #tree { border: round $primary; } #filter { display: none; } #filter.shown { display: block; }
    #layers:focus, #tree:focus { border: round $accent; }
    """
    TITLE = "homeport inspect"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+c", "quit", "Quit"),
        Binding("question_mark", "help", "Keys", key_display="?"),
        Binding("tab", "switch", "Pane", priority=True),
        Binding("slash,ctrl+f", "filter", "Filter", key_display="/"),
        Binding("escape", "close_filter", "Close filter", show=False),
        Binding("n", "next_match", "show the next layer in which the filter matches", show=False),
        Binding("ctrl+l", "only", "show what this layer does", show=False),
        Binding("ctrl+g", "aggregated", "show what all layers up to this one do", show=False),
        Binding("s,ctrl+o", "sort", "Sort", key_display="s"),
        Binding("ctrl+b", "attributes", "show or hide mode and owner", show=False),
        Binding("y", "copy_path", "copy the path to the clipboard", show=False),
        Binding("1", "toggle_change('added')", "show or hide what is added", show=False),
        Binding("2", "toggle_change('removed')", "show or hide what is removed", show=False),
        Binding("3", "toggle_change('modified')", "show or hide what is modified", show=False),
        Binding("4", "toggle_change('unmodified')", "show or hide what is unmodified", show=False),
        Binding(
            "ctrl+a",
            "toggle_added_or_aggregated",
            "added in the tree, all layers in the list (as in dive)",
            show=False,
        ),
        Binding("ctrl+r", "toggle_change('removed')", "as 2 (dive)", show=False),
        Binding("ctrl+u", "toggle_change('unmodified')", "as 4 (dive)", show=False),
        Binding("w", "waste", "Waste"),
        Binding("p", "preview", "Preview"),
        Binding("b", "binary", "show where a program is from", show=False),
        Binding("x,ctrl+e", "save", "Save", key_display="x"),
        Binding("j", "move('down')", "move down", show=False),
        Binding("k", "move('up')", "move up", show=False),
    ]

    def __init__(self, opened: OpenedImage) -> None:
        super().__init__()
        self.model = Model(opened)
        self.opened = opened
        self.view = View(layer=max(0, self.model.layers - 1))
        self.attributes = False
        self.waste = find_waste(opened.history, most=0)

    def compose(self) -> ComposeResult:
        yield Static(self._head(), id="head")
        with Horizontal():
            with Vertical(id="left"):
                yield OptionList(*self._layers(), id="layers")
                yield Static(id="details")
            with Vertical():
                yield Input(placeholder="regular expression over the whole path", id="filter")
                yield Tree("/", id="tree")
        yield Footer()

    def on_mount(self) -> None:
        layers = self.query_one("#layers", OptionList)
        layers.border_title = "Layers"
        self.query_one("#tree").border_subtitle = _legend()
        self.query_one("#details").border_title = "Details"
        if self.model.layers:
            layers.highlighted = self.view.layer
        self.refresh_tree()
        layers.focus()

    # -- what happens

    @on(OptionList.OptionHighlighted, "#layers")
    def _layer(self, event: OptionList.OptionHighlighted) -> None:
        self.change(layer=event.option_index)

    @on(Tree.NodeExpanded)
    def _opened(self, event: Tree.NodeExpanded[TreeItem]) -> None:
        self.fill(event.node)

    @on(Input.Changed, "#filter")
    def _filtered(self, event: Input.Changed) -> None:
        try:
            self.change(pattern=event.value)
        except UsageError as error:
            self.query_one("#details", Static).update(Text(error.what))

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self.query_one("#tree").focus()

    def change(self, **fields: object) -> None:
        """Show something else; nothing is done if it is shown already."""
        view = msgspec.structs.replace(self.view, **fields)
        if view != self.view:
            self.model.tree(view)  # a bad pattern is found before anything changes
            self.view = view
            self.refresh_tree()

    def refresh_tree(self) -> None:
        tree: Tree[TreeItem] = self.query_one("#tree", Tree)
        root = self.model.tree(self.view) if self.model.layers else None
        tree.clear()
        if root is not None:
            tree.root.data = root
            tree.root.set_label(self.label(root))
            self.fill(tree.root)
            tree.root.expand()
        tree.border_title = self._title()
        self._details()

    def fill(self, node: TreeNode[TreeItem]) -> None:
        """Add the children of a directory when it is first opened; expand small filtered trees."""
        if node.data is None or node.children:
            return
        few = bool(self.view.pattern) and sum(1 for _ in _walk(node.data)) < 500
        for item in node.data.children:
            below = node.add(
                self.label(item), data=item, allow_expand=item.is_directory and bool(item.children)
            )
            if few and item.children:
                below.expand()

    def label(self, item: TreeItem) -> Text:
        name = item.name or "/"
        if item.entry.kind == "symlink":
            name += " → " + printable(item.entry.target.decode("utf-8", "backslashreplace"))
        style = _COLOURS[item.change]
        if self.attributes:
            entry = item.entry
            owner = f"{entry.uid}:{entry.gid}"
            name = f"{entry.mode:04o} {owner:>11}  {name}"
        return Text(f"{_SIGNS[item.change]}{human_size(item.size):>9}  {name}", style=style)

    # -- keys

    def action_switch(self) -> None:
        tree, layers = self.query_one("#tree"), self.query_one("#layers")
        (layers if tree.has_focus else tree).focus()

    def action_filter(self) -> None:
        box = self.query_one("#filter", Input)
        box.add_class("shown")
        box.focus()

    def action_close_filter(self) -> None:
        box = self.query_one("#filter", Input)
        box.value = ""
        box.remove_class("shown")
        self.query_one("#tree").focus()

    def action_help(self) -> None:
        rows = [
            (each.key_display or each.key.split(",")[0], each.description)
            for each in self.BINDINGS
            if isinstance(each, Binding) and each.description
        ]
        width = max(len(key) for key, _ in rows)
        lines = [f"{key:<{width}}  {text[0].lower()}{text[1:]}" for key, text in rows]
        self.push_screen(TextDialog("Keys", "\n".join(lines)))

    def action_next_match(self) -> None:
        """The next layer, round and round, that changes a path which the filter matches."""
        for step in range(1, self.model.layers + 1):
            layer = (self.view.layer + step) % self.model.layers
            if self.model.matches(layer, self.view.pattern):
                self.query_one("#layers", OptionList).highlighted = layer
                return
        self.notify("no layer changes a path that the filter matches")

    def action_copy_path(self) -> None:
        item = self._chosen()
        if item is not None:
            path = path_text(item.path)
            self.copy_to_clipboard(path)
            self.notify(f"copied {printable(path)}", markup=False)

    def action_only(self) -> None:
        self.change(aggregated=False)

    def action_aggregated(self) -> None:
        self.change(aggregated=True)

    def action_toggle_added_or_aggregated(self) -> None:
        """ctrl+a means another thing in each pane, as in dive."""
        if self.query_one("#layers").has_focus:
            self.change(aggregated=True)
        else:
            self.action_toggle_change("added")

    def action_sort(self) -> None:
        self.change(by_size=not self.view.by_size)

    def action_attributes(self) -> None:
        self.attributes = not self.attributes
        self.refresh_tree()

    def action_toggle_change(self, kind: str) -> None:
        self.change(changes=self.view.changes ^ {kind})

    def action_move(self, way: str) -> None:
        focused = self.focused
        if isinstance(focused, (Tree, OptionList)):
            getattr(focused, f"action_cursor_{way}")()

    def action_waste(self) -> None:
        lines = [
            f"{human_size(change.wasted):>9}  {change.action:<10} shipped in "
            f"{change.before.layer if change.before else number}, unused since {number}  "
            f"{printable(path_text(change.path))}"
            for number, change in self.model.wasted()
        ]
        self.push_screen(
            TextDialog("Waste", "\n".join(lines[: MAX_EXAMPLES * 50]) or "no wasted bytes")
        )

    def action_preview(self) -> None:
        item = self._chosen()
        if item is None or item.entry.kind != "file" or item.change == "removed":
            return
        try:
            data = self.opened.read([item.path], limit=_PREVIEW).get(item.path, b"")
        except HomeportError as error:
            self.push_screen(TextDialog("Error", printable(error.what)))
            return
        self.push_screen(TextDialog("/" + item.name, _shown(data)))

    def action_binary(self) -> None:
        item = self._chosen()
        if item is None or item.entry.kind != "file" or item.path not in self.opened.history.final:
            return
        try:
            found = inspect_binary(self.opened, item.path.decode("utf-8", "surrogateescape"))
        except HomeportError as error:
            self.push_screen(TextDialog("Error", printable(error.what)))
            return
        text = json_text(msgspec.json.format(msgspec.json.encode(found.facts)).decode())
        self.push_screen(TextDialog("/" + item.name, "\n\n".join((printable(found.verdict), text))))

    def action_save(self) -> None:
        """What ``homeport extract`` does, with what the final tree has at this path."""
        item = self._chosen()
        if item is None or not item.path or item.path not in self.opened.history.final:
            return
        path = path_text(item.path)

        def write(folder: str | None) -> None:
            if not folder:
                return
            try:
                paths = paths_below(self.opened, {item.path})
                done = extract(self.opened, paths, Path(folder))
            except HomeportError as error:
                self.push_screen(
                    TextDialog("Error", "\n".join(map(printable, (error.what, error.hint or ""))))
                )
                return
            skipped = [f"skipped: {printable(each)}" for each in done.skipped]
            summary = (
                f"{counted(done.files, 'file')}, {counted(done.links, 'link')}, "
                f"{human_size(done.size)} in {folder}"
            )
            self.push_screen(TextDialog("Saved", "\n".join((summary, *skipped))))

        self.push_screen(SaveDialog(printable(path)), write)

    # -- what is shown

    def _chosen(self) -> TreeItem | None:
        node = self.query_one("#tree", Tree).cursor_node
        return node.data if node is not None else None

    def _head(self) -> Text:
        """The image, and its figures in a line."""
        opened = self.opened
        sizes = sizes_of(opened)
        name = opened.address or str(opened.image.digest)[:19]
        return Text(
            f"{printable(name)}  {opened.image.platform or ''}  "
            f"{human_size(sizes.compressed)} compressed, {human_size(sizes.files)} in "
            f"{counted(sizes.paths, 'path')}, {counted(self.model.layers, 'layer')}, "
            f"waste {human_size(self.waste.size)}",
            no_wrap=True, overflow="ellipsis",
        )  # fmt: skip

    def _command(self, layer: int) -> str:
        """What made a layer, in full."""
        history, listings = self.opened.config.history, self.opened.history.listings
        found = [each.command for each in history_rows(history, listings) if each.layer == layer]
        return " ".join("".join(found).split())

    def _layers(self) -> list[Option]:
        listings = self.opened.history.listings
        commands = {
            step.layer: step.command for step in history_rows(self.opened.config.history, listings)
        }
        return [
            Option(
                Text(
                    f"{number:>3} {human_size(listing.size):>9}  "
                    + printable(_short(commands.get(number) or listing.digest)),
                    no_wrap=True,
                    overflow="ellipsis",
                )
            )
            for number, listing in enumerate(listings)
        ]

    def _title(self) -> str:
        hidden = [kind for kind in CHANGES if kind not in self.view.changes]
        parts = [
            f"up to layer {self.view.layer}"
            if self.view.aggregated
            else f"layer {self.view.layer}",
            "by size" if self.view.by_size else "by name",
            *(f"without {kind}" for kind in hidden),
        ]
        return ", ".join(parts)

    def _details(self) -> None:
        waste = self.waste
        lines = [
            f"waste {human_size(waste.size)}   dive's efficiency {waste.dive.score:.2%}",
            *(f"{human_size(size):>9}  {cause}" for cause, size in waste.by_cause.items()),
        ]
        if self.model.layers:
            listing = self.opened.history.listings[self.view.layer]
            lines = [
                f"{listing.digest[:19]}…  {counted(len(listing.entries), 'entry', 'entries')}, "
                f"{listing.codec}",
                *([printable(command)] if (command := self._command(self.view.layer)) else ()),
                *lines,
            ]
        self.query_one("#details", Static).update(Text("\n".join(lines)))


def _legend() -> Text:
    """What the signs and colours of paths mean."""
    parts: list[Text | str] = []
    for kind, sign in _SIGNS.items():
        if sign != " ":
            parts += [Text(f"{sign} {kind}", style=_COLOURS[kind]), "  "]
    return Text.assemble(*parts[:-1])


def _short(command: str) -> str:
    """A command without what every builder puts in front of it."""
    text = " ".join(command.split())
    return text.removeprefix("/bin/sh -c ").removeprefix("#(nop) ").strip()


def _walk(item: TreeItem) -> Iterator[TreeItem]:
    todo = [item]
    while todo:
        one = todo.pop()
        yield one
        todo.extend(one.children)


def _shown(data: bytes) -> str:
    """Text as it is, anything else as bytes in rows."""
    if b"\0" not in data[:4096]:
        return "\n".join(printable(line) for line in data.decode("utf-8", "replace").split("\n"))
    return "\n".join(
        f"{at:08x}  {data[at : at + 16].hex(' '):<47}  "
        + "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data[at : at + 16])
        for at in range(0, min(len(data), 4096), 16)
    )
