"""Two images side by side, path by path; keys as in the explorer of one image.

Shows what ``pair_model`` computes. Started by ``homeport diff -i``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Footer, Input, Static

from homeport.errors import HomeportError
from homeport.explorer.dialogs import TextDialog
from homeport.explorer.model import TreeItem, View
from homeport.explorer.pair_model import PairModel
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
from homeport.inspection.image.image_platforms import ImagePlatforms
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.report.builder import sizes_of
from homeport.oci.platform import Platform
from homeport.printable import path_text, printable
from homeport.progress import Handover
from homeport.quantities import counted, human_size

_DIFFERENCES = frozenset({"added", "removed", "modified"})


def explore_two(
    sources: tuple[ImagePlatforms, ImagePlatforms],
    platforms: tuple[Platform | None, Platform | None],
    progress: Handover,
) -> None:
    """Show two images until the user quits. Raises ``UsageError`` without a suitable terminal."""
    require_terminal()
    one, other = (
        source.open(platform) for source, platform in zip(sources, platforms, strict=True)
    )
    run(PairExplorer(sources, (one, other)), progress)


class PairExplorer(TreeApp):
    """The application: paths that differ are shown first; ``4`` shows the others."""

    TITLE = "homeport diff"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "next_difference(1)", "Next"),
        Binding("N", "next_difference(-1)", "go to the difference before", show=False),
        Binding("d", "packages", "Packages"),
    ]

    def __init__(
        self,
        sources: tuple[ImagePlatforms, ImagePlatforms],
        opened: tuple[OpenedImage, OpenedImage],
    ) -> None:
        super().__init__(sources[0].runtime, View(layer=0, changes=_DIFFERENCES))
        self._sources = sources
        self.model = PairModel(*opened)

    def compose(self) -> ComposeResult:
        yield Static(id="before", classes="head")
        yield Static(id="after", classes="head")
        with Vertical(id="pane"):
            yield Input(placeholder="regular expression over the whole path", id="filter")
            yield Static(id="columns")
            yield RowView(self.draw, id="tree")
        yield Static(id="details")
        yield Footer(compact=True)

    def on_mount(self) -> None:
        self._heads()
        super().on_mount()
        self.query_one("#pane").border_subtitle = legend()
        self.tree_rows.focus()

    def root(self) -> TreeItem | None:
        return self.model.tree(self.view)

    def after_refresh(self) -> None:
        counts = self.model.counts
        words = [f"{counts[change]} {change}" for change in ("added", "removed", "modified")]
        pane = self.query_one("#pane")
        pane.border_title = ", ".join([*words, *self.view_words()])
        half = self._half(self.tree_rows.size.width)
        names = f" {heading(attributes=self.shows_attributes)}    name"
        self.query_one("#columns", Static).update(
            Text.assemble(_cut(Text(names), half), "│", _cut(Text(names), half), no_wrap=True)
        )
        self._details()

    def draw(self, row: Row, width: int) -> Text:
        """A line: what the first image has, and what the second."""
        item = row.item
        half = self._half(width)
        sides = []
        for entry, size, there in (
            (item.before, item.size_before, item.change != "added"),
            (item.entry, item.size, item.change != "removed"),
        ):
            columns = columns_of(entry, size, attributes=self.shows_attributes)
            text = f"{SIGNS[item.change]}{columns}  {row.name}" if there else ""
            sides.append(_cut(Text(text, style=COLOURS[item.change]), half))
        return Text.assemble(sides[0], "│", sides[1])

    @property
    def shows_attributes(self) -> bool:
        if self.attributes is None:
            return self._half(self.tree_rows.size.width) >= 60
        return self.attributes

    # -- another platform

    def platforms(self) -> tuple[Sequence[Platform], Platform | None]:
        there = self._sources[1].platforms
        both = [
            each
            for each in self._sources[0].platforms
            if any(other.satisfies(each) for other in there)
        ]
        return both, self.model.one.image.platform

    def open_platform(self, platform: Platform) -> Callable[[], None]:
        model = PairModel(*(source.open(platform) for source in self._sources))
        model.rows  # noqa: B018  compared on the thread

        def show() -> None:
            self.model = model
            self._heads()
            self.refresh_tree()

        return show

    # -- keys

    def path_of(self, item: TreeItem) -> bytes:
        row = self.model.rows.get(item.path)
        return (row.after or row.before or b"") if row is not None else item.path

    @on(RowView.Moved)
    def _details(self) -> None:
        """What differs of the path under the cursor."""
        item = self.tree_rows.chosen
        row = self.model.rows.get(item.path) if item is not None else None
        text = Text("no path differs" if item is None or not item.children else "")
        if item is not None and row is not None:
            facts = "; ".join(row.facts) or {"modified": "content"}.get(row.change, row.change)
            text = Text(f"{printable(path_text(item.path))}  {printable(facts)}")
        self.query_one("#details", Static).update(text)

    def action_next_difference(self, by: int) -> None:
        """Go to the next path that differs, wherever it is, round and round."""
        root = self.tree_rows.root
        items = root.walk() if root is not None else ()
        paths = [item.path for item in items if item.change != "unmodified"]
        if not paths:
            self.notify("no path differs")
            return
        chosen = self.tree_rows.chosen
        key = chosen.path.split(b"/") if chosen is not None else [b""]
        order = sorted(paths, key=lambda path: path.split(b"/"))
        later = [path for path in order if path.split(b"/") > key]
        before = [path for path in order if path.split(b"/") < key]
        if by > 0:
            self.tree_rows.reveal((later or order)[0])
        else:
            self.tree_rows.reveal((before or order)[-1])

    def action_preview(self) -> None:
        """The lines in which a file differs."""
        item = self.tree_rows.chosen
        row = self.model.rows.get(item.path) if item is not None else None
        if item is None or row is None or item.entry.kind == "directory":
            return
        try:
            lines = self.model.text(item.path)
        except HomeportError as error:
            self.push_screen(TextDialog("Error", printable(error.what)))
            return
        shown = Text()
        for line in (*row.facts, f"{human_size(item.size_before)} → {human_size(item.size)}"):
            shown.append(printable(line) + "\n")
        for line in lines:
            style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
            shown.append(printable(line) + "\n", style=style)
        if row.change == "modified" and not lines:
            shown.append("no text to compare line by line\n")
        self.push_screen(TextDialog("/" + item.name, shown))

    def action_packages(self) -> None:
        """Packages and configuration that differ."""
        found = self.model.difference
        shown = Text()
        for one in found.packages:
            style = COLOURS.get(one.change, "yellow")
            versions = f"{one.before or '-'} → {one.after or '-'}"
            shown.append(f"{one.change:<10}  {printable(f'{one.name}  {versions}')}\n", style=style)
        for each in found.config:
            was, now = ("-" if value is None else str(value) for value in (each.before, each.after))
            shown.append(printable(f"config      {each.field}: {was} → {now}") + "\n")
        if not shown.plain:
            shown.append("no package and no configuration differs")
        self.push_screen(TextDialog("Packages and configuration", shown))

    # -- what is shown

    def _half(self, width: int) -> int:
        return max(1, (width - 1) // 2)

    def _heads(self) -> None:
        for id, opened in (("#before", self.model.one), ("#after", self.model.other)):
            sizes = sizes_of(opened)
            name = opened.address or str(opened.image.digest)[:19]
            self.query_one(id, Static).update(
                Text(
                    f"{printable(name)}  {opened.image.platform or ''}  "
                    f"{human_size(sizes.compressed)} compressed, {human_size(sizes.files)} in "
                    f"{counted(sizes.paths, 'path')}, {counted(len(opened.listings), 'layer')}",
                    no_wrap=True, overflow="ellipsis",
                )
            )  # fmt: skip


def _cut(text: Text, width: int) -> Text:
    """``text`` in exactly ``width`` columns."""
    text.truncate(width, overflow="ellipsis", pad=True)
    return text
