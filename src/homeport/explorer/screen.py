"""The interactive inspector: layers on the left, the tree on the right, keys as in dive.

Shows what ``model`` computes. Started by ``homeport inspect -i``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import msgspec
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

from homeport.errors import HomeportError
from homeport.explorer.dialogs import SaveDialog, TextDialog
from homeport.explorer.model import Model, TreeItem, View
from homeport.explorer.rows import Row, RowView
from homeport.explorer.tree_app import (
    COLOURS,
    SIGNS,
    TreeApp,
    columns_of,
    heading,
    legend,
    require_terminal,
    run,
)
from homeport.inspection.image.extraction import extract, paths_below
from homeport.inspection.image.image_platforms import ImagePlatforms
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.packages.provenance import inspect_binary
from homeport.inspection.report.anomalies import MAX_EXAMPLES
from homeport.inspection.report.builder import history_rows, sizes_of
from homeport.inspection.report.waste import find_waste
from homeport.oci.platform import Platform
from homeport.printable import json_text, path_text, printable
from homeport.progress import Handover
from homeport.quantities import counted, human_size

_PREVIEW = 64 << 10


def explore(source: ImagePlatforms, platform: Platform | None, progress: Handover) -> None:
    """Show an image until the user quits. Raises ``UsageError`` without a suitable terminal."""
    require_terminal()
    run(Explorer(source, source.open(platform)), progress)


class Explorer(TreeApp):
    """The application."""

    TITLE = "homeport inspect"
    CSS = (
        TreeApp.CSS
        + """
    #left { width: 40%; }
    #layers { height: 1fr; border: round $primary; text-wrap: nowrap; text-overflow: ellipsis; }
    #layers:focus { border: round $accent; }
    """
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "switch", "Pane", priority=True),
        Binding("w", "waste", "Waste"),
        Binding("x,ctrl+e", "save", "Save", key_display="x"),
        Binding("n", "next_match", "show the next layer in which the filter matches", show=False),
        Binding("ctrl+l", "only", "show what this layer does", show=False),
        Binding("ctrl+g", "aggregated", "show what all layers up to this one do", show=False),
        Binding("b", "binary", "show where a program is from", show=False),
        Binding(
            "ctrl+a",
            "toggle_added_or_aggregated",
            "added in the tree, all layers in the list (as in dive)",
            show=False,
        ),
        Binding("j", "move_layer('down')", show=False),
        Binding("k", "move_layer('up')", show=False),
    ]

    def __init__(self, source: ImagePlatforms, opened: OpenedImage) -> None:
        super().__init__(source.runtime, View(layer=max(0, len(opened.listings) - 1)))
        self._source = source
        self._take(opened)

    def _take(self, opened: OpenedImage) -> None:
        self.model = Model(opened)
        self.opened = opened
        self.waste = find_waste(opened.history, most=0)

    def compose(self) -> ComposeResult:
        yield Static(self._head(), id="head", classes="head")
        with Horizontal():
            with Vertical(id="left"):
                yield OptionList(*self._layers(), id="layers")
                yield Static(id="details")
            with Vertical(id="pane"):
                yield Input(placeholder="regular expression over the whole path", id="filter")
                yield Static(id="columns")
                yield RowView(self.draw, id="tree")
        yield Footer(compact=True)

    def on_mount(self) -> None:
        super().on_mount()
        layers = self.query_one("#layers", OptionList)
        layers.border_title = "Layers"
        self.query_one("#pane").border_subtitle = legend()
        self.query_one("#details").border_title = "Details"
        if self.model.layers:
            layers.highlighted = self.view.layer
        layers.focus()

    def root(self) -> TreeItem | None:
        return self.model.tree(self.view) if self.model.layers else None

    def after_refresh(self) -> None:
        self.query_one("#pane").border_title = self._title()
        self.query_one("#columns", Static).update(
            Text(" " + heading(attributes=self.shows_attributes) + "    name", no_wrap=True)
        )
        self._details()

    def draw(self, row: Row, _width: int) -> Text:
        """A line of the tree."""
        item = row.item
        name = row.name
        if item.entry.kind == "symlink":
            name += " → " + printable(item.entry.target.decode("utf-8", "backslashreplace"))
        columns = columns_of(item.entry, item.size, attributes=self.shows_attributes)
        return Text(f"{SIGNS[item.change]}{columns}  {name}", style=COLOURS[item.change])

    # -- another platform

    def platforms(self) -> tuple[Sequence[Platform], Platform | None]:
        return self._source.platforms, self.opened.image.platform

    def open_platform(self, platform: Platform) -> Callable[[], None]:
        opened = self._source.open(platform)

        def show() -> None:
            self._take(opened)
            self.view = msgspec.structs.replace(self.view, layer=max(0, self.model.layers - 1))
            self.query_one("#head", Static).update(self._head())
            layers = self.query_one("#layers", OptionList)
            layers.clear_options()
            layers.add_options(self._layers())
            self.refresh_tree()
            if self.model.layers:
                layers.highlighted = self.view.layer

        return show

    # -- keys

    @on(OptionList.OptionHighlighted, "#layers")
    def _layer(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_index < self.model.layers:
            self.change(layer=event.option_index)

    def action_switch(self) -> None:
        tree, layers = self.tree_rows, self.query_one("#layers")
        (layers if tree.has_focus else tree).focus()

    def action_next_match(self) -> None:
        """The next layer, round and round, that changes a path which the filter matches."""
        for step in range(1, self.model.layers + 1):
            layer = (self.view.layer + step) % self.model.layers
            if self.model.matches(layer, self.view.pattern):
                self.query_one("#layers", OptionList).highlighted = layer
                return
        self.notify("no layer changes a path that the filter matches")

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

    def action_move_layer(self, way: str) -> None:
        if isinstance(self.focused, OptionList):
            getattr(self.focused, f"action_cursor_{way}")()

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
        item = self.tree_rows.chosen
        if item is None or item.entry.kind != "file" or item.change == "removed":
            return
        try:
            data = self.opened.read([item.path], limit=_PREVIEW).get(item.path, b"")
        except HomeportError as error:
            self.push_screen(TextDialog("Error", printable(error.what)))
            return
        self.push_screen(TextDialog("/" + item.name, _shown(data)))

    def action_binary(self) -> None:
        item = self.tree_rows.chosen
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
        item = self.tree_rows.chosen
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
        parts = [
            f"up to layer {self.view.layer}"
            if self.view.aggregated
            else f"layer {self.view.layer}",
            *self.view_words(),
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


def _short(command: str) -> str:
    """A command without what every builder puts in front of it."""
    text = " ".join(command.split())
    return text.removeprefix("/bin/sh -c ").removeprefix("#(nop) ").strip()


def _shown(data: bytes) -> str:
    """Text as it is, anything else as bytes in rows."""
    if b"\0" not in data[:4096]:
        return "\n".join(printable(line) for line in data.decode("utf-8", "replace").split("\n"))
    return "\n".join(
        f"{at:08x}  {data[at : at + 16].hex(' '):<47}  "
        + "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data[at : at + 16])
        for at in range(0, min(len(data), 4096), 16)
    )
