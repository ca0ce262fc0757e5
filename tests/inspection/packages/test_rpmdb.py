"""rpm's databases, made here byte by byte: headers, ndb's slots, and what is damaged."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest

from builders.inspection import file, layer, opened
from homeport.inspection.packages.ownership import find_owners
from homeport.inspection.packages.rpmdb import BadRpmDatabase, RpmHeader, read_rpm_database

Value = str | Sequence[str] | Sequence[int]
TAGS: dict[str, int] = {
    "name": 1000, "version": 1001, "release": 1002, "epoch": 1003, "basenames": 1117,
    "dirnames": 1118, "dirindexes": 1116, "digests": 1035, "flags": 1037, "algorithm": 5011,
}  # fmt: skip


def header(**fields: Value) -> bytes:
    data, entries = b"", b""
    for name, value in fields.items():
        kind, raw, count = 6, b"", 1
        if isinstance(value, str):
            raw = value.encode() + b"\0"
        else:
            count = len(value)
            numbers = [one for one in value if isinstance(one, int)]
            kind = 4 if numbers else 8
            texts = [one.encode() + b"\0" for one in value if isinstance(one, str)]
            raw = struct.pack(f">{len(numbers)}I", *numbers) if numbers else b"".join(texts)
        entries += struct.pack(">IIII", TAGS[name], kind, len(data), count)
        data += raw
    return struct.pack(">II", len(fields), len(data)) + entries + data


def ndb(*headers: bytes, pages: int = 1, mark: bytes = b"BlbS") -> bytes:
    """Slots in the first page, the first of them empty; blobs after it."""
    slots, blobs, block = struct.pack("<4sIII", b"Slot", 0, 1, 0), b"", 256
    for number, one in enumerate(headers, 1):
        blob = struct.pack("<4sIII", mark, number, 1, len(one)) + one
        blob += bytes(-len(blob) % 16)
        slots += struct.pack("<4sIII", b"Slot", number, block, len(blob) // 16)
        block += len(blob) // 16
        blobs += blob
    return struct.pack("<4sIII", b"RpmP", 0, 1, pages).ljust(32, b"\0") + slots.ljust(
        4096 - 32, b"\0"
    ) + blobs  # fmt: skip


def read(*headers: bytes) -> list[RpmHeader]:
    return list(read_rpm_database(ndb(*headers)))


def test_keys_are_no_packages_and_epochs_are_part_of_the_version() -> None:
    found = read(
        header(name="gpg-pubkey", version="1", release="1"),
        header(name="bash", version="5", release="1", epoch=[2]),
    )
    assert [(one.name, one.full_version) for one in found] == [("bash", "2:5-1")]


@pytest.mark.parametrize(("number", "name"), [(None, "md5"), (1, "md5"), (8, "sha256")])
def test_digests_are_md5_unless_the_header_names_another(number: int | None, name: str) -> None:
    more: dict[str, Value] = {"algorithm": [number]} if number is not None else {}
    assert read(header(name="a", version="1", release="1", **more))[0].algorithm == name


def test_files_have_the_directory_that_their_index_names_and_flags() -> None:
    found = header(
        name="a", version="1", release="1", basenames=["x", "y", "z"], dirnames=["/etc/", "/usr/"],
        dirindexes=[0, 1, 1], digests=["aa", "bb", "cc"], flags=[1, 64, 2],
    )  # fmt: skip
    members = (file("etc/x"), file("usr/y"), file("usr/z"))
    image = opened(layer(*members, file("usr/lib/sysimage/rpm/Packages.db", ndb(found))))
    owners = find_owners(image).by_path
    assert {path: (one.kind, one.checksum) for path, one in owners.items()} == {
        b"etc/x": ("config", "aa"), b"usr/z": ("file", "cc"),
    }  # fmt: skip


def test_files_without_flags_are_plain_files() -> None:
    one = header(
        name="a", version="1", release="1", basenames=["x"], dirnames=["/"], dirindexes=[0]
    )
    assert [(each.path, each.flags, each.digest) for each in read(one)[0].files] == [(b"x", 0, "")]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (ndb(pages=0), "invalid number of slot pages: 0"),
        (ndb(pages=4097), "invalid number of slot pages: 4097"),
        (ndb(header(name="a"), mark=b"none"), "slot 1 does not point to a package"),
        (ndb(struct.pack(">II", 1, 0)), "damaged package header: invalid lengths"),
        (ndb(struct.pack(">II", 100_001, 0) + bytes(1_600_016)), "damaged package header"),
    ],
)
def test_a_damaged_database_is_an_error_that_says_what(data: bytes, what: str) -> None:
    with pytest.raises(BadRpmDatabase, match=f"^{what}"):
        list(read_rpm_database(data))
