"""The first bytes of an HTTP/2 client, which an engine waits for. Standard library only."""

from __future__ import annotations

import os

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_EMPTY_SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


def greet(write: int = 1) -> None:
    """Send them; ``PipeCalls`` goes on from there."""
    os.write(write, PREFACE + _EMPTY_SETTINGS)
