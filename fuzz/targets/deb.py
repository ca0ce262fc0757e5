"""Debian packages: ar, decompression, both tar archives and the rules for paths."""

from __future__ import annotations

from io import BytesIO

from fuzz.bytes_repair import with_tar_checksums

from builders.deb import ar, deb, file, hardlink, link, tar
from homeport.debian.deb.deb import DebReader
from homeport.errors import HomeportError

EXPECTED = (HomeportError,)
MAX_LENGTH = 32 << 10
_MAGICS = {b"\x1f\x8b": "gz", b"\xfd7zXZ": "xz", b"BZh": "bz2", b"(\xb5": "zst"}
_CONTROL = tar({"control": "Package: a\n"}, prefix="./")


def fuzz_one(data: bytes) -> None:
    """As a package, as its data archive, and as its data archive compressed."""
    start, repaired = data[:6], with_tar_checksums(data)
    packages = [data, _package("data.tar", repaired), _package("control.tar", repaired)]
    for magic, end in (
        (b"\x1f\x8b", "gz"),
        (b"\xfd7zXZ", "xz"),
        (b"BZh", "bz2"),
        (b"(\xb5", "zst"),
    ):
        if start.startswith(magic):
            packages.append(_package(f"data.tar.{end}", data))
    for package in packages:
        try:
            _read(package)
        except EXPECTED:
            continue


def _package(member: str, content: bytes) -> bytes:
    members = [("debian-binary", b"2.0\n")]
    if member != "control.tar":
        members.append(("control.tar", _CONTROL))
    return ar([*members, (member, content)])


def _read(package: bytes) -> None:
    reader = DebReader(BytesIO(package))
    for entry in reader.entries():
        assert b".." not in entry.path.split(b"/")
        assert not entry.path.startswith(b"/")
        size = sum(len(data) for data in iter(reader.read, b""))
        assert size == entry.size


def seeds() -> list[bytes]:
    """One package in each compression, and one data archive with every kind of member."""
    files = {"a": "x", "d/b": file("y", mode=0o755), "d/l": link("b"), "d/h": hardlink("a")}
    packages = [deb(files=files, compression=each) for each in ("", "gz", "xz", "zst", "bz2")]
    return [*packages, tar(files), tar(files, pax=True)]
