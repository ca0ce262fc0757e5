"""Without the library for time stamps, as in Homeport's own image."""

from __future__ import annotations

import sys

import pytest

from homeport.attest.sigstore.rfc3161 import NoTimestamps, library


def test_a_missing_library_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    with pytest.raises(NoTimestamps, match="rfc3161-client is missing") as caught:
        library()
    assert caught.value.hint == "pip install rfc3161-client"
