"""Files that were verified before and not touched since."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from homeport.content.blob import BytesBlob, FileBlob
from homeport.content.digest import Digest
from homeport.content.hash_cache import KnownGoodFiles
from homeport.content.store import Store

DATA = bytes(range(256)) * (4 << 10)


@pytest.fixture
def blob(tmp_path: Path) -> FileBlob:
    path = tmp_path / "blob"
    path.write_bytes(DATA)
    return FileBlob(path, Digest.of(DATA), len(DATA))


@pytest.fixture
def files(tmp_path: Path) -> KnownGoodFiles:
    return KnownGoodFiles(Store(tmp_path / "store"))


@pytest.mark.usefixtures("later")
def test_a_verified_file_is_known_in_a_later_run(
    files: KnownGoodFiles, blob: FileBlob, tmp_path: Path
) -> None:
    state = files.state(blob)
    assert not files.has(state)
    files.add(state, blob)
    assert KnownGoodFiles(Store(tmp_path / "store")).has(files.state(blob))


def _flip(path: Path) -> None:
    before = path.stat()
    with path.open("r+b") as stream:
        stream.write(b"\xff")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace(path: Path) -> None:
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(DATA)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize(
    "touch", [_flip, _replace, lambda path: path.write_bytes(DATA), lambda path: path.chmod(0o600)]
)
def test_a_file_that_was_touched_is_not_known(
    files: KnownGoodFiles, blob: FileBlob, touch: Callable[[Path], object]
) -> None:
    state = files.state(blob)
    files.add(state, blob)
    time.sleep(0.02)  # longer than the steps of a filesystem's clock
    touch(blob.path)
    assert not files.has(files.state(blob))


@pytest.mark.usefixtures("later")
def test_a_file_that_changed_while_it_was_verified_is_not_remembered(
    files: KnownGoodFiles, blob: FileBlob
) -> None:
    state = files.state(blob)
    time.sleep(0.02)
    _flip(blob.path)
    files.add(state, blob)
    assert not files.has(state)
    assert not files.has(files.state(blob))


def test_a_file_that_was_written_a_moment_ago_is_not_trusted(
    files: KnownGoodFiles, blob: FileBlob
) -> None:
    assert files.state(blob) is None


@pytest.mark.usefixtures("later")
def test_only_large_files_are_worth_it(files: KnownGoodFiles, tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"small")
    assert files.state(FileBlob(path, Digest.of(b"small"), 5)) is None
    assert files.state(BytesBlob(DATA)) is None
    assert not files.has(None)
