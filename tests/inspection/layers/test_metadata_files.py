"""Which contents are kept when a layer is listed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.inspection.layers import metadata_files as keeping
from homeport.inspection.layers.metadata_files import MAX_FILE, is_metadata_file


@given(st.from_regex(keeping._PATTERN, fullmatch=True) | st.sampled_from(sorted(keeping._EXACT)))
def test_every_name_of_the_table_is_kept(path: bytes) -> None:
    """The short way by its last bytes misses none."""
    assert is_metadata_file(path, 1)
    assert not is_metadata_file(path, MAX_FILE + 1)


@pytest.mark.parametrize(
    "path", [b"etc/hosts.conf", b"srv/etc/passwd", b"usr/share/list", b"app/package.json", b""]
)
def test_other_names_are_not(path: bytes) -> None:
    assert not is_metadata_file(path, 1)
