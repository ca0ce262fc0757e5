"""Two images side by side in the explorer, driven by textual's own pilot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from builders.images import index
from builders.inspection import directory, file, layer, made
from builders.runtime import runtime
from homeport.explorer.dialogs import TextDialog
from homeport.explorer.pair_screen import PairExplorer
from homeport.explorer.rows import RowView
from homeport.images.image import Image
from homeport.inspection.image.image_platforms import ImagePlatforms
from homeport.oci.documents import RunConfig

_STATUS = "Package: tool\nStatus: install ok installed\nArchitecture: amd64\nVersion: {}\n\n"


def before(platform: str = "linux/amd64") -> Image:
    return made(
        layer(
            directory("etc"), file("etc/conf", b"one\ntwo\n"), file("etc/same", b"s"),
            file("gone", b"g" * 2000), file("tool", b"t"),
            file("var/lib/dpkg/status", _STATUS.format("1.0").encode()),
        ),
        platform=platform, config=RunConfig(env=("A=1",)),
    )  # fmt: skip


def after(platform: str = "linux/amd64") -> Image:
    return made(
        layer(
            directory("etc"), file("etc/conf", b"one\n2\n"), file("etc/same", b"s"),
            file("new", b"n" * 3000), file("tool", b"t", mode=0o755),
            file("var/lib/dpkg/status", _STATUS.format("1.1").encode()),
        ),
        platform=platform, config=RunConfig(env=("A=2",)),
    )  # fmt: skip


def drive(
    script: Callable[[Pilot[None], PairExplorer], Awaitable[None]],
    size: tuple[int, int] = (120, 40),
    platforms: tuple[str, ...] = ("linux/amd64",),
) -> None:
    async def run() -> None:
        sources = tuple(
            ImagePlatforms(
                address=f"oci:app:{tag}", value=index([make(each) for each in platforms]),
                runtime=runtime(),
            )
            for tag, make in (("1", before), ("2", after))
        )  # fmt: skip
        one, other = sources
        app = PairExplorer((one, other), (one.open(), other.open()))
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await script(pilot, app)

    asyncio.run(run())


def lines(app: PairExplorer) -> list[str]:
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


def chosen(app: PairExplorer) -> bytes:
    item = app.query_one(RowView).chosen
    assert item is not None
    return item.path


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_both_images_stand_side_by_side_and_what_one_lacks_is_blank(size: tuple[int, int]) -> None:
    async def script(_pilot: Pilot[None], app: PairExplorer) -> None:
        shown = lines(app)
        assert len(shown) == size[1]
        assert "oci:app:1" in shown[0]
        assert "oci:app:2" in shown[1]
        row = {name: next(line for line in shown if name in line[3:]) for name in ("gone", "new")}
        left, middle, right = row["gone"][1:-1].partition("│")
        assert (left.split()[-1], middle, right.strip()) == ("gone", "│", "")
        left, middle, right = row["new"][1:-1].partition("│")
        assert (left.strip(), middle, right.split()[-1]) == ("", "│", "new")
        assert not any(" same" in line for line in shown)  # what is equal is hidden at first
        assert "1 added, 1 removed, 3 modified" in "".join(shown)
        for word in ("Quit", "Keys", "Filter", "Sort", "Preview", "Next", "Packages", "Platform"):
            assert word in shown[-1]

    drive(script, size)


def test_the_next_difference_is_found_in_directories_that_are_closed() -> None:
    async def script(pilot: Pilot[None], app: PairExplorer) -> None:
        found = []
        for _ in range(6):
            await pilot.press("n")
            found.append(chosen(app))
        assert found == [
            b"etc/conf", b"gone", b"new", b"tool", b"var/lib/dpkg/status", b"etc/conf",
        ]  # fmt: skip
        await pilot.press("N")
        assert chosen(app) == b"var/lib/dpkg/status"

    drive(script)


def test_what_differs_is_told_below_the_tree_and_line_by_line() -> None:
    async def script(pilot: Pilot[None], app: PairExplorer) -> None:
        await pilot.press("n", "p")
        await pilot.pause()
        assert isinstance(app.screen, TextDialog)
        page = str(app.screen.query_one("#page", Static).render())
        assert page.splitlines()[0] == "8 B → 6 B"
        assert page.splitlines()[2:5] == [" one", "-two", "+2"]
        await pilot.press("escape", "n", "n", "n")
        await pilot.pause()
        assert str(app.query_one("#details", Static).render()) == "/tool  mode 0644 → 0755"

    drive(script)


def test_packages_and_configuration_that_differ_are_listed() -> None:
    async def script(pilot: Pilot[None], app: PairExplorer) -> None:
        await pilot.press("d")
        await pilot.pause()
        page = str(app.screen.query_one("#page", Static).render())
        assert page.splitlines() == [
            "upgraded    tool  1.0 → 1.1", "config      Env A: 1 → 2",
        ]  # fmt: skip

    drive(script)


def test_what_is_equal_can_be_shown_and_both_change_their_platform() -> None:
    async def script(pilot: Pilot[None], app: PairExplorer) -> None:
        await pilot.press("4")
        await pilot.press(*"/same$", "enter")
        await pilot.pause()
        assert [row.item.name for row in app.query_one(RowView).rows] == ["", "etc", "same"]
        await pilot.press("o", "down", "enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert all("linux/arm64" in line for line in lines(app)[:2])

    drive(script, platforms=("linux/amd64", "linux/arm64"))
