"""The library that reads time stamps, which Debian does not have (docs/catalog/homeport.md)."""

from __future__ import annotations

import importlib
from typing import Any

from homeport.errors import HomeportError


class NoTimestamps(HomeportError):
    """A signature has a time stamp, and the library for it is not installed."""

    id = "no-timestamps"


def library() -> Any:
    """``rfc3161_client``; 70 ms that images without time stamps save. Raises ``NoTimestamps``."""
    try:
        return importlib.import_module("rfc3161_client")
    except ImportError as error:
        raise NoTimestamps(
            "cannot read time stamps of signatures: the Python package rfc3161-client is missing",
            hint="pip install rfc3161-client",
        ) from error
