"""Reading .deb files: what dpkg-deb writes is read, what could do harm is refused."""

from __future__ import annotations

import io
import lzma
import tarfile
import zlib

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.deb import (
    MTIME,
    Content,
    Entry,
    ar,
    compress,
    control_text,
    deb,
    directory,
    file,
    hardlink,
    link,
    tar,
)
from homeport.debian.deb import decompression
from homeport.debian.deb.ar import BadDeb
from homeport.debian.deb.deb import DebReader
from homeport.errors import HomeportError, TooLarge


def paths(data: bytes) -> dict[str, tuple[object, ...]]:
    """Every path with its type and what matters of it."""
    reader = DebReader(io.BytesIO(data))
    found: dict[str, tuple[object, ...]] = {}
    for entry in reader.entries():
        content = b"".join(iter(lambda: reader.read(7), b""))
        assert len(content) == entry.size
        detail = {"file": content, "directory": b""}.get(entry.type, entry.target)
        found[entry.path.decode()] = (entry.type, oct(entry.mode), detail)
    return found


CONTROL = compress(tar({"control": control_text("hello", "1.0-1", "all")}, prefix="./"), "gz")


def outer(*members: tuple[str, bytes]) -> bytes:
    """A package of which only the outer archive is special."""
    return ar([("debian-binary", b"2.0\n"), *members])


def with_files(*pairs: tuple[str, Content]) -> bytes:
    """A package with a data archive of exactly these members, nothing cleaned."""
    return deb(data=tar(list(pairs)))


class TestWhatIsRead:
    @pytest.mark.parametrize("compression", ["", "gz", "xz", "zst", "bz2"])
    def test_every_compression_gives_the_same_paths(self, compression: str) -> None:
        files = {
            "usr/bin/hello": file(b"#!/bin/sh\n", mode=0o755),
            "usr/bin/hi": link("hello"),
            "usr/bin/hey": hardlink("usr/bin/hello"),
            "usr/share/empty/": directory(mode=0o1777),
        }
        assert paths(deb(files=files, compression=compression)) == {
            "usr": ("directory", "0o755", b""),
            "usr/bin": ("directory", "0o755", b""),
            "usr/bin/hello": ("file", "0o755", b"#!/bin/sh\n"),
            "usr/bin/hey": ("hardlink", "0o644", b"usr/bin/hello"),
            "usr/bin/hi": ("symlink", "0o777", b"hello"),
            "usr/share": ("directory", "0o755", b""),
            "usr/share/empty": ("directory", "0o1777", b""),
        }

    def test_control_files_are_there_before_any_path_is_read(self) -> None:
        data = deb("a", "1", depends="b", scripts={"postinst": "#!/bin/sh\n"}, conffiles=["/etc/a"])
        control = DebReader(io.BytesIO(data)).control
        assert sorted(control) == ["conffiles", "control", "md5sums", "postinst"]
        assert b"Depends: b\n" in control["control"]

    def test_owner_time_and_attributes_come_along(self) -> None:
        files = {"x": file(b"1", uid=7, gid=42, pax={"SCHILY.xattr.user.a": "b"})}
        data = deb(data=tar(files, prefix="./", pax=True))
        (entry,) = DebReader(io.BytesIO(data)).entries()
        assert (entry.uid, entry.gid, entry.mtime) == (7, 42, MTIME * 10**9)
        assert entry.xattrs == {b"user.a": b"b"}

    def test_content_that_is_not_wanted_may_be_left_unread(self) -> None:
        reader = DebReader(io.BytesIO(deb(files={"a": b"1" * 100_000, "b": b"2"})))
        assert [entry.path for entry in reader.entries()] == [b"a", b"b"]

    def test_members_that_begin_with_an_underscore_are_passed_over(self) -> None:
        data = compress(tar({"a": b""}), "xz")
        package = outer(
            ("_before", b"x"),
            ("control.tar.gz", CONTROL),
            ("data.tar.xz", data),
            ("_gpgorigin", b"s"),
        )
        assert list(paths(package)) == ["a"]

    def test_names_that_are_not_utf8_and_very_long_ones_are_read(self) -> None:
        name = "usr/" + "n" * 200 + "/caf\udce9"
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
            archive.addfile(tarfile.TarInfo(f"./{name}"))
        (entry,) = DebReader(io.BytesIO(deb(data=stream.getvalue()))).entries()
        assert entry.path == name.encode("utf-8", "surrogateescape")

    def test_several_compressed_streams_one_after_the_other_are_one(self) -> None:
        data = tar({"a": b"1" * 3000})
        for end, pieces in {
            "xz": [lzma.compress(data[:700]), bytes(8), lzma.compress(data[700:]), bytes(4)],
            "gz": [compress(data[:700], "gz"), compress(data[700:], "gz")],
            "bz2": [compress(data[:700], "bz2"), compress(data[700:], "bz2")],
            "zst": [compress(data[:700], "zst"), compress(data[700:], "zst")],
        }.items():
            package = outer(("control.tar.gz", CONTROL), (f"data.tar.{end}", b"".join(pieces)))
            assert list(paths(package)) == ["a"], end


