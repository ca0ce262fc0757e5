"""Extracting and receiving into a folder whose owner swaps directories for links meanwhile.

The swap happens before each step in turn: wherever it is, nothing outside changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builders.engine_wire import ALL_LISTED, FINISHED, Replayed, content, entry
from builders.inspection import Member, directory, file, hardlink, layer, opened, symlink
from homeport.buildkit.protocol.go_filemode import DIRECTORY, SYMLINK
from homeport.buildkit.session import filereceive
from homeport.buildkit.session.filereceive import receive_folder
from homeport.copying.rooted import RootedDirectory
from homeport.errors import HomeportError
from homeport.inspection.image.extraction import extract, select_paths

MEMBERS: list[Member] = [
    directory("d"), directory("d/e"), file("d/e/f", b"new"), hardlink("d/e/h", "d/e/f"),
    symlink("d/e/l", "f"),
]  # fmt: skip
PACKETS = [
    entry("d", DIRECTORY | 0o777), entry("d/e", DIRECTORY | 0o777), entry("d/e/f", 0o777),
    entry("d/e/h", 0o777, linkname=b"d/e/f"), entry("d/e/l", SYMLINK | 0o777, linkname=b"f"),
    ALL_LISTED, content(2, b"new"), content(2), FINISHED,
]  # fmt: skip
#: Steps at which the owner acts: more than either way of writing has.
STEPS = 60


class Owner:
    """Puts a link to the victim in the place of a directory before a step."""

    def __init__(self, out: Path, victim: Path, name: str, step: int) -> None:
        self.out, self.victim, self.name = out, victim, name
        self.left = step
        self.acted = False

    def step(self) -> None:
        self.left -= 1
        path = self.out / self.name
        if self.left < 0 and not self.acted and path.is_dir():
            self.acted = True
            path.rename(self.out / "was")
            path.symlink_to(self.victim)

    def watches(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*arguments: Any, **named: Any) -> Any:
            self.step()
            return call(*arguments, **named)

        return stepping


def victims(tmp_path: Path) -> Iterator[tuple[Path, Path, int]]:
    """For each step a folder to write to, and one that must stay as it is."""
    for step in range(STEPS):
        out, victim = tmp_path / f"out{step}", tmp_path / f"victim{step}"
        (victim / "e").mkdir(parents=True)
        for name in ("f", "e/f", "e/h", "e/l"):
            (victim / name).write_text("precious")
            (victim / name).chmod(0o600)
        (victim / "e").chmod(0o700)
        victim.chmod(0o700)
        yield out, victim, step


def state(folder: Path) -> list[tuple[str, int, int, bytes]]:
    return [
        (str(path.relative_to(folder)), path.lstat().st_mode, path.lstat().st_mtime_ns,
         path.read_bytes() if path.is_file() else b"")
        for path in sorted([folder, *folder.rglob("*")])
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["d", "d/e"])
def test_extract_writes_nothing_through_a_directory_that_becomes_a_link(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = opened(layer(*MEMBERS))
    acted = 0
    for out, victim, step in victims(tmp_path):
        before = state(victim)
        owner = Owner(out, victim, name, step)
        with monkeypatch.context() as patched, contextlib.suppress(HomeportError):
            for method in ("open_directory", "create_directory", "create_file", "create_hardlink",
                           "create_symlink", "set", "again"):  # fmt: skip
                patched.setattr(
                    RootedDirectory, method, owner.watches(getattr(RootedDirectory, method))
                )
            extract(image, select_paths(image, ["/"]), out)
        assert state(victim) == before
        acted += owner.acted
    assert 5 < acted < STEPS


@pytest.mark.parametrize("name", ["d", "d/e"])
def test_a_result_is_not_received_through_a_directory_that_becomes_a_link(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    acted = 0
    for out, victim, step in victims(tmp_path):
        before = state(victim)
        owner = Owner(out, victim, name, step)
        calls = {
            call: owner.watches(getattr(os, call))
            for call in ("open", "mkdir", "unlink", "link", "symlink", "fchmod", "utime", "write")
        }
        watched = SimpleNamespace(**{**vars(os), **calls})
        with monkeypatch.context() as patched, contextlib.suppress(HomeportError):
            patched.setattr(filereceive, "os", watched)
            asyncio.run(receive_folder(out, Replayed(PACKETS)))
        assert state(victim) == before
        acted += owner.acted
    assert 5 < acted < STEPS
