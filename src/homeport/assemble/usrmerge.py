"""Merged /usr: where the paths of packages go, and the links that lead there.

In Debian since 12 /bin, /sbin and /lib are links into /usr. A package may still ship
``/bin/x``; its files follow the link. Programs name their loader by the old path
(``/lib64/ld-linux-x86-64.so.2``), so without the links nothing starts.
"""

from __future__ import annotations

from homeport.tree.node import Node, Source

_SOURCE = Source(kind="step", name="usrmerge")

#: Directories of the root that are links into /usr, if a package has anything in them.
MERGED = (b"bin", b"sbin", b"lib", b"lib32", b"lib64", b"libo32", b"libx32")

#: Architectures whose loader is named by /lib64.
_WITH_LIB64 = ("amd64", "loong64", "mips64el", "ppc64el")


def merged_path(path: bytes) -> bytes:
    """Where a package's path lies when /usr is merged."""
    return b"usr/" + path if path.split(b"/", 1)[0] in MERGED else path


def links(architecture: str, mtime: int) -> dict[bytes, Node]:
    """The links of the root, with the directories that they lead to."""
    names = [b"bin", b"sbin", b"lib"] + [b"lib64"] * (architecture in _WITH_LIB64)
    found: dict[bytes, Node] = {}
    for name in names:
        target = b"usr/" + name
        found[name] = Node(type="symlink", mode=0o777, mtime=mtime, target=target, source=_SOURCE)
        found[target] = Node(type="directory", mode=0o755, mtime=mtime, source=_SOURCE)
    return found
