"""Messages to bytes and back, as protocol buffers specify and as LLB digests need."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.buildkit.llb.ops import Input, Mount, UserOpt
from homeport.buildkit.protobuf import BadMessage, decode, encode
from homeport.buildkit.protocol.control import Exporter, Packet, SolveRequest, Stat, VertexStatus


def test_fields_are_written_by_number_and_defaults_not_at_all() -> None:
    assert encode(Input(index=3, digest="ab")) == b"\x0a\x02ab\x10\x03"
    assert encode(Input()) == b""


def test_a_negative_number_takes_ten_bytes_as_int64_does() -> None:
    data = encode(Mount(input=-1))
    assert data == b"\x08" + b"\xff" * 9 + b"\x01"
    assert decode(Mount, data).input == -1


def test_zero_is_written_where_it_is_a_choice_of_a_oneof() -> None:
    assert encode(UserOpt(by_id=0)) == b"\x10\x00"
    assert decode(UserOpt, b"") == UserOpt(by_id=None)


def test_maps_are_written_by_key_whatever_order_they_have() -> None:
    one = SolveRequest(frontend_attrs={"b": "2", "a": "1"})
    other = SolveRequest(frontend_attrs={"a": "1", "b": "2"})
    assert encode(one) == encode(other)


def test_a_time_is_nanoseconds() -> None:
    status = VertexStatus(id="x", started=1_500_000_000_000_000_007)
    assert decode(VertexStatus, encode(status)) == status


def test_names_need_not_be_utf_8_where_they_are_bytes() -> None:
    packet = Packet(stat=Stat(path=b"\xff", xattrs={"user.a": b"\x00"}))
    assert decode(Packet, encode(packet)) == packet


def test_unknown_fields_are_skipped() -> None:
    assert decode(Input, b"\x7a\x01z\x0a\x01d\x79" + bytes(8)) == Input(digest="d")


@pytest.mark.parametrize(
    "data",
    [b"\x0a\x05ab", b"\x0a", b"\x80" * 11, b"\x0b", b"\x08\x01"],
    ids=["cut short", "no length", "endless number", "a group", "number instead of text"],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        decode(Input, data)


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_else_than_decode_or_be_refused(data: bytes) -> None:
    for model in (Input, Packet, SolveRequest, VertexStatus):
        with contextlib.suppress(BadMessage):
            decode(model, data)


@given(
    st.builds(
        Stat,
        path=st.binary(max_size=20),
        mode=st.integers(0, (1 << 32) - 1),
        size=st.integers(-(1 << 63), (1 << 63) - 1),
        xattrs=st.dictionaries(st.text(max_size=5), st.binary(max_size=5), max_size=3),
    )
)
def test_what_is_written_is_read(stat: Stat) -> None:
    assert decode(Stat, encode(stat)) == stat


def test_a_map_whose_key_is_a_number_is_refused() -> None:
    entry = bytes((0x08, 1))  # field 1 as a number
    with pytest.raises(BadMessage, match="number"):
        decode(Exporter, bytes((0x12, len(entry))) + entry)
