"""The explorer in a real terminal, through tmux: it draws, obeys keys, and leaves."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.inspection import directory, file, layer, made, whiteout
from builders.runtime import runtime
from homeport.images.address import LayoutAddress
from homeport.images.transports.oci_layout import OciLayout
from peers.engines import short_folder

pytestmark = pytest.mark.peer("tmux")


class Terminal:
    def __init__(self, socket: Path, command: str, size: tuple[int, int]) -> None:
        self._tmux = ["tmux", "-S", str(socket)]
        width, height = map(str, size)
        self._run("-f", "/dev/null", "new-session", "-d", "-x", width, "-y", height, command)
        self._run("set-option", "remain-on-exit", "on")

    def _run(self, *arguments: str) -> str:
        environ = {key: text for key, text in os.environ.items() if key not in ("COLUMNS", "LINES")}
        done = subprocess.run(
            [*self._tmux, *arguments], capture_output=True, text=True, check=True, env=environ
        )
        return done.stdout

    def keys(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def screen(self) -> str:
        return self._run("capture-pane", "-p")

    def wait(self, shows: Callable[[str], bool]) -> str:
        deadline = time.monotonic() + 30
        while not shows(text := self.screen()):
            assert time.monotonic() < deadline, text
            time.sleep(0.1)
        return text

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)


@pytest.fixture
def command(tmp_path: Path) -> str:
    value = made(
        layer(directory("d"), file("d/big", b"B" * 3000), file("\x1b[31mred")),
        layer(file("new", b"n"), whiteout("d/big")),
    )
    OciLayout(LayoutAddress(path=tmp_path / "one", tag="1")).write(value, runtime())
    return (
        f"{sys.executable} -m homeport inspect oci:{tmp_path}/one:1 -i "
        f"--cache-dir {tmp_path}/cache; sleep 60"
    )


@pytest.fixture
def socket() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder / "tmux"


def test_the_explorer_draws_obeys_and_leaves(command: str, socket: Path) -> None:
    terminal = Terminal(socket, command, (110, 30))
    try:
        text = terminal.wait(lambda text: "Layers" in text and "new" in text)
        assert "layer 1, by name" in text
        assert "\\x1b[31mred" in text
        terminal.keys("Up")
        terminal.wait(lambda text: "layer 0, by name" in text and "new" not in text)
        terminal.keys("Tab", "C-o")
        terminal.wait(lambda text: "layer 0, by size" in text)
        terminal.keys("w")
        terminal.wait(lambda text: "shipped in 0, unused since 1  /d/big" in text)
        terminal.keys("Escape")
        terminal.wait(lambda text: "shipped in" not in text)
        terminal.keys("q")
        terminal.wait(lambda text: "Layers" not in text)
    finally:
        terminal.close()


def test_a_terminal_that_is_too_small_is_one_clear_error(command: str, socket: Path) -> None:
    terminal = Terminal(socket, command, (50, 10))
    try:
        terminal.wait(lambda text: "terminal too small" in text.replace("\n", ""))
    finally:
        terminal.close()
