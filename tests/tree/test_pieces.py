"""How a tar stream is cut into pieces."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from builders.tree import directory, file, node, tar_bytes, tree
from homeport.content.blob import BytesBlob
from homeport.content.digest import Digest
from homeport.tree.node import Tree
from homeport.tree.pieces import LARGE, PIECE_BOUND, RUN_BOUND, Extent, Piece, units
from homeport.tree.tar_writer import entries


@dataclass
class Zeros:
    """A large content that is never read."""

    size: int
    digest: Digest = Digest.of(b"zeros")  # noqa: RUF009  (frozen)


def cut(nodes: Tree) -> list[list[Piece]]:
    return [list(unit.pieces) for unit in units(entries(nodes))]


def filled(piece: Piece) -> bytes:
    parts = []
    for part in piece.parts:
        if isinstance(part, Extent):
            with part.blob.open(part.offset) as stream:
                parts.append(stream.read(part.length))
        else:
            parts.append(part)
    return b"".join(parts)


@given(sizes=st.lists(st.sampled_from([0, 1, 511, 512, 5000, LARGE - 1, LARGE]), max_size=12))
def test_the_pieces_joined_are_the_archive(sizes: list[int]) -> None:
    nodes = tree({f"f{n:02}": file(b"x" * size) for n, size in enumerate(sizes)})
    pieces = [piece for unit in cut(nodes) for piece in unit]
    assert b"".join(map(filled, pieces)) == tar_bytes(nodes)
    assert all(piece.size == len(filled(piece)) <= RUN_BOUND for piece in pieces)


def test_a_large_file_has_pieces_of_its_own_that_are_verified_together() -> None:
    size = 2 * PIECE_BOUND + 1
    nodes = tree(
        {"a": file(b"1"), "b": node("file", content=Zeros(size)), "c": directory(), "d": file()}
    )
    shape = [[piece.size for piece in unit] for unit in cut(nodes)]
    assert shape == [[1024], [PIECE_BOUND, PIECE_BOUND, 512 + 1 + 511], [512 + 512 + 1024]]


def test_a_changed_small_file_changes_one_piece_only() -> None:
    def keys(text: bytes) -> list[str]:
        nodes = tree(
            {
                "a": file(b"first"),
                "b": file(b"x" * LARGE),
                "c": file(text),
                "d": file(b"y" * LARGE),
                "e": file(b"last"),
            }
        )
        return [piece.key() for unit in cut(nodes) for piece in unit]

    before, after = keys(b"old"), keys(b"new")
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, True, False, True, True]


def test_the_same_bytes_at_another_place_of_a_file_have_another_key() -> None:
    blob = BytesBlob(b"aa")
    first, second, whole = Piece(), Piece(), Piece()
    first.add(Extent(blob, 0, 1))
    second.add(Extent(blob, 1, 1))
    whole.add(Extent(blob, 0, 2))
    assert len({first.key(), second.key(), whole.key()}) == 3
