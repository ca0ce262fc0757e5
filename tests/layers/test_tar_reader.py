"""The short way through plain headers finds what the long way finds."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.copying.errors import CopyError
from homeport.copying.tarstream import Member, TarReader
from homeport.layers.tar_reader import LayerReader

FACTS = ("name", "link", "kind", "mode", "uid", "gid", "size", "mtime", "xattrs", "device",
         "offset")  # fmt: skip
FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
TYPES = [tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE,
         tarfile.CHRTYPE, tarfile.FIFOTYPE]  # fmt: skip


def everything(reader: TarReader) -> list[object]:
    """Every member and its content, and the error that ended it if one did."""
    found: list[object] = []
    try:
        while member := reader.next():
            content = b"".join(iter(lambda: reader.read(700), b""))
            found.append((facts(member), content))
    except CopyError as error:
        found.append(error.what)
    return found


def in_pieces(reader: LayerReader) -> list[object]:
    """The same, small members with their whole content at once."""
    found: list[object] = []
    try:
        while True:
            for (name, kind, link, owner, size, mtime), content in reader.small():
                found.append(((name, link, kind, *owner, size, mtime * 10**9), content))
            if (member := reader.next()) is None:
                break
            content = b"".join(iter(lambda: reader.read(700), b""))
            found.append((facts(member)[:8], content))
    except CopyError as error:
        found.append(error.what)
    return found


def shortened(found: list[object]) -> list[object]:
    """What ``everything`` found, as ``in_pieces`` says it."""
    return [one if isinstance(one, str) else (one[0][:8], one[1]) for one in found]  # type: ignore[index]  # pairs


def facts(member: Member) -> tuple[object, ...]:
    return tuple(getattr(member, name) for name in FACTS)


def archive(*members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


@st.composite
def members(draw: st.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    name = draw(st.text("ab/.é", min_size=1, max_size=130))
    kind = draw(st.sampled_from(TYPES))
    data = draw(st.binary(max_size=1200)) if kind in (tarfile.REGTYPE, tarfile.AREGTYPE) else b""
    return member(
        name, data, type=kind, mode=draw(st.integers(0, 0o177777)),
        uid=draw(st.integers(0, 1 << 21)), gid=draw(st.integers(0, 1 << 21)),
        mtime=draw(st.integers(0, (1 << 33) - 1)), linkname=draw(st.text("a/", max_size=120)),
    )  # fmt: skip


@given(st.lists(members(), max_size=6), st.sampled_from(FORMATS))
def test_members_are_those_of_the_long_way(
    given: list[tuple[tarfile.TarInfo, bytes]], format: int
) -> None:
    try:
        data = archive(*given, format=format)
    except ValueError:  # what this format cannot say
        return
    assert everything(LayerReader(io.BytesIO(data))) == everything(
        TarReader(io.BytesIO(data), global_pax=False)
    )


class InSteps(io.BytesIO):
    """Hands out at most so many bytes at once."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data)
        self.step = step

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size, self.step) if size and size > 0 else size)


@given(st.lists(members(), max_size=6), st.sampled_from(FORMATS), st.integers(1, 3000))
def test_small_members_come_with_their_content(
    given: list[tuple[tarfile.TarInfo, bytes]], format: int, step: int
) -> None:
    try:
        data = archive(*given, format=format)
    except ValueError:  # what this format cannot say
        return
    found = in_pieces(LayerReader(InSteps(data, step)))
    assert found == shortened(everything(TarReader(io.BytesIO(data), global_pax=False)))


@given(st.integers(0, 3583), st.integers(0, 255), st.integers(0, 4000))
def test_damage_ends_small_members_where_it_ends_others(at: int, byte: int, cut: int) -> None:
    data = bytearray(archive(member("a", b"x" * 600), member("b"), member("c", b"y")))
    data[at] = byte
    del data[max(cut, 512) :]
    found = in_pieces(LayerReader(io.BytesIO(data)))
    assert found == shortened(everything(LayerReader(io.BytesIO(data))))


def test_a_large_file_between_small_ones_is_not_held_in_memory() -> None:
    data = archive(member("a", b"1"), member("b", b"x" * 3_000_000), member("c", b"3"))
    reader = LayerReader(io.BytesIO(data))
    assert [plain[0] for plain, _ in reader.small()] == [b"a"]
    assert list(reader.small()) == []
    large = reader.next()
    assert large is not None
    assert large.size == 3_000_000
    assert list(reader.small()) == [], "not before it is read or skipped"
    while reader.read(1 << 16):
        pass
    assert [plain[0] for plain, _ in reader.small()] == [b"c"]


@given(st.integers(0, 2559), st.integers(0, 255))
def test_a_changed_byte_means_what_it_means_on_the_long_way(at: int, byte: int) -> None:
    data = bytearray(archive(member("a", b"x" * 600), member("b", type=tarfile.DIRTYPE)))
    data[at] = byte
    assert everything(LayerReader(io.BytesIO(data))) == everything(
        TarReader(io.BytesIO(data), global_pax=False)
    )


@given(st.data())
def test_a_header_with_any_fields_and_a_right_checksum_means_the_same(draws: st.DataObject) -> None:
    block = bytearray(archive(member("name", b"content"))[:512])
    start, stop = draws.draw(
        st.sampled_from([(100, 108), (108, 116), (116, 124), (124, 136), (136, 148)])
    )
    alphabet = st.sampled_from(list(b"01789 \0-_o\x80"))
    block[start:stop] = bytes(
        draws.draw(st.lists(alphabet, min_size=stop - start, max_size=stop - start))
    )
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    data = bytes(block) + b"content".ljust(512, b"\0") + bytes(1024)
    assert everything(LayerReader(io.BytesIO(data))) == everything(
        TarReader(io.BytesIO(data), global_pax=False)
    )


@pytest.mark.parametrize("left", [0, 1, 511])
def test_the_padding_of_the_last_file_may_be_missing(left: int) -> None:
    """umoci's insert leaves it out, and Go's reader does not mind."""
    data = archive(member("a", b"1"), member("b", b"22"))
    found = everything(LayerReader(io.BytesIO(data[: 3 * 512 + 2 + min(left, 510)])))
    assert [each[1] for each in found] == [b"1", b"22"]


def test_a_file_that_ends_early_is_damage() -> None:
    data = archive(member("a", b"x" * 600))
    found = everything(LayerReader(io.BytesIO(data[: 512 + 599])))
    assert found == ["archive is truncated: 1 bytes are missing"]
