"""A Tree as a tar stream whose every byte follows from the Tree (docs/formats/layer.md).

POSIX ustar headers; a pax header (POSIX.1-2001) comes before an entry only if ustar
cannot say something exactly. Entries come in the Tree's order. No names of users or
groups, whole seconds, two blocks of zeros at the end and no further padding.

Not for compression or splitting (``pieces``, ``layer_writer``), and no judgement of what
may be in an image: only what tar cannot say is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from homeport.content.blob import Blob, verified
from homeport.content.reading import CHUNK
from homeport.errors import HomeportError
from homeport.progress import CancelToken
from homeport.tree.node import Node, NodeType, Tree

BLOCK = 512
#: Two blocks of zeros end an archive.
END = bytes(2 * BLOCK)

_TYPE_FLAGS: Mapping[NodeType, bytes] = {
    "file": b"0", "hardlink": b"1", "symlink": b"2", "char": b"3", "block": b"4",
    "directory": b"5", "fifo": b"6",
}  # fmt: skip
_NAME_LENGTH = 100
_PREFIX_LENGTH = 155
_SMALL = 0o7777777  # what a field of seven octal digits can hold
_LARGE = 0o77777777777
_NANOSECONDS = 1_000_000_000


class NotInTar(HomeportError):
    """A node that a tar archive cannot hold, or that no reader would take."""

    id = "not-in-tar"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One node as tar writes it: ``header``, then ``content``, then zeros to a full block."""

    path: bytes
    node: Node
    header: bytes
    content: Blob | None

    @property
    def padding(self) -> int:
        return -self.content.size % BLOCK if self.content is not None else 0


def entries(tree: Tree) -> Iterator[Entry]:
    """The entries of ``tree`` in order, without the end mark. Raises ``NotInTar``."""
    for path, node in _links_after_content(tree):
        try:
            yield Entry(
                path=path,
                node=node,
                header=_header(path, node),
                content=node.content if node.type == "file" and node.size else None,
            )
        except NotInTar as error:
            raise error.at(path=_shown(path), source=str(node.source)) from None


def write_tar(tree: Tree, write: Callable[[bytes], object], cancel: CancelToken) -> None:
    """Write all of ``tree`` as a tar archive; contents are verified on the way.

    Raises ``NotInTar``, ``IntegrityError``, ``Interrupted``.
    """
    for entry in entries(tree):
        write(entry.header)
        if entry.content is None:
            continue
        with verified(entry.content, _shown(entry.path)) as stream:
            while chunk := stream.read(CHUNK):
                cancel.check()
                write(chunk)
        write(bytes(entry.padding))
    write(END)


def _links_after_content(tree: Tree) -> Iterator[tuple[bytes, Node]]:
    """The nodes in order, the content always with the first name of a file.

    Tar can link only to what came before, so if ``a`` is a hard link to ``b``, then ``a``
    gets the content and ``b`` becomes the link. A link to a name that is not in the tree
    (a file of a lower layer) stays as it is.
    """
    ends = {path: _final_target(tree, path) for path in tree if tree[path].type == "hardlink"}
    shared = set(ends.values())
    first_name: dict[bytes, bytes] = {}
    for path in tree:
        node = tree[path]
        end = ends.get(path, path)
        if end not in shared or end not in tree:
            yield path, node
        elif (first := first_name.setdefault(end, path)) == path:
            yield path, tree[end]
        else:
            yield (
                path,
                msgspec.structs.replace(tree[end], type="hardlink", target=first, content=None),
            )


def _final_target(tree: Tree, path: bytes) -> bytes:
    seen = set()
    while (node := tree.get(path)) is not None and node.type == "hardlink":
        if path in seen:
            raise NotInTar("hard links form a circle", where={"path": _shown(path)})
        seen.add(path)
        path = node.target
    if node is not None and node.type == "directory":
        raise NotInTar("a hard link cannot point to a directory", where={"path": _shown(path)})
    return path


