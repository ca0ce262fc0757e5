"""What a Tree is as tar (docs/formats/layer.md)."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.tree import directory, file, hardlink, node, symlink, tar_bytes, tree
from homeport.content.blob import BytesBlob
from homeport.content.digest import Digest
from homeport.errors import IntegrityError
from homeport.tree.node import Node, Tree
from homeport.tree.tar_writer import NotInTar, entries

SECOND = 1_000_000_000


def read(archive: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive), encoding="utf-8") as opened:
        return opened.getmembers()


def only(path: bytes, what: Node) -> tarfile.TarInfo:
    (member,) = read(tar_bytes(Tree({path: what})))
    return member


def test_every_byte_of_a_plain_archive_is_fixed() -> None:
    made = tar_bytes(
        tree(
            {
                "etc": directory(),
                "etc/os-release": symlink(b"../usr/lib/os-release", mtime=5 * SECOND),
                "usr/bin/copy": file(b"#!/x\n", 0o755, mtime=1_700_000_000 * SECOND, uid=7),
                "dev/null": node("char", mode=0o666, device=(1, 3)),
            }
        )
    )
    assert len(made) == 5 * 512 + 1024
    assert hashlib.sha256(made).hexdigest() == (
        "22cc808a88c61745dc6f24bd8bbd9f4427a062e7ded71ddfd3f7e7dce7ee60af"
    )


def test_entries_come_in_the_order_of_path_components() -> None:
    members = read(tar_bytes(tree({"a-b": file(), "a/b": file(), "a": directory(), "B": file()})))
    assert [member.name for member in members] == ["B", "a", "a/b", "a-b"]


def test_the_root_is_written_as_a_dot() -> None:
    assert tar_bytes(tree({"": directory(0o755)})).startswith(b"./\0")


@pytest.mark.parametrize(
    "path",
    [
        b"x" * 100,
        b"x" * 101,
        b"d" * 155 + b"/" + b"n" * 100,
        b"d" * 156 + b"/" + b"n" * 100,
        b"d" * 155 + b"/" + b"n" * 101,
        b"a/" * 300 + b"end",
        "Főtanúsítvány.crt".encode(),
        ("é" * 200).encode(),
        b"not \xff utf-8",
        b"not \xff utf-8, and too long: " + b"x" * 100,
    ],
)
@pytest.mark.parametrize("make", [file, directory])
def test_any_path_arrives_as_it_is(path: bytes, make) -> None:
    member = only(path, make())
    assert member.name.encode("utf-8", "surrogateescape") == path
    assert member.isdir() == (make is directory)


@pytest.mark.parametrize(
    "target", [b"x", b"../" * 60 + b"end", "ű".encode(), b"\xff\xfe", b"\xff" * 120]
)
def test_any_link_target_arrives_as_it_is(target: bytes) -> None:
    assert only(b"l", symlink(target)).linkname.encode("utf-8", "surrogateescape") == target


def test_pax_headers_appear_only_where_ustar_cannot_say_it() -> None:
    plain = tar_bytes(tree({"d" * 155 + "/" + "n" * 100: file()}))
    assert len(plain) == 512 + 1024
    assert b"PaxHeaders" not in plain
    assert b"17 path=" not in plain
    assert tar_bytes(tree({"ő": file()})).startswith(b"PaxHeaders/")


@pytest.mark.parametrize("size", [0o77777777777, 0o77777777777 + 1, 1 << 40])
def test_sizes_beyond_eight_gibibytes_are_exact(size: int) -> None:
    class Huge:
        digest = Digest.of(b"")

        def __init__(self) -> None:
            self.size = size

    (entry,) = entries(Tree({b"big": node("file", content=Huge())}))
    assert tarfile.TarInfo.frombuf(entry.header[-512:], "utf-8", "strict").size == (
        size if size <= 0o77777777777 else 0
    )
    assert (b" size=%d\n" % size in entry.header) == (size > 0o77777777777)


def test_times_are_whole_seconds_also_before_1970() -> None:
    assert only(b"f", file(mtime=7 * SECOND + 999_999_999)).mtime == 7
    assert only(b"f", file(mtime=-1)).mtime == -1


def test_large_numbers_of_owners_are_exact() -> None:
    member = only(b"f", file(uid=4_294_967_294, gid=2_097_152))
    assert (member.uid, member.gid) == (4_294_967_294, 2_097_152)


def test_extended_attributes_are_pax_records_sorted_by_name() -> None:
    attributes = {
        b"user.z": b"last",
        b"security.capability": b"\x01\0\0\x02\xff\n=",
        b"user.a": b"",
    }
    made = tar_bytes(tree({"f": file(b"x", xattrs=attributes)}))
    assert b"SCHILY.xattr.security.capability=\x01\0\0\x02\xff\n=\n" in made
    positions = [made.index(b"SCHILY.xattr." + name) for name in sorted(attributes)]
    assert positions == sorted(positions)


def test_the_first_name_of_a_file_gets_the_content_and_the_others_link_to_it() -> None:
    members = read(
        tar_bytes(tree({"a": hardlink(b"b"), "b": file(b"body", 0o700), "c": hardlink(b"a")}))
    )
    assert [(m.name, m.type, m.linkname, m.size, m.mode) for m in members] == [
        ("a", tarfile.REGTYPE, "", 4, 0o700),
        ("b", tarfile.LNKTYPE, "a", 0, 0o700),
        ("c", tarfile.LNKTYPE, "a", 0, 0o700),
    ]


def test_a_hard_link_to_a_file_of_a_lower_layer_stays() -> None:
    assert only(b"a", hardlink(b"usr/bin/other")).linkname == "usr/bin/other"


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        ({"../up": file()}, "has no empty, . or .. parts"),
        ({"/abs": file()}, "has no empty, . or .. parts"),
        ({"a//b": file()}, "has no empty, . or .. parts"),
        ({"a\0b": file()}, "NUL"),
        ({"l": symlink(b"")}, "needs a target"),
        ({"l": symlink(b"a\0b")}, "needs a target"),
        ({"f": file(xattrs={b"a=b": b""})}, "invalid extended attribute name"),
        ({"a": hardlink(b"b"), "b": hardlink(b"a")}, "circle"),
        ({"a": hardlink(b"b"), "b": directory()}, "to a directory"),
        ({"a": node("char", device=(1 << 24, 0))}, "does not fit"),
    ],
)
def test_what_tar_cannot_say_is_refused(nodes, says: str) -> None:
    with pytest.raises(NotInTar, match=says) as caught:
        tar_bytes(tree(nodes))
    assert "path" in caught.value.where


def test_contents_are_verified_while_they_are_written() -> None:
    class Changed(BytesBlob):
        def open(self, offset: int = 0):
            return io.BytesIO(b"evil"[offset:])

    with pytest.raises(IntegrityError, match="f has digest"):
        tar_bytes(tree({"f": node("file", content=Changed(b"good"))}))


names = st.binary(min_size=1, max_size=130).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
)


@given(
    path=st.lists(names, min_size=1, max_size=4).map(b"/".join),
    data=st.binary(max_size=1500),
    mode=st.integers(0, 0o7777),
    mtime=st.integers(-(1 << 70), 1 << 70),
)
def test_a_file_read_back_is_the_file_written(
    path: bytes, data: bytes, mode: int, mtime: int
) -> None:
    archive = tar_bytes(Tree({path: file(data, mode, mtime=mtime)}))
    assert len(archive) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(archive), encoding="utf-8") as opened:
        (member,) = opened.getmembers()
        # tarfile takes slashes off and decodes; everything else must be exact.
        assert member.name.encode("utf-8", "surrogateescape") == path
        assert (member.mode, member.size) == (mode, len(data))
        assert abs(member.mtime - mtime // SECOND) <= abs(mtime // SECOND) >> 50
        stream = opened.extractfile(member)
        assert stream is not None
        assert stream.read() == data
