"""How many pulls a registry still allows is told, where it says so."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from builders.http_server import serving
from homeport.cli.main import homeport
from homeport.registry.rate_limits import pulls_left


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({}, ""),
        ({"ratelimit-remaining": "76;w=21600", "ratelimit-limit": "100;w=21600"},
         "76 of 100 pulls left in 6 hours"),
        ({"ratelimit-remaining": "0;w=3600"}, "0 pulls left in 1 hour"),
        ({"ratelimit-remaining": "5", "ratelimit-limit": "10;w=90"},
         "5 of 10 pulls left in 2 minutes"),
        ({"ratelimit-remaining": "many"}, ""),
        ({"ratelimit-remaining": "-1;w=x"}, ""),
        ({"ratelimit-remaining": "9" * 400}, ""),
        ({"ratelimit-remaining": "7;w=\x1b[2J"}, "7 pulls left"),
    ],
)  # fmt: skip
def test_the_headers_in_words(headers: dict[str, str], says: str) -> None:
    assert pulls_left(headers) == says


def test_verbose_tells_it_once() -> None:
    with serving() as server:
        server.answer("/v2/", 200, b"{}")
        server.answer(
            "/v2/a/tags/list", 200, b'{"tags":["1"]}',
            RateLimit_Remaining="76;w=21600", RateLimit_Limit="100;w=21600",
        )  # fmt: skip
        host = f"127.0.0.1:{server.port}"
        loud = CliRunner().invoke(homeport, ["tags", f"{host}/a", "-v"])
        quiet = CliRunner().invoke(homeport, ["tags", f"{host}/a"])
    assert loud.stderr.count(f"{host}: 76 of 100 pulls left in 6 hours") == 1
    assert quiet.stderr == ""
