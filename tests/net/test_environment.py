"""Settings of the client from environment variables."""

from __future__ import annotations

import pytest

from homeport.errors import UsageError
from homeport.net.environment import client_settings


def test_variables_are_read() -> None:
    settings = client_settings(
        {"HOMEPORT_TRUSTED_HOSTS": "a.example, B.example", "HOMEPORT_STALL": "7.5",
         "HOMEPORT_CONNECT_TIMEOUT": "30",
         "https_proxy": "http://proxy.example:3128"}
    )  # fmt: skip
    assert settings.trusted_hosts == {"a.example", "b.example"}
    assert (settings.stall, settings.connect_timeout) == (7.5, 30)
    assert settings.proxies.https is not None
    assert client_settings({}).stall == 60


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "1e9"])
def test_a_bad_number_names_its_variable(text: str) -> None:
    with pytest.raises(UsageError, match="HOMEPORT_STALL"):
        client_settings({"HOMEPORT_STALL": text})
