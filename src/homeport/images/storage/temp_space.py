"""Folders in the system's place for temporary files."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from homeport.content.files import explained


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new folder that only we may enter, removed when the block ends."""
    place = Path(tempfile.gettempdir())
    with explained(place):
        folder = Path(tempfile.mkdtemp(prefix="homeport-", dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
