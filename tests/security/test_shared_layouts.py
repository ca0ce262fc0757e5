"""Writing into a layout or a folder that another user owns, who changes it at the worst moment."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from builders.images import image
from builders.runtime import runtime
from homeport.content.files import atomic_write
from homeport.errors import HomeportError
from homeport.images.address import ArchiveAddress, LayoutAddress
from homeport.images.storage import layout_folder
from homeport.images.transports.oci_archive import OciArchive
from homeport.images.transports.oci_layout import OciLayout


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    folder = tmp_path / "victim"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_text("precious")
    return folder


def write(root: Path) -> None:
    OciLayout(LayoutAddress(path=root)).write(image(), runtime())


def swap(folder: Path, victim: Path) -> None:
    """Put a link to the victim where a folder was a moment ago."""
    folder.rename(folder.with_name("was"))
    folder.symlink_to(victim)


def is_untouched(victim: Path) -> bool:
    return sorted(path.name for path in victim.iterdir()) == ["a", "b"]


def test_a_link_that_looks_abandoned_is_not_followed(tmp_path: Path, victim: Path) -> None:
    root = tmp_path / "layout"
    write(root)
    (root / ".homeport-0").symlink_to(victim)
    write(root)
    assert is_untouched(victim)


def test_what_a_crash_left_is_removed_by_its_handle(
    tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "layout"
    write(root)
    left = root / ".homeport-0"
    left.mkdir()
    (left / "half").write_text("")
    lock = layout_folder._try_lock

    def lock_and_lose(handle: int, **how: bool) -> bool:
        if left.is_dir() and not left.is_symlink():
            swap(left, victim)
        return lock(handle, **how)

    monkeypatch.setattr(layout_folder, "_try_lock", lock_and_lose)
    write(root)
    assert left.is_symlink()
    assert is_untouched(victim)


def test_a_deep_folder_that_looks_abandoned_is_removed(tmp_path: Path) -> None:
    root = tmp_path / "layout"
    write(root)
    left = root / ".homeport-0"
    left.mkdir()
    here = os.open(left, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    write(root)
    assert not left.exists()


@pytest.mark.parametrize("name", ["blobs", "blobs/sha256"])
def test_blobs_are_placed_by_the_handles_of_their_folders(
    name: str, tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "layout"
    sync = layout_folder._sync_file
    swapped: list[str] = []

    def sync_and_lose(unfinished: str, folder: int) -> None:
        if not swapped and (root / name).is_dir():
            swap(root / name, victim)
            swapped.append(unfinished)
        sync(unfinished, folder)

    monkeypatch.setattr(layout_folder, "_sync_file", sync_and_lose)
    with pytest.raises(HomeportError, match="is a link"):
        write(root)
    assert swapped
    assert is_untouched(victim)


def test_the_documents_of_a_layout_replace_links(tmp_path: Path, victim: Path) -> None:
    root = tmp_path / "layout"
    write(root)
    (root / "oci-layout").unlink()
    (root / "oci-layout").symlink_to(victim / "a")
    with pytest.raises(HomeportError):
        write(root)
    assert (victim / "a").read_text() == "precious"


def test_a_link_to_a_device_or_a_file_is_replaced_not_written_through(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    for aim in (Path("/dev/full"), target):
        link = tmp_path / "x.tar"
        link.unlink(missing_ok=True)
        link.symlink_to(aim)
        OciArchive(ArchiveAddress(format="oci-archive", path=link)).write(image(), runtime())
        assert link.is_file()
        assert not link.is_symlink()
    assert target.read_text() == "precious"


def test_files_for_the_user_honour_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        path = tmp_path / "x.tar"
        OciArchive(ArchiveAddress(format="oci-archive", path=path)).write(image(), runtime())
        write(tmp_path / "layout")
        with atomic_write(tmp_path / "exact", mode=0o644) as stream:
            stream.write(b"x")
    finally:
        os.umask(before)
    blobs = list((tmp_path / "layout/blobs/sha256").iterdir())
    assert {stat.S_IMODE(found.stat().st_mode) for found in (path, *blobs)} == {0o600}
    assert stat.S_IMODE((tmp_path / "exact").stat().st_mode) == 0o644
