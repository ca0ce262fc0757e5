"""Modes as chmod changes them."""

from __future__ import annotations

import pytest

from homeport.debian.scripts.modes import changed_mode, is_mode


@pytest.mark.parametrize(
    ("mode", "text", "directory", "after"),
    [
        (0o644, "", False, 0o644),
        (0o755, "u+s", False, 0o4755),
        (0o4755, "u-s,g+s", False, 0o2755),
        (0o666, "go-w", False, 0o644),
        (0o600, "u=rwX,g=rX,o=", False, 0o640),
        (0o700, "a+rX", True, 0o755),
        (0o777, "+t", True, 0o1777),
        (0o2755, "750", True, 0o2750),
        (0o2755, "00750", True, 0o750),
        (0o4755, "755", False, 0o755),
    ],
)
def test_a_mode_is_changed_as_by_chmod(mode: int, text: str, directory: bool, after: int) -> None:
    assert is_mode(text) or not text
    assert changed_mode(mode, text, directory=directory) == after


@pytest.mark.parametrize("text", ["u+q", "rwx", "12345678", "g=u"])
def test_what_is_no_mode_is_known(text: str) -> None:
    assert not is_mode(text)
