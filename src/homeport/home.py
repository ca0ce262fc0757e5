"""The user's home directory, which a container with any user id does not have."""

from __future__ import annotations

from pathlib import Path


def home_directory() -> Path:
    """The user's home; where there is none, a directory that does not exist."""
    try:
        return Path.home()
    except RuntimeError:  # HOME is not set, and the user id has no entry in passwd
        return Path("/nonexistent")
