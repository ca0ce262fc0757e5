"""The streaming tar reader: what it hands out, and what it refuses."""

from __future__ import annotations

import io
import tarfile

import pytest

from homeport.copying.errors import CopyError
from homeport.copying.tarstream import Member, TarReader


def archive(
    *members: tarfile.TarInfo, format: int = tarfile.PAX_FORMAT, **options: object
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format, **options) as tar:  # type: ignore[call-overload]
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size) if member.size else None)
    return out.getvalue()


def entry(name: str, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def members(data: bytes, **bounds: int) -> list[tuple[Member, bytes]]:
    reader = TarReader(io.BytesIO(data), **bounds)  # type: ignore[arg-type]
    found = []
    while (member := reader.next()) is not None:
        found.append((member, b"".join(iter(lambda: reader.read(100), b""))))
    return found


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_file_keeps_its_fields_in_every_format(format: int) -> None:
    data = archive(
        entry("a/b", size=700, mode=0o6751, uid=7, gid=8, mtime=12, uname="u", gname="g"),
        entry("l", type=tarfile.SYMTYPE, linkname="../x"),
        format=format,
    )
    (file, content), (link, _) = members(data)
    assert (file.name, file.kind, file.mode, file.uid, file.gid) == (b"a/b", "file", 0o6751, 7, 8)
    assert (file.mtime, file.uname, file.gname, file.size) == (12_000_000_000, b"u", b"g", 700)
    assert content == b"x" * 700
    assert (link.kind, link.link) == ("symlink", b"../x")


def test_pax_records_win_over_the_header() -> None:
    headers = {"SCHILY.xattr.user.k": "v", "mtime": "1.000000001", "path": "long" * 60}
    ((file, _),) = members(archive(entry("short", pax_headers=headers)))
    assert (file.name, file.mtime, file.xattrs) == (
        b"long" * 60,
        1_000_000_001,
        {b"user.k": b"v"},
    )


def test_an_archive_that_ends_in_the_middle_names_member_and_position() -> None:
    data = archive(entry("a", size=5000))[:2000]
    with pytest.raises(CopyError) as caught:
        members(data)
    assert caught.value.where == {"member": "a", "position": 2000}
