"""The outer archive of a package: ar(5), read forward, limited to what deb(5) uses.

Not for archives with long names (BSD and GNU extensions): packages have none.
"""

from __future__ import annotations

import msgspec

from homeport.content.reading import Readable
from homeport.errors import HomeportError
from homeport.quantities import human_size

_MAGIC = b"!<arch>\n"
_HEADER = 60


class BadDeb(HomeportError):
    """A file is not a valid Debian package; ``where`` names the part at fault."""

    id = "bad-deb"


class ArMember(msgspec.Struct, frozen=True, kw_only=True):
    """name: without padding and without the slash that GNU ar writes after it."""

    name: str
    size: int


class ArReader:
    """Members one after the other; what was not read of one is skipped."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._left = 0
        self._padding = 0
        self._name = "the archive's beginning"
        magic = self._exactly(len(_MAGIC))
        if magic != _MAGIC:
            raise BadDeb(
                "not a Debian package: it does not begin with !<arch>",
                hint="the mirror may have sent an error page instead" if b"<" in magic else None,
            )

    def next(self) -> ArMember | None:
        """The next member, or ``None`` at the end of the archive."""
        while self._left:
            self.read(1 << 20)
        if self._padding and self._exactly(1) != b"\n":
            raise BadDeb(f"garbage follows member {self._name}")
        first = self._stream.read(1)
        if not first:
            return None
        self._name = "a header"
        header = first + self._exactly(_HEADER - 1)
        name = header[:16].decode("ascii", "replace").rstrip(" ").removesuffix("/")
        size = header[48:58].rstrip(b" ")
        if header[58:] != b"`\n" or not name.isprintable() or not name:
            raise BadDeb("garbage in place of the next member's header")
        if not size.isdigit():
            raise BadDeb("the size in the header is not a number", where={"member": name})
        self._name, self._left = name, int(size)
        self._padding = self._left % 2
        return ArMember(name=name, size=self._left)

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes of the current member; empty at its end."""
        if not self._left or size <= 0:
            return b""
        data = self._stream.read(min(size, self._left))
        if not data:
            left = human_size(self._left)
            raise BadDeb(f"it ends in the middle of {self._name}: {left} are missing")
        self._left -= len(data)
        return data

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._stream.read(size - len(data))
            if not more:
                raise BadDeb(f"it ends in the middle of {self._name}")
            data += more
        return data
