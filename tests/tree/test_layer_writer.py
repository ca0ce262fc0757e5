"""Layers in one verified pass, with compressed pieces from the cache."""

from __future__ import annotations

import gzip
import hashlib
import io
import tracemalloc
from pathlib import Path

import pytest

from builders.tree import directory, file, node, tar_bytes, tree
from homeport.content.blob import BytesBlob
from homeport.content.digest import Digest
from homeport.content.store import Damage, Store
from homeport.errors import IntegrityError, Interrupted
from homeport.progress import CancelToken
from homeport.tree.compression import Gzip, make_encoder
from homeport.tree.layer_writer import WrittenLayer, write_layer
from homeport.tree.node import Tree
from homeport.tree.pieces import LARGE, PIECE_BOUND

BIG = bytes(range(256)) * (LARGE // 256)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def some_tree(small: bytes = b"small") -> Tree:
    return tree(
        {
            "etc": directory(),
            "etc/conf": file(small),
            "usr/lib": directory(),
            "usr/lib/big": file(BIG),
            "zz": file(b"last"),
        }
    )


def write(nodes: Tree, store: Store, name: str = "gzip") -> WrittenLayer:
    return write_layer(nodes, make_encoder(name), store, CancelToken())


def blobs(store: Store) -> list[Path]:
    return sorted((store.root / "blobs" / "sha256").iterdir())


@pytest.mark.parametrize("name", ["gzip", "zstd", "none"])
def test_digest_diff_id_and_sizes_describe_what_was_written(store: Store, name: str) -> None:
    layer = write(some_tree(), store, name)
    data = layer.blob.path.read_bytes()
    archive = tar_bytes(some_tree())
    assert (layer.digest, layer.size) == (Digest.of(data), len(data))
    assert (layer.diff_id, layer.raw_size) == (Digest.of(archive), len(archive))
    assert (layer.compression, layer.pieces, layer.cached_pieces) == (name, 3, 0)
    if name == "gzip":
        assert gzip.decompress(data) == archive


def test_the_digest_of_a_layer_is_fixed(store: Store) -> None:
    assert (
        str(write(some_tree(), store).digest)
        == "sha256:790ef0cb49c72706865db08619512c23b8e8138ea576b09ee549ad1299c781f0"
    )


@pytest.mark.parametrize("name", ["gzip", "zstd", "none"])
def test_a_second_layer_reads_no_content_and_compresses_nothing(store: Store, name: str) -> None:
    class Unreadable(BytesBlob):
        def open(self, offset: int = 0):
            raise AssertionError("read although it was cached")

    cold = write(some_tree(), store, name)
    again = Tree(some_tree())
    for path, what in list(again.items()):
        if what.content is not None:
            again[path] = node("file", content=Unreadable(what.content.data), mode=what.mode)
    warm = write(again, store, name)
    assert warm.cached_pieces == warm.pieces
    assert (warm.digest, warm.diff_id) == (cold.digest, cold.diff_id)


def test_only_the_piece_with_the_changed_file_is_made_again(store: Store) -> None:
    write(some_tree(), store)
    changed = write(some_tree(b"other"), store)
    assert (changed.pieces, changed.cached_pieces) == (3, 2)


def test_layers_from_cache_and_without_it_are_the_same_bytes(store: Store, tmp_path: Path) -> None:
    write(some_tree(), store)
    fresh = Store(tmp_path / "fresh")
    assert write(some_tree(b"other"), store).digest == write(some_tree(b"other"), fresh).digest


@pytest.mark.parametrize("damage", ["flip", "truncate", "lengthen", "empty", "swap", "remove"])
def test_any_damaged_cached_piece_is_made_again(store: Store, damage: str) -> None:
    wanted = write(some_tree(), store)
    for path in blobs(store):
        data = path.read_bytes()
        others = [other.read_bytes() for other in blobs(store) if other != path]
        if damage == "remove":
            path.unlink()
        else:
            path.write_bytes(
                {
                    "flip": data[:30] + bytes([data[30] ^ 1]) + data[31:],
                    "truncate": data[:-1],
                    "lengthen": data + b"\0",
                    "empty": b"",
                    "swap": others[0],
                }[damage]
            )
        found = write(some_tree(), store)
        assert (found.digest, found.diff_id) == (wanted.digest, wanted.diff_id)
        assert Digest.of(found.blob.path.read_bytes()) == wanted.digest
        assert store.verify() == Damage(blobs=(), answers=0)


def test_any_damaged_answer_about_a_piece_is_forgotten(store: Store) -> None:
    wanted = write(some_tree(), store)
    for path in (store.root / "answers" / "pieces").iterdir():
        for junk in (b"", b"{}", b"\xff", b'{"digest":"sha256:zz","size":3}'):
            path.write_bytes(junk)
            assert write(some_tree(), store).digest == wanted.digest


class Changed(BytesBlob):
    """Content whose file is not what its digest says."""

    def open(self, offset: int = 0):
        return io.BytesIO((self.data[:-1] + b"!")[offset:])


@pytest.mark.parametrize("size", [10, LARGE, PIECE_BOUND + LARGE])
def test_damaged_content_never_becomes_a_layer_or_a_cached_piece(store: Store, size: int) -> None:
    bad = tree({"f": node("file", content=Changed(b"x" * size))})
    with pytest.raises(IntegrityError):
        write(bad, store)
    assert write(tree({"f": file(b"x" * size)}), store).cached_pieces == 0
    assert not list((store.root / "partial").iterdir())


def test_a_file_with_one_lost_piece_is_still_verified_as_a_whole(store: Store) -> None:
    data = b"a" * PIECE_BOUND + b"b" * PIECE_BOUND + b"c" * LARGE
    write(tree({"f": file(data)}), store)
    encoder = Gzip()
    middle = hashlib.sha256(encoder.encode((b"x" * 512 + data)[PIECE_BOUND : 2 * PIECE_BOUND]))
    (store.root / "blobs" / "sha256" / middle.hexdigest()).unlink()
    with pytest.raises(IntegrityError):  # its last byte is in a piece that is still cached
        write(tree({"f": node("file", content=Changed(data))}), store)
    assert write(tree({"f": file(data)}), store).diff_id == Digest.of(
        tar_bytes(tree({"f": file(data)}))
    )


def test_memory_does_not_grow_with_the_file(store: Store) -> None:
    class Sparse:
        """48 MiB of zeros that take no memory."""

        size = 48 << 20
        digest = Digest.of(bytes(48 << 20))

        def open(self, offset: int = 0):
            left = self.size - offset

            class Stream(io.RawIOBase):
                def read(self, size: int = -1) -> bytes:
                    nonlocal left
                    size = min(size, left)
                    left -= size
                    return bytes(size)

            return Stream()

    nodes = tree({"f": node("file", content=Sparse())})
    tracemalloc.start()
    try:
        write(nodes, store)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * PIECE_BOUND


def test_a_cancelled_layer_leaves_nothing_behind(store: Store) -> None:
    cancel = CancelToken()
    with pytest.raises(Interrupted):
        write_layer(some_tree(), Gzip(), store, cancel, advance=lambda n: cancel.cancel())
    assert not list((store.root / "partial").iterdir())