def hostile() -> dict[str, tuple[bytes, str]]:
    """Packages nobody should make, and what is said of them."""
    data = compress(tar({"a": b""}), "xz")
    good = [("control.tar.gz", CONTROL), ("data.tar.xz", data)]
    device = Entry(type="char", device=(1, 3))
    return {
        "an absolute path": (with_files(("/etc/passwd", b"")), "path '/etc/passwd' is absolute"),
        "a path with ..": (with_files(("./a/../../b", b"")), r"path './a/../../b' contains '\.\.'"),
        "a character device": (
            with_files(("./dev/null", device)),
            "dev/null is a character device",
        ),
        "a package database": (
            with_files(("./var/lib/dpkg/status", b"Package: libc6\n")),
            "var/lib/dpkg/status belongs to the package database, which no package may ship",
        ),
        "a stanza of another package": (
            with_files(("./var/lib/dpkg/status.d/libc6", b"Package: libc6\n")),
            "status.d/libc6 belongs to the package database",
        ),
        "a link in the place of the package database": (
            with_files(("./var/lib/dpkg", link("/usr/share/x"))),
            "var/lib/dpkg belongs to the package database",
        ),
        "a block device": (with_files(("./sda", Entry(type="block"))), "sda is a block device"),
        "a pipe": (with_files(("./pipe", Entry(type="fifo"))), "pipe is a pipe"),
        "a link out of the root": (
            with_files(("./usr/lib/x", link("../../../etc/shadow"))),
            "usr/lib/x is a link out of the root: ../../../etc/shadow",
        ),
        "an absolute link that climbs": (
            with_files(("./x", link("/../etc"))),
            "x is a link out of the root: /../etc",
        ),
        "an empty link": (with_files(("./x", link(""))), "x is a link with an odd target"),
        "a file below a link": (
            with_files(("./x", link("/etc")), ("./x/passwd", b"")),
            "x/passwd lies below x, which is a symlink",
        ),
        "a file below a file": (
            with_files(("./x", b""), ("./x/y", b"")),
            "x/y lies below x, which is a file",
        ),
        "a hard link out": (
            with_files(("./x", Entry(type="hardlink", target="../../etc/shadow"))),
            "link target '../../etc/shadow' contains",
        ),
        "an absolute hard link": (
            with_files(("./x", Entry(type="hardlink", target="/etc/shadow"))),
            "link target '/etc/shadow' is absolute",
        ),
        "a hard link to nothing": (
            with_files(("./x", hardlink("y"))),
            "x is a hard link to y, which is not an earlier file",
        ),
        "a path twice": (with_files(("./x", b"1"), ("./x", b"2")), "x appears twice"),
        "a file in place of a directory": (
            with_files(("./x/", directory()), ("./x", b"2")),
            "x appears twice",
        ),
        "a root that is a link": (with_files(("./", link("/"))), "the package's root is a symlink"),
        "a line break in a path": (with_files(("./a\nb", b"")), "holds a line break"),
        "a path of absurd length": (with_files(("./" + "a/" * 4000 + "b", b"")), "is too long"),
        "two data members": (
            outer(*good, ("data.tar.gz", compress(tar({}), "gz"))),
            r"member data\.tar\.gz appears a second time",
        ),
        "two control members": (
            outer(good[0], *good),
            r"found member control\.tar\.gz, expected data\.tar",
        ),
        "a control member after the data": (
            outer(*good, good[0]),
            r"member control\.tar\.gz appears a second time",
        ),
        "a member of another kind": (outer(*good, ("extra", b"")), "extra appears after data.tar"),
        "data before control": (
            outer(good[1], good[0]),
            r"found member data\.tar\.xz, expected control\.tar",
        ),
        "no data": (outer(good[0]), "it has no data.tar"),
        "no control": (outer(), "it has no control.tar"),
        "no control file": (
            outer(("control.tar", tar({"md5sums": b""})), good[1]),
            "control.tar holds no control file",
        ),
        "two control files": (
            outer(("control.tar", tar([("control", b"a"), ("./control", b"b")])), good[1]),
            "control.tar holds 'control' twice",
        ),
        "a link as control file": (
            outer(("control.tar", tar({"control": link("/etc/passwd")})), good[1]),
            "control.tar holds symlink 'control'",
        ),
        "a control file somewhere below": (
            outer(("control.tar", tar({"a/control": b""})), good[1]),
            "control.tar holds file 'a/control'",
        ),
        "no version": (ar(good), "its first member is not debian-binary"),
        "another version": (
            ar([("debian-binary", b"3.0\n"), *good]),
            "unknown format version '3.0'",
        ),
        "an unknown compression": (
            outer(good[0], ("data.tar.lz4", b"")),
            r"unknown compression of data\.tar\.lz4: lz4",
        ),
        "the wrong compression": (outer(good[0], ("data.tar.gz", data)), "data.tar.gz is damaged"),
        "a data archive cut in the middle": (
            outer(good[0], ("data.tar", tar({"a": b"1" * 5000})[:3000])),
            "data.tar: ",
        ),
        "a data archive without its end": (
            outer(good[0], ("data.tar", tar({"a": b""})[:512])),
            "data.tar has no end: it is truncated",
        ),
        "a compressed stream that is cut": (
            outer(good[0], ("data.tar.xz", data[:-20])),
            "data.tar.xz is (truncated|damaged)",
        ),
        "garbage after the compressed stream": (
            outer(good[0], ("data.tar.xz", data + b"garbage!")),
            "data.tar.xz is damaged: it is truncated, or garbage follows it",
        ),
        "garbage after the package": (outer(*good) + b"garbage", "ends in the middle of a header"),
        "much garbage after the package": (outer(*good) + b"x" * 100, "garbage in place of"),
        "a web page": (b"<html><body>Welcome</body></html>", "does not begin with !<arch>"),
        "nothing": (b"", "it ends in the middle of the archive's beginning"),
    }


