"""Packets for a directory's entries: written by hand where there are many, and the same bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from homeport.buildkit.protobuf import encode
from homeport.buildkit.protocol.control import STAT, Packet, Stat
from homeport.buildkit.session.filesync import stat_message

numbers = st.integers(min_value=0, max_value=2**32 - 1)
entries = st.builds(
    Stat,
    path=st.binary(min_size=1, max_size=300),
    mode=numbers,
    uid=st.sampled_from((0, 7)),
    gid=st.sampled_from((0, 7)),
    size=st.integers(min_value=0, max_value=2**62),
    mtime=st.integers(min_value=-(2**62), max_value=2**62),
    linkname=st.binary(max_size=300),
    devmajor=st.sampled_from((0, 8)),
    xattrs=st.dictionaries(st.text(min_size=1, max_size=9), st.binary(max_size=9), max_size=2),
)


@given(entries)
def test_an_entry_by_hand_is_the_message_that_encoding_makes(entry: Stat) -> None:
    assert stat_message(entry) == encode(Packet(type=STAT, stat=entry))
