"""Results of parts beside the lockfile: found, verified, and replaced with the lockfile's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.errors import IntegrityError
from homeport.oci.platform import parse_platform
from homeport.parts.kept import restore_kept, write_kept
from homeport.recipe.lock.model import LockedPart, LockedTree, Lockfile

CONTENT = b"#!/bin/sh\n"
LIST = json.dumps(
    {
        "format": 1,
        "entries": [
            {"path": "/tool", "type": "file", "executable": True,
             "digest": str(Digest.of(CONTENT)), "size": len(CONTENT)},
            {"path": "/link", "type": "symlink", "target": "tool"},
        ],
    }
).encode()  # fmt: skip
OUTPUT = LockedTree(digest=Digest.of(LIST), size=len(LIST))


def lockfile() -> Lockfile:
    part = LockedPart(inputs=Digest.of(b"inputs"), outputs={parse_platform("linux/amd64"): OUTPUT})
    return Lockfile(
        recipe="test", request=Digest.of(b"request"), homeport="0", epoch=0, archives=(),
        platforms={}, slices={}, parts={"tool": part},
    )  # fmt: skip


def filled(folder: Path) -> Store:
    store = Store(folder)
    store.put_bytes(CONTENT)
    store.put_bytes(LIST)
    return store


def test_a_written_result_fills_an_empty_cache(tmp_path: Path) -> None:
    kept = tmp_path / "test.lock.parts"
    assert write_kept(lockfile(), kept, filled(tmp_path / "first")) == 2
    empty = Store(tmp_path / "second")
    restore_kept(OUTPUT, [tmp_path / "absent", kept], empty)
    assert empty.get(OUTPUT.digest, OUTPUT.size) is not None
    assert empty.get(Digest.of(CONTENT), len(CONTENT)) is not None


def test_files_that_the_lockfile_no_longer_pins_are_removed(tmp_path: Path) -> None:
    kept = tmp_path / "test.lock.parts"
    kept.mkdir()
    (kept / Digest.of(b"old").hex).write_bytes(b"old")
    write_kept(lockfile(), kept, filled(tmp_path / "store"))
    assert {path.name for path in kept.iterdir()} == {OUTPUT.digest.hex, Digest.of(CONTENT).hex}


@pytest.mark.parametrize("bad", [CONTENT + b"more", CONTENT[:-1] + b"X"], ids=["size", "bytes"])
def test_a_file_with_other_bytes_is_an_error_and_not_taken(tmp_path: Path, bad: bytes) -> None:
    kept = tmp_path / "test.lock.parts"
    write_kept(lockfile(), kept, filled(tmp_path / "first"))
    (kept / Digest.of(CONTENT).hex).write_bytes(bad)
    empty = Store(tmp_path / "second")
    with pytest.raises(IntegrityError):
        restore_kept(OUTPUT, [kept], empty)
    assert empty.get(Digest.of(CONTENT)) is None
