"""Variables of testcontainers/ryuk, as Go's parsers read them."""

from __future__ import annotations

import pytest

from homeport.reaper.settings import BadSetting, duration, read_settings


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10.0), ("1m30s", 90.0), ("500ms", 0.5), ("-1s", -1.0), ("0", 0.0), ("1.5h", 5400.0),
     (".5s", 0.5), ("+2s", 2.0), ("3\u00b5s", 3e-6), ("1h0m0s", 3600.0)],
)  # fmt: skip
def test_a_duration_is_written_as_in_go(text: str, seconds: float) -> None:
    assert duration("X", text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "10", "s", "10 s", "1d", "--1s", "1s2", "\u0661s", "infs"])
def test_what_go_refuses_is_refused_with_the_variable(text: str) -> None:
    with pytest.raises(BadSetting, match="X: invalid duration"):
        duration("X", text)


def test_absent_and_empty_variables_have_upstreams_defaults() -> None:
    found = read_settings({"RYUK_PORT": "", "RYUK_RECONNECTION_TIMEOUT": "3s"})
    assert (found.port, found.connection, found.reconnection) == (8080, 60.0, 3.0)
    assert (found.request, found.shutdown, found.offset, found.retries) == (10.0, 600.0, -1.0, 10)
    assert found.host == "unix:///var/run/docker.sock"


@pytest.mark.parametrize("text", ["0", "65536", "-1", "8o8o", "9" * 20])
def test_a_port_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadSetting, match="RYUK_PORT: invalid number"):
        read_settings({"RYUK_PORT": text})