@pytest.mark.parametrize("name", hostile())
def test_a_package_is_refused_that_has(name: str) -> None:
    data, message = hostile()[name]
    with pytest.raises(BadDeb, match=message):
        paths(data)


def test_a_web_page_in_place_of_a_package_is_recognised() -> None:
    with pytest.raises(BadDeb) as caught:
        paths(b"<html><body>Welcome</body></html>")
    assert caught.value.hint == "the mirror may have sent an error page instead"


@pytest.mark.parametrize("target", ["../share/x", "/usr/share/x", "../../etc/x", ".", "x/../../y"])
def test_links_inside_the_root_are_fine(target: str) -> None:
    assert paths(with_files(("./usr/lib/x", link(target))))["usr/lib/x"][2] == target.encode()


class TestBounds:
    @pytest.mark.parametrize("compression", ["gz", "xz", "zst", "bz2"])
    def test_a_bomb_is_stopped_at_its_bound(
        self, compression: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = io.BytesIO(compress(bytes(3 << 20), compression))
        unpacked = decompression.Unpacked(source, compression, what="data.tar", limit=1 << 20)
        largest = 0
        with pytest.raises(TooLarge, match=r"data\.tar unpacks to more than 1\.05 MB"):
            while piece := unpacked.read(1 << 16):
                largest = max(largest, len(piece))
        assert largest <= 1 << 16

    def test_an_xz_stream_that_wants_much_memory_is_refused(self) -> None:
        # A dictionary is only declared: a small stream whose block header says 512 MiB.
        small = lzma.compress(b"x" * 100, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}])
        header = bytearray(small[12:24])
        header[4] = 34  # 512 MiB
        header[8:12] = zlib.crc32(bytes(header[:8])).to_bytes(4, "little")
        stream = io.BytesIO(small[:12] + bytes(header) + small[24:])
        with pytest.raises(BadDeb, match="Memory usage limit"):
            decompression.Unpacked(stream, "xz", what="data.tar.xz", limit=1000).read(100)

    def test_a_zstd_window_beyond_the_bound_is_refused(self) -> None:
        parameters = zstandard.ZstdCompressionParameters(window_log=29, compression_level=1)
        compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        data = compressor.compress(b"x" * 1000) + compressor.flush()
        with pytest.raises(BadDeb, match="is damaged"):
            decompression.Unpacked(io.BytesIO(data), "zst", what="data.tar.zst", limit=9999).read(
                100
            )


