"""Sources without a path: heredocs of a Dockerfile, and files that ADD fetched.

Gives the file its name and metadata and checks its bytes against ``--checksum``. The caller
fetches.
"""

from homeport.copying.errors import CopyError, shown
from homeport.copying.metadata import Bytes, Metadata
from homeport.copying.sources import CopySource

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from typing import Any

    from homeport.copying.tarstream import Stream

UNNAMED = b"__unnamed__"


def heredoc(name: bytes, text: bytes, now: int, strip_tabs: bool = False) -> CopySource:
    """The file that ``<<NAME`` is: 0644, of root, of now; ``<<-NAME`` loses leading tabs."""
    if strip_tabs:
        text = b"\n".join(line.lstrip(b"\t") for line in text.split(b"\n"))
    return CopySource(None, name, content=Bytes(text), metadata=Metadata(0o644, 0, 0, now))


def remote(url: str, body: "Stream", last_modified: int = 0, checksum: str = "") -> CopySource:
    """The file that ADD makes of a URL: 0600, of root, as old as ``Last-Modified`` says.

    last_modified: nanoseconds, 0 if the server does not say
    checksum:      ``sha256:HEX``; another content leaves no file
    """
    content = Remote(body, checksum, url)
    return CopySource(
        None, remote_name(url), content=content, metadata=Metadata(0o600, 0, 0, last_modified)
    )


def remote_name(url: str) -> bytes:
    """The last part of the URL's path, decoded; never what the server calls it."""
    path = url.split("://", 1)[-1].partition("#")[0].partition("?")[0].partition("/")[2]
    name = _decoded(path.encode()).rstrip(b"/").rpartition(b"/")[2]
    if name in (b"", b".", b".."):
        return UNNAMED
    if b"\0" in name:
        raise CopyError("the name of a remote file contains a zero byte", {"url": url})
    return name


class Remote:
    """A body that is read once, and whose digest is checked at its end."""

    __slots__ = ("_body", "_hash", "_url", "_wanted")

    def __init__(self, body: "Stream", checksum: str, url: str) -> None:
        self._body = body
        self._url = url
        self._hash: Any = None
        self._wanted = checksum
        if checksum:
            import hashlib

            algorithm, _, digest = checksum.partition(":")
            if algorithm != "sha256" or len(digest) != 64:
                raise CopyError(
                    f"invalid checksum {checksum}", {"option": "--checksum"},
                    "write sha256: and 64 hexadecimal digits",
                )  # fmt: skip
            self._hash = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        data = self._body.read(size)
        if self._hash is not None:
            self._hash.update(data)
            if not data and "sha256:" + self._hash.hexdigest() != self._wanted.lower():
                found = self._hash.hexdigest()
                raise CopyError(
                    f"digest mismatch: sha256:{found}, expected {self._wanted}",
                    {"url": shown(self._url.encode())},
                )
        return data

    def take_hole(self) -> int:
        return 0


def _decoded(text: bytes) -> bytes:
    """Percent signs with two digits as the byte they mean; others stay."""
    parts = text.split(b"%")
    out = [parts[0]]
    for part in parts[1:]:
        try:
            out.append(bytes((int(part[:2], 16),)) + part[2:])
        except ValueError:
            out.append(b"%" + part)
    return b"".join(out)
