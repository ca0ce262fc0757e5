"""Reading packages into the store: once, verified, and remembered."""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import pytest

from builders.deb import (
    Content,
    ar,
    compress,
    control_text,
    deb,
    file,
    hardlink,
    link,
    tar,
)
from homeport.content.blob import BytesBlob, verified
from homeport.content.digest import Digest
from homeport.content.files import CannotWrite, explained
from homeport.content.store import Store, StoreWriter
from homeport.debian.deb import contents as module
from homeport.debian.deb.ar import BadDeb
from homeport.debian.deb.contents import PackageContents, read_contents, select_paths
from homeport.debian.deb.path_globs import EVERYTHING, NOTHING, PathGlobs
from homeport.debian.package import PackageId
from homeport.errors import HomeportError, IntegrityError, Interrupted
from homeport.progress import CancelToken

FILES: Mapping[str, Content] = {
    "etc/hello.conf": "colour=blue\n",
    "usr/bin/hello": file(b"#!/bin/sh\necho hello\n", mode=0o755),
    "usr/bin/hey": hardlink("usr/bin/hello"),
    "usr/bin/hi": link("hello"),
    "usr/share/doc/hello/copyright": "free\n",
    "usr/share/hello/empty": b"",
    "usr/share/hello/large": bytes(range(256)) * 10_000,
}
HELLO = BytesBlob(
    deb(
        "hello",
        "2.10-3",
        "amd64",
        files=FILES,
        conffiles=["/etc/hello.conf", "remove-on-upgrade /etc/old"],
        scripts={"postinst": "#!/bin/sh\nset -e\n"},
    )
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


class CountedBlob(BytesBlob):
    """A Blob that knows how often it was opened."""

    opened = 0

    def open(self, offset: int = 0) -> BinaryIO:
        type(self).opened += 1
        return super().open(offset)


def counted(data: bytes) -> CountedBlob:
    CountedBlob.opened = 0
    return CountedBlob(data)


def text(contents: PackageContents, path: str) -> bytes:
    return verified(contents.blobs[path.encode()]).read()


def test_a_package_is_read_with_everything_that_is_in_it(store: Store) -> None:
    contents = read_contents(HELLO, EVERYTHING, store)
    assert contents.id == PackageId(name="hello", version="2.10-3", architecture="amd64")
    assert contents.control.startswith(b"Package: hello\nVersion: 2.10-3\n")
    assert contents.conffiles == (b"etc/hello.conf",)
    assert contents.scripts == {"postinst": "#!/bin/sh\nset -e\n"}
    assert contents.md5sums[b"usr/share/doc/hello/copyright"] == "38b5a22bb376712b7c88b52d9429eb06"
    assert [path.decode() for path in contents.entries if b"." not in path][:4] == [
        "etc",
        "usr",
        "usr/bin",
        "usr/bin/hello",
    ]
    for path, content in FILES.items():
        if isinstance(content, str | bytes):
            expected = content.encode() if isinstance(content, str) else content
            assert text(contents, path) == expected


def test_only_wanted_content_is_kept_but_every_path_is_listed(store: Store) -> None:
    contents = read_contents(HELLO, PathGlobs.of(["/usr/share/doc/**"]), store)
    assert list(contents.blobs) == [b"usr/share/doc/hello/copyright"]
    assert contents.entries.keys() >= {path.encode() for path in FILES}
    assert store.usage().blob_bytes == len("free\n")


def test_with_nothing_wanted_there_is_still_the_list(store: Store) -> None:
    contents = read_contents(HELLO, NOTHING, store)
    assert (len(contents.blobs), len(contents.entries)) == (0, 14)
    assert store.usage().blobs == 0


def test_a_hard_link_brings_its_content_even_where_its_target_is_not_wanted(store: Store) -> None:
    contents = read_contents(HELLO, PathGlobs.of(["/usr/bin/hey"]), store)
    assert text(contents, "usr/bin/hey") == b"#!/bin/sh\necho hello\n"
    assert contents.entries[b"usr/bin/hey"].target == b"usr/bin/hello"


def test_content_can_be_read_from_any_offset(store: Store) -> None:
    blob = read_contents(HELLO, EVERYTHING, store).blobs[b"usr/bin/hello"]
    assert [blob.open(at).read() for at in (0, 10, 20, 21, 99)] == [
        b"#!/bin/sh\necho hello\n",
        b"echo hello\n",
        b"\n",
        b"",
        b"",
    ]
    assert blob.open(10).read(4) == b"echo"


class TestRemembering:
    def test_the_second_time_the_package_is_not_even_opened(self, store: Store) -> None:
        package = counted(HELLO.data)
        first = read_contents(package, EVERYTHING, store)
        opened = CountedBlob.opened
        again = read_contents(package, EVERYTHING, store)
        assert CountedBlob.opened == opened
        assert again == first

    def test_other_globs_are_another_answer(self, store: Store) -> None:
        read_contents(HELLO, NOTHING, store)
        assert read_contents(HELLO, EVERYTHING, store).blobs

    def test_other_code_is_another_answer(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        package = counted(HELLO.data)
        read_contents(package, NOTHING, store)
        opened = CountedBlob.opened
        monkeypatch.setattr(module, "code_hash", lambda *_paths: "changed")
        read_contents(package, NOTHING, store)
        assert CountedBlob.opened > opened

    def test_content_that_was_pruned_is_made_again(self, store: Store) -> None:
        first = read_contents(HELLO, EVERYTHING, store)
        for blob in (store.root / "blobs" / "sha256").iterdir():
            blob.unlink()
        again = read_contents(HELLO, EVERYTHING, store)
        assert text(again, "usr/bin/hello") == b"#!/bin/sh\necho hello\n"
        assert again == first

    def test_content_that_was_damaged_is_dropped_when_it_is_read_so_that_a_re_run_succeeds(
        self, store: Store
    ) -> None:
        damaged = read_contents(HELLO, EVERYTHING, store).blobs[b"usr/share/hello/large"]
        (pack,) = (store.root / "blobs" / "sha256").iterdir()
        pack.write_bytes(bytes(pack.stat().st_size))
        with pytest.raises(IntegrityError) as caught:
            damaged.open().read()
        assert caught.value.hint == "run the same command again"
        again = read_contents(HELLO, EVERYTHING, store)
        assert text(again, "usr/share/hello/large") == FILES["usr/share/hello/large"]

    def test_an_answer_that_was_damaged_is_made_again(self, store: Store) -> None:
        first = read_contents(HELLO, EVERYTHING, store)
        for answer in (store.root / "answers").rglob("*"):
            if answer.is_file():
                answer.write_bytes(b"\xffdamaged")
        assert read_contents(HELLO, EVERYTHING, store) == first

    def test_two_threads_read_one_package_at_once(self, store: Store) -> None:
        found: list[PackageContents] = []
        threads = [
            threading.Thread(target=lambda: found.append(read_contents(HELLO, EVERYTHING, store)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 4
        assert all(each == found[0] for each in found)


class TestRefusing:
    def test_a_package_whose_bytes_are_not_its_digest_is_never_parsed(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Wrong(BytesBlob):
            def open(self, offset: int = 0) -> BinaryIO:
                return io.BytesIO(self.data.replace(b"debian-binary", b"debian-banana"))

        monkeypatch.setattr(module, "DebReader", lambda stream: pytest.fail("it was parsed"))
        with pytest.raises(IntegrityError):
            read_contents(Wrong(HELLO.data), EVERYTHING, store)
        assert store.usage().total_bytes == 0

    def test_a_package_that_changes_under_our_feet_is_refused(self, store: Store) -> None:
        other = deb("hello", "2.10-3", "amd64", files={**FILES, "usr/bin/hello": b"#!/bin/evil\n"})

        class Changing(BytesBlob):
            def open(self, offset: int = 0) -> BinaryIO:
                Changing.opened += 1  # type: ignore[attr-defined]  # counted on the class
                return io.BytesIO(self.data if Changing.opened == 1 else other)  # type: ignore[attr-defined]  # as above

        Changing.opened = 0  # type: ignore[attr-defined]  # as above
        with pytest.raises(IntegrityError):
            read_contents(Changing(HELLO.data), EVERYTHING, store)
        assert not list((store.root / "answers").rglob("*"))

    def test_a_package_that_says_it_is_another_is_refused(self, store: Store) -> None:
        expected = PackageId(name="hello", version="2.10-4", architecture="amd64")
        with pytest.raises(BadDeb, match=r"hello 2\.10-3 amd64, but the index lists it as hello 2"):
            read_contents(HELLO, NOTHING, store, expected=expected)

    def test_the_error_names_the_package(self, store: Store) -> None:
        expected = PackageId(name="hello", version="1", architecture="all")
        bad = BytesBlob(deb(files={"x": link("../..")}))
        with pytest.raises(BadDeb) as caught:
            read_contents(bad, EVERYTHING, store, expected=expected)
        assert caught.value.where == {"path": "x", "package": "hello 1"}

    @pytest.mark.parametrize("control", [b"", b"Package: a\n", b"no colon\n"])
    def test_a_control_file_that_says_nothing_is_refused(
        self, store: Store, control: bytes
    ) -> None:
        package = ar(
            [
                ("debian-binary", b"2.0\n"),
                ("control.tar", tar({"control": control})),
                ("data.tar.gz", compress(tar({}), "gz")),
            ]
        )
        with pytest.raises(HomeportError):
            read_contents(BytesBlob(package), NOTHING, store)

    def test_nothing_is_left_of_a_package_that_broke_in_the_middle(self, store: Store) -> None:
        bad = BytesBlob(deb(files={"a": b"1" * 5000, "b": link("../..")}))
        with pytest.raises(BadDeb):
            read_contents(bad, EVERYTHING, store)
        assert store.usage().total_bytes == 0

    def test_a_full_disk_is_told_and_leaves_nothing(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(self: StoreWriter, data: bytes) -> None:
            with explained(Path("cache")):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(StoreWriter, "write", full)
        with pytest.raises(CannotWrite, match="No space left on device"):
            read_contents(HELLO, EVERYTHING, store)
        assert store.usage().total_bytes == 0

    def test_a_cancelled_read_stops_and_leaves_nothing(self, store: Store) -> None:
        cancel = CancelToken()
        cancel.cancel()
        with pytest.raises(Interrupted):
            read_contents(HELLO, EVERYTHING, store, cancel=cancel)
        assert store.usage().total_bytes == 0


class TestSelecting:
    @pytest.fixture
    def hello(self, store: Store) -> PackageContents:
        return read_contents(HELLO, NOTHING, store)

    def test_paths_parents_and_globs_that_name_nothing_are_told(
        self, hello: PackageContents
    ) -> None:
        found = select_paths(hello, ["/usr/bin/h?", "/usr/share/hello/", "/usr/lib/**"])
        assert found.paths == (b"usr/bin/hi", b"usr/share/hello")
        assert found.parents == (b"usr", b"usr/bin", b"usr/share")
        assert found.unmatched == ("/usr/lib/**",)

    def test_a_path_that_several_globs_name_is_there_once(self, hello: PackageContents) -> None:
        found = select_paths(hello, ["/usr/bin/*", "/usr/bin/hello"])
        assert found.paths == (b"usr/bin/hello", b"usr/bin/hey", b"usr/bin/hi")
        assert found.unmatched == ()


def test_broken_lines_of_md5sums_are_passed_over(store: Store) -> None:
    sums = f"{'0a' * 16}  ./usr/a\n{'0b' * 16} usr/b\nshort  usr/c\n\n{'0c' * 16}  usr/d e\n"
    control = tar({"control": control_text("a", "1", "all"), "md5sums": sums})
    package = ar(
        [
            ("debian-binary", b"2.0\n"),
            ("control.tar", control),
            ("data.tar.gz", compress(tar({}), "gz")),
        ]
    )
    found = read_contents(BytesBlob(package), NOTHING, store)
    assert found.md5sums == {b"usr/a": "0a" * 16, b"usr/d e": "0c" * 16}


def test_every_blob_has_the_digest_of_its_bytes(store: Store) -> None:
    for blob in read_contents(HELLO, EVERYTHING, store).blobs.values():
        data = blob.open().read()
        assert (blob.digest, blob.size) == (Digest.of(data), len(data))