SAMPLE = deb(
    files={"usr/bin/a": file(bytes(range(256)) * 8, mode=0o755), "usr/bin/b": link("a")},
    compression="",
)
PACKED = {end: deb(files={"a": b"1" * 2000}, compression=end) for end in ("xz", "gz", "zst")}


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_byte_is_an_error_or_changes_nothing_but_content(data: st.DataObject) -> None:
    end = data.draw(st.sampled_from(["", *PACKED]))
    package = bytearray(PACKED[end] if end else SAMPLE)
    position = data.draw(st.integers(0, len(package) - 1))
    package[position] ^= data.draw(st.integers(1, 255))
    try:
        paths(bytes(package))
    except HomeportError as error:
        assert str(error)  # noqa: PT017  # either outcome is fine, but no other exception


@settings(max_examples=200)
@given(st.data())
def test_a_package_cut_anywhere_is_refused(data: st.DataObject) -> None:
    package = data.draw(st.sampled_from([SAMPLE, *PACKED.values()]))
    length = data.draw(st.integers(0, len(package) - 2))
    with pytest.raises(HomeportError):
        paths(package[:length])


tree_names = st.sampled_from(["a", "b", "é", "x y", "-", "%s"])
file_trees = st.dictionaries(
    st.lists(tree_names, min_size=1, max_size=3).map("/".join),
    st.one_of(st.binary(max_size=1500), st.sampled_from([link("a"), link("/b/c")])),
    max_size=6,
).filter(lambda files: not any(f"{a}/" in b for a in files for b in files))


@settings(max_examples=50)
@given(file_trees, st.sampled_from(["", "gz", "xz", "zst", "bz2"]))
def test_what_is_packed_comes_out_again(files: dict[str, Content], compression: str) -> None:
    found = paths(deb(files=files, compression=compression))
    expected = {
        name: entry.target.encode() if isinstance(entry, Entry) else entry
        for name, entry in files.items()
    }
    assert {name: row[2] for name, row in found.items() if row[0] != "directory"} == expected
