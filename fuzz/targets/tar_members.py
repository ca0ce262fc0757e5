"""Tar archives as layers and as ADD reads them: headers, sparse maps, pax records, paths."""

from __future__ import annotations

import io
import tarfile
from io import BytesIO

from fuzz.bytes_repair import with_tar_checksums

from builders.inspection import directory, file, hardlink, opaque, symlink, tar, whiteout
from homeport.budget import Budget, Limits
from homeport.content.blob import BytesBlob
from homeport.copying.errors import CopyError
from homeport.copying.tarstream import TarReader
from homeport.errors import HomeportError
from homeport.layers.listing import Hashed, list_layer
from homeport.layers.overlay import stack, unpack
from homeport.progress import CancelToken

EXPECTED = (HomeportError, CopyError)
MAX_LENGTH = 32 << 10
_MOST_READ = 1 << 20
_LIMITS = Limits(bytes=_MOST_READ, steps=1_000_000)


def fuzz_one(data: bytes) -> None:
    """Both readers over the archive; then the layer over itself."""
    for archive in dict.fromkeys((data, with_tar_checksums(data))):
        for global_pax in (True, False):
            try:
                _members(archive, global_pax)
            except CopyError:
                continue
        try:
            _layer(archive)
        except HomeportError:
            continue


def _members(archive: bytes, global_pax: bool) -> None:
    reader = TarReader(BytesIO(archive), global_pax=global_pax)
    left = _MOST_READ
    while (member := reader.next()) is not None:
        size = 0
        while left > 0 and (part := reader.take_hole() or len(reader.read(1 << 16))):
            size += part
            left -= min(part, 1 << 16)
        assert size <= member.size


def _layer(archive: bytes) -> None:
    listing = list_layer(BytesBlob(archive), Hashed(), CancelToken(), limits=_LIMITS)
    for entry in listing.entries:
        assert b".." not in entry.path.split(b"/")
        assert not entry.path.startswith(b"/")
    stack([listing, listing], Budget("the image", _LIMITS))
    unpack(listing.entries, Budget("the archive", _LIMITS))


def seeds() -> list[bytes]:
    """Every kind of member, in the three formats that Python writes, and a sparse file."""
    members = (
        directory("d"), file("d/f", b"x" * 600), hardlink("d/h", "d/f"), symlink("l", "d"),
        file("l/g"), whiteout("d/f"), opaque("d"),
    )  # fmt: skip
    return [
        tar(*members),
        _long_names(tarfile.GNU_FORMAT),
        _long_names(tarfile.PAX_FORMAT),
        _sparse(),
    ]


def _long_names(format: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        found = tarfile.TarInfo("n" * 120)
        found.size, found.mtime = 3, 1.5
        found.pax_headers = {"SCHILY.xattr.user.a": "b"}
        archive.addfile(found, io.BytesIO(b"abc"))
        found = tarfile.TarInfo("link")
        found.type, found.linkname, found.uid = tarfile.SYMTYPE, "t" * 120, 1 << 22
        archive.addfile(found)
    return out.getvalue()[:-8192]


def _sparse() -> bytes:
    """pax 1.0: the map is in the content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        found = tarfile.TarInfo("sparse")
        content = b"2\n0\n4\n4096\n4\n".ljust(512, b"\0") + b"headtail"
        found.size = len(content)
        found.pax_headers = {
            "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "4100",
            "GNU.sparse.name": "s",
        }  # fmt: skip
        archive.addfile(found, io.BytesIO(content))
    return out.getvalue()[:-7168]