def _header(path: bytes, node: Node) -> bytes:
    """The header block of a node, with the pax header before it where one is needed."""
    _check_path(path)
    name = (path or b".") + (b"/" if node.type == "directory" else b"")
    size = node.size if node.type == "file" else 0
    seconds = node.mtime // _NANOSECONDS
    target = node.target if node.type in ("symlink", "hardlink") else b""
    if node.type in ("symlink", "hardlink") and (not target or b"\0" in target):
        raise NotInTar(f"a {node.type} needs a target without NUL")
    prefix, short = _split(name)
    records: dict[bytes, bytes] = {}
    if short is None or _needs_charset(name):
        records[b"path"] = name
    if len(target) > _NAME_LENGTH or _needs_charset(target):
        records[b"linkpath"] = target
    for key, number, limit in (
        (b"size", size, _LARGE), (b"mtime", seconds, _LARGE),
        (b"uid", node.uid, _SMALL), (b"gid", node.gid, _SMALL),
    ):  # fmt: skip
        if not 0 <= number <= limit:
            records[key] = b"%d" % number
    if node.type != "hardlink":  # its attributes are those of the file it is a name of
        records |= _xattr_records(node.xattrs)
    block = _block(
        name=name if short is None else short, prefix=prefix, mode=node.mode,
        uid=node.uid, gid=node.gid, size=size, seconds=seconds,
        flag=_TYPE_FLAGS[node.type], target=target, device=node.device,
    )  # fmt: skip
    return _pax_header(path, records) + block if records else block


def _check_path(path: bytes) -> None:
    if path and any(part in (b"", b".", b"..") for part in path.split(b"/")):
        raise NotInTar("a path in a tree is relative and has no empty, . or .. parts")
    if b"\0" in path:
        raise NotInTar("a path must not contain a NUL byte")


def _split(name: bytes) -> tuple[bytes, bytes | None]:
    """``name`` as ustar's prefix and name fields; the second is ``None`` if it does not fit."""
    if len(name) <= _NAME_LENGTH:
        return b"", name
    slash = name.rfind(b"/", 0, min(_PREFIX_LENGTH + 1, len(name) - 1))
    if slash <= 0 or len(name) - slash - 1 > _NAME_LENGTH:
        return b"", None
    return name[:slash], name[slash + 1 :]


def _needs_charset(name: bytes) -> bool:
    """Whether ``name`` is UTF-8 beyond ASCII: pax says so, a ustar header cannot.

    Names that are not text stay as bytes in the ustar fields, which every reader
    takes as they are.
    """
    return not name.isascii() and _is_utf8(name)


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _xattr_records(xattrs: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    for name in xattrs:
        if not name or b"=" in name or b"\0" in name:
            raise NotInTar(f"invalid extended attribute name {_shown(name)!r} in a pax header")
    return {b"SCHILY.xattr." + name: value for name, value in xattrs.items()}


def _pax_header(path: bytes, records: dict[bytes, bytes]) -> bytes:
    """The extended header ("x") with ``records`` sorted by key."""
    if any(not _is_utf8(records.get(key, b"")) for key in (b"path", b"linkpath")):
        # POSIX: without this record the values of path and linkpath are UTF-8.
        records = {b"hdrcharset": b"BINARY", **records}
    keys = sorted(records, key=lambda key: (key != b"hdrcharset", key))
    data = b"".join(_pax_record(key, records[key]) for key in keys)
    name = b"PaxHeaders/" + path.rpartition(b"/")[2][:80]
    block = _block(
        name=name, prefix=b"", mode=0o644, uid=0, gid=0, size=len(data), seconds=0,
        flag=b"x", target=b"", device=(0, 0),
    )  # fmt: skip
    return block + data + bytes(-len(data) % BLOCK)


def _pax_record(key: bytes, value: bytes) -> bytes:
    """``LENGTH key=value\\n``, where the decimal length counts itself."""
    rest = b" %s=%s\n" % (key, value)
    length = len(rest)
    while (total := len(rest) + len(str(length))) != length:
        length = total
    return b"%d%s" % (length, rest)


def _block(
    *, name: bytes, prefix: bytes, mode: int, uid: int, gid: int, size: int, seconds: int,
    flag: bytes, target: bytes, device: tuple[int, int],
) -> bytes:  # fmt: skip
    """One ustar header block; what does not fit is zero or cut, and pax says it."""
    if not all(0 <= number <= _SMALL for number in device):
        raise NotInTar(f"device number {device[0]}:{device[1]} does not fit into a tar header")
    block = b"".join((
        name[:_NAME_LENGTH].ljust(_NAME_LENGTH, b"\0"),
        _octal(mode & 0o7777, 8), _octal(uid, 8), _octal(gid, 8),
        _octal(size, 12), _octal(seconds, 12),
        b" " * 8, flag,
        target[:_NAME_LENGTH].ljust(_NAME_LENGTH, b"\0"),
        b"ustar\x0000", bytes(64),
        _octal(device[0], 8), _octal(device[1], 8),
        prefix.ljust(_PREFIX_LENGTH, b"\0"), bytes(12),
    ))  # fmt: skip
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _octal(number: int, width: int) -> bytes:
    """Octal digits and a NUL; zero for what does not fit."""
    digits = width - 1
    return b"%0*o\0" % (digits, number if 0 <= number < 8**digits else 0)


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
