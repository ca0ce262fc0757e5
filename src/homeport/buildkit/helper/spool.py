"""Where a result of a proof goes: a file that a stranger's image cannot fill the disk with."""

from __future__ import annotations

from typing import BinaryIO

from homeport.errors import TooLarge
from homeport.quantities import human_size

#: The results of the cases have some kB.
LARGEST = 64 << 20


class BoundedSpool:
    """Takes the archive that an engine sends, up to ``most`` bytes."""

    def __init__(self, to: BinaryIO, most: int = LARGEST) -> None:
        self._to = to
        self._most = self._left = most

    def write(self, data: bytes) -> None:
        """Raises ``TooLarge``."""
        self._left -= len(data)
        if self._left < 0:
            raise TooLarge(f"the image's result is larger than {human_size(self._most)}")
        self._to.write(data)
