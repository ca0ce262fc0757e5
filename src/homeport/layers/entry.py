"""One entry of a layer, its name, and the names that remove paths of lower layers."""

from __future__ import annotations

from typing import Literal

import msgspec

from homeport.errors import HomeportError

Kind = Literal["file", "directory", "symlink", "hardlink", "char", "block", "fifo"]

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
#: aufs keeps its own files below names with this prefix; only ``OPAQUE`` is in the standard.
AUFS = WHITEOUT + WHITEOUT
MAX_PATH = 4096  # bytes

_UNCLEAN = (b".", b"/", b"")


class BadArchive(HomeportError):
    """An archive that is damaged, or that engines cannot unpack."""

    id = "bad-archive"


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry of a layer.

    path:   cleaned: relative, no ``.`` or ``..``; the root is ``b""``
    target: of a symlink its target as written; of a hard link the cleaned path of the file
    mtime:  nanoseconds since 1970
    sha256: of a file's content, 32 bytes; empty for an empty file and any other kind
    start:  the first four bytes of a file
    """

    path: bytes
    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    target: bytes
    sha256: bytes
    start: bytes
    device: tuple[int, int] = (0, 0)
    xattrs: dict[bytes, bytes] | None = None


def clean(name: bytes) -> tuple[bytes, bool]:
    """A name from an archive as a path below the root, and whether the name is valid.

    As in engines, ``..`` at the root stays at the root. A name that leads out of the
    root, is too long or contains a zero byte is invalid.
    """
    if (
        b"/." not in name and b"//" not in name and name[:1] not in _UNCLEAN
        and name[-1:] != b"/" and len(name) <= MAX_PATH and b"\0" not in name
    ):  # fmt: skip
        return name, True  # as nearly all
    parts: list[bytes] = []
    usable = b"\0" not in name
    for part in name.replace(b"\0", b"").split(b"/"):
        if part == b"..":
            usable = usable and bool(parts)
            del parts[-1:]
        elif part not in (b"", b"."):
            parts.append(part)
    path = b"/".join(parts)
    return path[:MAX_PATH], usable and len(path) <= MAX_PATH


def is_whiteout(path: bytes) -> bool:
    """Whether an entry is a whiteout or an opaque marker."""
    return WHITEOUT in path and path.rpartition(b"/")[2].startswith(WHITEOUT)


def whiteout_target(path: bytes) -> bytes | None:
    """The path that a whiteout removes; ``None`` for any other entry.

    For an opaque marker: its directory.
    """
    directory, _, name = path.rpartition(b"/")
    if not name.startswith(WHITEOUT):
        return None
    return directory if name == OPAQUE else join(directory, name[len(WHITEOUT) :])


def is_reserved(path: bytes) -> bool:
    """Whether an entry is below a name that the specification reserves for whiteouts.

    No file of an image may have such a name, so nothing can be below it; aufs put the files
    of its hard links there (``.wh..wh.plnk/``).
    """
    if WHITEOUT not in path:
        return False
    return any(part.startswith(WHITEOUT) for part in path.split(b"/")[:-1])


def join(directory: bytes, name: bytes) -> bytes:
    """The path of ``name`` in a directory, which is ``b""`` for the root."""
    return directory + b"/" + name if directory else name
