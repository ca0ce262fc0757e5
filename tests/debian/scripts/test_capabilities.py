"""File capabilities as the kernel keeps them."""

from __future__ import annotations

import pytest

from homeport.debian.scripts.capabilities import capability_attribute


@pytest.mark.parametrize(
    ("text", "attribute"),
    [
        # As getfattr shows what setcap of libcap2-bin 2.75 wrote.
        ("cap_net_raw+ep", "0100000200200000000000000000000000000000"),
        (
            "cap_net_bind_service,cap_setuid=ei cap_bpf+p",
            "0100000200000000800400008000000000000000",
        ),
        (
            "cap_net_bind_service=+ep cap_net_raw=+ep",
            "0100000200240000000000000000000000000000",
        ),
        ("cap_nothing+ep", None),
        ("cap_chown-e", None),
        ("", None),
    ],
)
def test_the_attribute_is_what_setcap_writes(text: str, attribute: str | None) -> None:
    found = capability_attribute(text)
    assert (found.hex() if found is not None else None) == attribute
