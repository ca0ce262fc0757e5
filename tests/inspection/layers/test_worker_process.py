"""Layers listed by processes of their own: the same lists, and nothing is left behind."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from builders.inspection import directory, file, hardlink, layer, made, symlink
from builders.runtime import runtime
from homeport.content.blob import Blob, BytesBlob, FileBlob
from homeport.content.digest import Digest
from homeport.content.reading import Slice
from homeport.content.thread_pools import Pools
from homeport.errors import IntegrityError, Interrupted
from homeport.inspection.image import opened_image as opened
from homeport.inspection.image.opened_image import open_layers
from homeport.inspection.layers import worker_process
from homeport.inspection.layers.examine_layer import examine_layer
from homeport.inspection.layers.worker_process import examine_in_process
from homeport.progress import CancelToken

LAYER = layer(
    directory("etc"), file("etc/os-release", b"ID=debian\n"), file("é", b"2" * 100_000),
    symlink("s", "etc"), hardlink("h", "é"), file("d/" + "long" * 60, b"\x7fELF"),
    file("empty", b""),
)  # fmt: skip


def on_disk(folder: Path, data: bytes = LAYER.data) -> FileBlob:
    path = folder / "layer"
    path.write_bytes(data)
    return FileBlob(path, Digest.of(LAYER.data), len(LAYER.data))


class PartOfFile:
    """A blob that lies in the middle of a file, as in an archive."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.digest, self.size = Digest.of(LAYER.data), len(LAYER.data)

    def open(self, offset: int = 0) -> BinaryIO:
        return cast("BinaryIO", Slice(self.stream.fileno(), 6 + offset, self.size - offset))

    def local_path(self) -> Path | None:
        return None


def test_the_list_is_the_same(tmp_path: Path) -> None:
    known = examine_layer(on_disk(tmp_path), None, CancelToken())
    assert examine_in_process(on_disk(tmp_path), CancelToken()) == known
    archive = tmp_path / "archive"
    archive.write_bytes(b"before" + LAYER.data + b"behind")
    with archive.open("rb") as stream:
        assert examine_in_process(PartOfFile(stream), CancelToken()) == known


def test_a_layer_in_memory_is_left_to_who_has_it() -> None:
    assert examine_in_process(BytesBlob(LAYER.data), CancelToken()) is None


def test_a_damaged_layer_is_read_again_to_say_what_is_wrong(tmp_path: Path) -> None:
    blob = on_disk(tmp_path, LAYER.data[:-1] + b"?")
    assert examine_in_process(blob, CancelToken()) is None
    with pytest.raises(IntegrityError):
        examine_layer(blob, None, CancelToken(), in_process=examine_in_process)


def test_without_processes_the_layer_is_read_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = on_disk(tmp_path)
    monkeypatch.setattr(worker_process.sys, "executable", str(tmp_path / "missing"))
    assert examine_in_process(blob, CancelToken()) is None
    assert examine_layer(blob, None, CancelToken(), in_process=examine_in_process)[0].entries


def test_a_process_is_ended_when_somebody_cancels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep = tmp_path / "asleep"
    asleep.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid\nexec sleep 600\n")
    asleep.chmod(0o755)
    monkeypatch.setattr(worker_process.sys, "executable", str(asleep))
    cancel = CancelToken()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(examine_in_process, on_disk(tmp_path), cancel)
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            assert not waiting.done()
        cancel.cancel()
        with pytest.raises(Interrupted):
            waiting.result()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_an_image_of_several_large_layers_is_read_by_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def seen(blob: Blob, cancel: CancelToken) -> object:
        asked.append(blob.digest)
        return examine_in_process(blob, cancel)

    image = made(layer(file("a", os.urandom(2000))), layer(file("b", os.urandom(2000))),
                 layer(file("c")))  # fmt: skip
    cancel = CancelToken()
    alone = open_layers(image, runtime(pools=Pools(cancel, processor=1)))
    assert not asked, "small layers are not worth it"
    monkeypatch.setattr(opened, "WORTH_IT", 2000)
    monkeypatch.setattr(opened, "examine_in_process", seen)
    together = open_layers(image, runtime(pools=Pools(cancel, processor=2)))
    assert len(asked) == 2
    assert together.history.final == alone.history.final
