"""Files are written whole or not at all, with exact modes and errors that name the path."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from homeport.content.files import (
    CannotRead,
    CannotWrite,
    atomic_write,
    check_place,
    explained,
    write_file,
)


def test_the_old_file_stays_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file(path, b"old")
    with pytest.raises(RuntimeError), atomic_write(path) as stream:
        stream.write(b"half")
        raise RuntimeError

    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o000, 0o644)])
def test_a_file_for_the_user_has_the_mode_that_the_umask_allows(
    tmp_path: Path, umask: int, mode: int
) -> None:
    previous = os.umask(umask)
    try:
        write_file(tmp_path / "file", b"")
        write_file(tmp_path / "exact", b"", mode=0o640)
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "exact").stat().st_mode) == 0o640


@pytest.mark.parametrize("target", ["/dev/null", "pipe", "file", "missing"])
def test_a_link_is_replaced_and_nothing_written_through_it(tmp_path: Path, target: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"kept")
    (tmp_path / "link").symlink_to(target)
    write_file(tmp_path / "link", b"report")

    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "link").read_bytes() == b"report"
    assert (tmp_path / "file").read_bytes() == b"kept"


def test_a_folder_that_is_swapped_for_a_link_meanwhile_leads_nowhere_else(tmp_path: Path) -> None:
    folder, victim = tmp_path / "shared", tmp_path / "victim"
    for each in (folder, victim):
        each.mkdir()
        (each / "report").write_text("old")
    with atomic_write(folder / "report") as stream:
        folder.rename(tmp_path / "was")
        folder.symlink_to(victim)
        stream.write(b"new")
    assert (tmp_path / "was/report").read_text() == "new"
    assert os.listdir(victim) == ["report"]
    assert (victim / "report").read_text() == "old"


def test_descriptors_that_the_shell_passes_are_written_to(tmp_path: Path) -> None:
    read, write = os.pipe()
    write_file(Path(f"/dev/fd/{write}"), b"report")
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        assert stream.read() == b"report"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CannotWrite, match="Permission denied") as caught:
        write_file(tmp_path / "file", b"")
    assert caught.value.hint == "choose a path that you may write to"


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    # /dev/full is the kernel's own full disk; a link makes the written-beside file land there.
    with (
        pytest.raises(CannotWrite, match="No space left on device"),
        atomic_write(tmp_path / "file") as stream,
    ):
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, stream.fileno())
        os.close(full)
        stream.write(b"x" * 100_000)
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_read_is_not_called_a_failed_write(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(CannotRead, match="missing: No such") as caught, explained(missing, "read"):
        missing.read_bytes()
    assert caught.value.id == "cannot-read"


def test_a_device_or_a_pipe_is_written_to_and_stays_what_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_file(pipe, b"through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_place_is_checked_before_work_that_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_place(tmp_path / "new" / "folder" / "file")
    assert list(tmp_path.iterdir()) == []
    check_place(Path("/dev/full"))
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite, match="Not a directory"):
        check_place(tmp_path / "file" / "x")
    with pytest.raises(CannotWrite, match="Is a directory"):
        check_place(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)  # the superuser may write everywhere
    with pytest.raises(CannotWrite, match="Permission denied") as found:
        check_place(tmp_path / "absent" / "x")
    assert found.value.hint == "choose a path that you may write to"
