"""The explorer, driven by textual's own pilot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from builders.images import Layer, index
from builders.inspection import directory, file, layer, made, opened, whiteout
from builders.runtime import runtime
from homeport.errors import UsageError
from homeport.explorer.dialogs import ChooseDialog, SaveDialog, TextDialog
from homeport.explorer.model import Model, View
from homeport.explorer.rows import RowView
from homeport.explorer.screen import Explorer, explore
from homeport.images.image import Image
from homeport.inspection.image.image_platforms import ImagePlatforms
from homeport.inspection.image.opened_image import OpenedImage
from homeport.progress import Handover, Silent

LAYERS = (
    layer(directory("d"), file("d/big", b"B" * 3000), file("d/small", b"s"), file("a", b"1")),
    layer(file("a", b"changed"), file("new", b"n" * 50), whiteout("d/big")),
)


def image() -> OpenedImage:
    return opened(*LAYERS)


def source(*images: Image) -> ImagePlatforms:
    """An index of images, the usual one by default."""
    value = index(list(images or [made(*LAYERS)]))
    return ImagePlatforms(address="oci:app:1", value=value, runtime=runtime())


def drive(
    script: Callable[[Pilot[None], Explorer], Awaitable[None]],
    size: tuple[int, int] = (120, 40),
    *images: Image,
) -> None:
    async def run() -> None:
        place = source(*images)
        app = Explorer(place, place.open())
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await script(pilot, app)

    asyncio.run(run())


def names(app: Explorer) -> list[str]:
    return [row.item.name for row in app.query_one(RowView).rows if row.depth == 1]


def test_layers_are_left_and_the_tree_of_the_newest_right() -> None:
    async def script(_pilot: Pilot[None], app: Explorer) -> None:
        assert app.query_one("#layers", OptionList).option_count == 2
        assert names(app) == ["a", "d", "new"]

    drive(script)


def test_moving_to_another_layer_shows_its_tree() -> None:
    async def script(pilot: Pilot[None], app: Explorer) -> None:
        await pilot.press("up")
        await pilot.pause()
        assert app.view.layer == 0
        assert names(app) == ["a", "d"]

    drive(script)


def test_a_directory_is_filled_when_it_is_opened() -> None:
    async def script(pilot: Pilot[None], app: Explorer) -> None:
        assert all(row.depth < 2 for row in app.query_one(RowView).rows)
        await pilot.press("tab", "down", "down", "space")
        await pilot.pause()
        inside = [row.item for row in app.query_one(RowView).rows if row.depth == 2]
        assert [item.change for item in inside] == ["removed", "unmodified"]

    drive(script)


def test_sorting_by_size_and_hiding_kinds() -> None:
    async def script(pilot: Pilot[None], app: Explorer) -> None:
        await pilot.press("tab", "ctrl+o")
        await pilot.pause()
        assert names(app) == ["new", "a", "d"]
        await pilot.press("ctrl+u")
        await pilot.pause()
        assert names(app) == ["new", "a", "d"]
        await pilot.press("ctrl+a")
        await pilot.pause()
        assert "new" not in names(app)

    drive(script)


def test_the_filter_is_a_regular_expression_over_the_path() -> None:
    async def script(pilot: Pilot[None], app: Explorer) -> None:
        await pilot.press("ctrl+f", *"small$")
        await pilot.pause()
        assert names(app) == ["d"]
        await pilot.press("escape")
        await pilot.pause()
        assert names(app) == ["a", "d", "new"]

    drive(script)


def test_a_file_is_previewed_its_origin_shown_and_the_waste_listed() -> None:
    async def script(pilot: Pilot[None], app: Explorer) -> None:
        for key, expected in (("p", "changed"), ("b", "unknown"), ("w", "/d/big")):
            if key == "p":
                await pilot.press("tab", "down")
            await pilot.press(key)
            await pilot.pause()
            assert isinstance(app.screen, TextDialog)
            assert expected in str(app.screen.query_one("#page", Static).render())
            await pilot.press("escape")
            await pilot.pause()

    drive(script)


def test_the_chosen_file_is_saved_where_the_user_says(tmp_path: Path) -> None:
    async def script(pilot: Pilot[None], app: Explorer) -> None:
        await pilot.press("tab", "down", "ctrl+e")
        await pilot.pause()
        assert isinstance(app.screen, SaveDialog)
        app.screen.query_one(Input).value = str(tmp_path / "out")
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, TextDialog)
        assert "1 file, 0 links, 7 B in" in str(app.screen.query_one("#page", Static).render())

    drive(script)
    assert (tmp_path / "out/a").read_bytes() == b"changed"


def test_what_is_there_is_not_overwritten_and_escape_saves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")

    async def script(pilot: Pilot[None], app: Explorer) -> None:
        await pilot.press("tab", "down", "x")
        await pilot.pause()
        app.screen.query_one(Input).value = str(tmp_path)
        await pilot.press("enter")
        await pilot.pause()
        shown = str(app.screen.query_one("#page", Static).render())
        assert shown.startswith("cannot write a: the file exists")
        await pilot.press("escape", "x")
        await pilot.pause()
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, SaveDialog)

    drive(script)
    assert (tmp_path / "a").read_text() == "mine"


def test_without_a_terminal_there_is_one_clear_error() -> None:
    with pytest.raises(UsageError, match="the explorer requires a terminal"):
        explore(source(), None, Handover(Silent()))


def test_a_bad_pattern_is_one_clear_error() -> None:
    with pytest.raises(UsageError, match=r"^invalid regular expression '\(': "):
        Model(image()).tree(View(layer=0, pattern="("))


def test_the_aggregated_view_shows_what_all_layers_did() -> None:
    root = Model(image()).tree(View(layer=1, aggregated=True))
    assert {item.name: item.change for item in root.children} == {
        "a": "modified", "d": "added", "new": "added",
    }  # fmt: skip


def lines(app: Explorer) -> list[str]:
    """What the terminal shows."""
    strips = app.screen._compositor.render_strips()
    return [strip.text.rstrip() for strip in strips]


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_everything_fits_the_terminal(size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[None], app: Explorer) -> None:
        await pilot.pause()
        shown = lines(app)
        assert len(shown) == size[1]
        assert shown[0].strip().endswith("2 layers, waste 3.00 kB") or "…" in shown[0]
        assert [line.split()[1] for line in shown[2:4]] == ["0", "1"]  # a line for each layer
        assert "+ added  - removed  ~ modified" in "".join(shown)
        footer = shown[-1]
        for word in ("Quit", "Keys", "Pane", "Filter", "Sort", "Waste", "Preview", "Save"):
            assert word in footer

    drive(script, size)


def test_the_keys_are_listed_and_a_dialog_says_how_to_leave_it() -> None:
    async def script(pilot: Pilot[None], app: Explorer) -> None:
        await pilot.press("question_mark")
        await pilot.pause()
        shown = "\n".join(lines(app))
        assert "copy the path to the clipboard" in shown
        assert "esc, q or enter closes" in shown
        await pilot.press("escape")
        await pilot.press("w")
        await pilot.pause()
        assert "esc, q or enter closes" in "\n".join(lines(app))

    drive(script)


def test_a_filter_is_searched_in_other_layers_and_a_path_copied() -> None:
    async def script(pilot: Pilot[None], app: Explorer) -> None:
        app.change(pattern="small")
        await pilot.press("n")
        await pilot.pause()
        assert app.view.layer == 0
        await pilot.press("tab", "down", "down", "y")
        await pilot.pause()
        assert app.clipboard == "/d/small"

    drive(script)


def test_another_platform_is_opened_without_leaving() -> None:
    async def script(pilot: Pilot[None], app: Explorer) -> None:
        await pilot.press("o")
        await pilot.pause()
        assert isinstance(app.screen, ChooseDialog)
        shown = "\n".join(lines(app))
        assert "linux/amd64" in shown
        assert "enter opens, esc cancels" in shown
        await pilot.press("down", "enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert names(app) == ["machine"]
        assert app.query_one("#layers", OptionList).option_count == 1
        assert "linux/arm64" in lines(app)[0]

    drive(script, (80, 24), made(*LAYERS), made(layer(file("machine")), platform="linux/arm64"))


def test_a_platform_that_cannot_be_read_is_told_and_the_first_one_stays() -> None:
    damaged = made(Layer(b"no archive", b"no archive"), platform="linux/arm64")

    async def script(pilot: Pilot[None], app: Explorer) -> None:
        await pilot.press("o", "down", "enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert isinstance(app.screen, TextDialog)
        await pilot.press("escape")
        await pilot.pause()
        assert names(app) == ["a", "d", "new"]

    drive(script, (80, 24), made(*LAYERS), damaged)


def test_mode_owner_size_and_name_stand_in_columns_however_deep() -> None:
    async def script(pilot: Pilot[None], app: Explorer) -> None:
        await pilot.press("tab", "down", "down", "space")
        await pilot.pause()
        shown = lines(app)
        heading = next(line for line in shown if "owner" in line)
        start = heading.index("mode")
        assert [word for word in heading[start:].split() if word.isalpha()] == [
            "mode", "owner", "size", "name",
        ]  # fmt: skip
        (top,) = [line for line in shown if "▾ d" in line]
        (deep,) = [line for line in shown if "small" in line]
        size = heading.index("size") + len("size")
        assert top[start : start + 4] == "0755"
        assert deep[start : start + 4] == "0644"
        assert top[size - 1] == deep[size - 1] == "B"  # sizes end in one column

    drive(script, (200, 50))
