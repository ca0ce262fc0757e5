"""Archives of others as Trees."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import tarfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders.tree import HERE, directory, file, hardlink, node, symlink, tar_bytes, tree
from homeport.budget import Limits
from homeport.content.blob import verified
from homeport.content.store import Store
from homeport.errors import HomeportError, IntegrityError, TooLarge
from homeport.layers.entry import BadArchive, clean
from homeport.layers.trees import read_tree
from homeport.progress import CancelToken
from homeport.tree.node import Node, Tree

COMPRESSIONS = {
    "none": lambda data: data,
    "gzip": gzip.compress,
    "members": lambda data: gzip.compress(data[:700]) + gzip.compress(data[700:]) + bytes(9),
    "zstd": zstandard.ZstdCompressor().compress,
    "frames": lambda data: b"".join(
        zstandard.ZstdCompressor().compress(part) for part in (data[:700], data[700:])
    ),
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def read(data: bytes, store: Store, **bounds: int) -> Tree:
    return read_tree(io.BytesIO(data), store, HERE, CancelToken(), **bounds)


def contents(found: Node) -> bytes:
    if found.content is None:
        return b""
    with verified(found.content) as stream:
        return stream.readall()


def everything(nodes: Tree) -> dict[bytes, tuple]:
    def facts(n: Node) -> tuple:
        return (n.type, n.mode, n.uid, n.gid, n.mtime, n.target, n.device, n.xattrs, contents(n))

    return {path: facts(found) for path, found in nodes.items()}


SAMPLE = tree(
    {
        "": directory(0o700, mtime=10**9),
        "bin": symlink(b"usr/bin"),
        "dev": directory(),
        "dev/null": node("char", mode=0o666, device=(1, 3)),
        "empty": file(),
        "usr": directory(0o1777, uid=3, gid=4),
        "usr/a": file(b"content" * 500, 0o4755, xattrs={b"user.x": b"\0\n"}),
        "usr/b": hardlink(b"usr/a", xattrs={}),
        "usr/pipe": node("fifo"),
        "usr/\xff": file(b"odd"),
    }
)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_tree_written_and_read_back_is_the_same(store: Store, compression: str) -> None:
    found = everything(read(COMPRESSIONS[compression](tar_bytes(SAMPLE)), store))
    wanted = everything(SAMPLE)
    link = found.pop(b"usr/b")
    assert (link[0], link[5]) == ("hardlink", b"usr/a")
    wanted.pop(b"usr/b")
    assert found == wanted


@pytest.mark.parametrize("compression", ["gzip", "members", "zstd", "frames", "xz", "bzip2"])
def test_truncated_or_damaged_archives_are_refused(store: Store, compression: str) -> None:
    whole = COMPRESSIONS[compression](tar_bytes(SAMPLE))
    for data in (whole[: len(whole) // 2], whole[:40] + b"\xaa\xaa\xaa" + whole[43:]):
        with pytest.raises(HomeportError) as caught:
            read(data, store)
        assert isinstance(caught.value, IntegrityError | BadArchive)
    assert not list((store.root / "partial").iterdir())


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"./", b""),
        (b"/usr//bin/./x/", b"usr/bin/x"),
        (b"a/../b", b"b"),
        (b"\xff", b"\xff"),
    ],
)
def test_names_are_cleaned(name: bytes, path: bytes) -> None:
    assert clean(name) == (path, True)


@pytest.mark.parametrize("name", [b"..", b"a/../../b", b"/../x", b"x" * 5000])
def test_names_that_leave_the_root_are_refused(name: bytes, store: Store) -> None:
    assert not clean(name)[1]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name.decode()))
    with pytest.raises(BadArchive, match="leaves the root"):
        read(out.getvalue(), store)


def test_a_hard_link_out_of_the_root_is_refused(store: Store) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("a")
        member.type, member.linkname = tarfile.LNKTYPE, "../../etc/passwd"
        archive.addfile(member)
    with pytest.raises(BadArchive, match="leaves the root"):
        read(out.getvalue(), store)


def test_the_last_of_two_entries_with_one_name_counts(store: Store) -> None:
    one, two = tar_bytes(tree({"f": file(b"one")})), tar_bytes(tree({"f": file(b"two")}))
    found = read(one[:-1024] + two, store)
    assert contents(found[b"f"]) == b"two"


def test_bounds_are_errors_that_name_them(store: Store) -> None:
    with pytest.raises(TooLarge, match="more than 3 entries"):
        read(tar_bytes(SAMPLE), store, limits=Limits(entries=3))
    with pytest.raises(TooLarge, match="more than 100 B of content"):
        read(tar_bytes(SAMPLE), store, limits=Limits(bytes=100))


def test_contents_can_be_read_from_any_offset_and_end_where_they_should(store: Store) -> None:
    found = read(tar_bytes(tree({"a": file(b"12345"), "b": file(b"67")})), store)
    blob = found[b"a"].content
    assert blob is not None
    with blob.open(3) as stream:
        assert stream.read() == b"45"
    with blob.open(9) as stream:
        assert stream.read() == b""
    assert blob.local_path() is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_damage_anywhere_is_an_error_of_ours_or_a_tree(store: Store, data: st.DataObject) -> None:
    archive = bytearray(tar_bytes(SAMPLE))
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(HomeportError):
        read(bytes(archive), store)


def test_an_archive_may_end_right_behind_its_last_file(store: Store) -> None:
    whole = tar_bytes(tree({"a": file(b"12345")}))
    assert contents(read(whole[: 512 + 5], store)[b"a"]) == b"12345"
