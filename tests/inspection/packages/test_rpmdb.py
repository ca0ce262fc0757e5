"""rpm's databases, made here byte by byte: headers, ndb's slots, and what is damaged."""

from __future__ import annotations

import sqlite3
import struct

import pytest

from builders.inspection import file, layer, opened
from builders.rpm import Value, header, ndb
from homeport.inspection.packages.ownership import find_owners
from homeport.inspection.packages.rpmdb import BadRpmDatabase, RpmHeader, read_rpm_database


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


# -- hostile databases: found by fuzzing, or built by hand from what fuzzing found


def sqlite(*statements: str) -> bytes:
    database = sqlite3.connect(":memory:")
    for statement in statements:
        database.execute(statement)
    database.commit()
    return database.serialize()


@pytest.mark.parametrize(
    ("statements", "what"),
    [
        (["CREATE VIEW Packages AS WITH RECURSIVE n(hnum) AS (SELECT 1 UNION ALL SELECT hnum + 1"
          " FROM n) SELECT hnum, x'00' AS blob FROM n"], "not a table of stored rows"),
        (["CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob AS (zeroblob(900000000)))",
          "INSERT INTO Packages VALUES (1)"], "not a table of stored rows"),
        (["CREATE TABLE Other (a)"], "not a table of stored rows"),
    ],
)  # fmt: skip
def test_a_database_that_computes_its_packages_is_refused(statements: list[str], what: str) -> None:
    with pytest.raises(BadRpmDatabase, match=what):
        list(read_rpm_database(sqlite(*statements)))


def test_sqlites_own_table_is_read() -> None:
    one = header(name="a", version="1", release="1").hex()
    table = "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)"
    data = sqlite(table, f"INSERT INTO Packages VALUES (1, x'{one}')")
    assert [each.name for each in read_rpm_database(data)] == ["a"]


def test_names_in_sqlites_tables_that_are_not_utf_8_are_an_error() -> None:
    table = "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)"
    data = sqlite(table, "CREATE INDEX i ON Packages (blob)").replace(
        b"blob BLOB", b"\xff\xff\xff\xff BLOB"
    )
    with pytest.raises(BadRpmDatabase, match=r"^sqlite: "):
        list(read_rpm_database(data))


def test_a_length_in_sqlites_file_that_no_memory_has_is_an_error() -> None:
    data = bytearray(b"SQLite format 3\0\x02\0\0\0\0\x40\x20\x20".ljust(439, b"\0"))
    data[100], data[104], data[108:110] = 13, 1, b"\x01\xa6"  # a leaf with one cell
    data[0x1A6:0x1B7] = b"\xff" * 15 + b"\0h"
    with pytest.raises(BadRpmDatabase, match="impossible length"):
        list(read_rpm_database(bytes(data)))


def test_slots_that_share_a_package_are_refused() -> None:
    """A file of 16 MB could name one header of a megabyte a million times."""
    data = bytearray(ndb(*(header(name="a", version="1", release="1") for _ in range(30))))
    first = struct.unpack_from("<I", data, 32 + 16 + 8)[0]
    length = len(data) - first * 16 - 16
    struct.pack_into("<I", data, first * 16 + 12, length)
    for number in range(30):
        struct.pack_into("<I", data, 32 + 16 * (number + 1) + 8, first)
    with pytest.raises(BadRpmDatabase, match="more bytes than the file"):
        list(read_rpm_database(bytes(data)))


def test_one_long_directory_for_many_files_is_refused() -> None:
    one = header(
        name="a", version="1", release="1", basenames=["x"] * 1000, dirnames=["/" + "d" * 100_000],
        dirindexes=[0] * 1000,
    )  # fmt: skip
    with pytest.raises(BadRpmDatabase, match="paths are too long"):
        read(one)
