"""The package database of an image, as scanners read it, and copyright files through links."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from builders.deb import Content, ar, compress, control_text, deb, link, tar
from homeport.content.blob import BytesBlob
from homeport.content.store import Store
from homeport.debian.deb.contents import PackageContents, read_contents
from homeport.debian.deb.path_globs import EVERYTHING
from homeport.debian.deb.status import (
    Copyright,
    find_copyright,
    md5sums,
    md5sums_path,
    status_path,
    status_stanza,
)
from homeport.debian.deb822 import parse_paragraph


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def read(store: Store, name: str, files: dict[str, Content], **more: object) -> PackageContents:
    package = deb(name, "1.0-1+b1", "amd64", files=files, **more)  # type: ignore[arg-type]  # passed on
    return read_contents(BytesBlob(package), EVERYTHING, store)


def test_the_stanza_is_the_control_file_byte_for_byte(store: Store) -> None:
    contents = read(store, "zlib1g", {}, fields={"Source": "zlib (1.0-1)"})
    stanza = status_stanza(contents)
    assert stanza == contents.control
    assert parse_paragraph(stanza).get("Source") == "zlib (1.0-1)"
    assert stanza.endswith(b"\n")
    assert b"\n\n" not in stanza


def test_the_files_are_named_after_the_package() -> None:
    assert status_path("zlib1g") == b"var/lib/dpkg/status.d/zlib1g"
    assert md5sums_path("zlib1g") == b"var/lib/dpkg/status.d/zlib1g.md5sums"


def test_md5sums_has_sorted_lines_for_kept_files_only(store: Store) -> None:
    files: dict[str, Content] = {"usr/b": "2", "usr/a": "1", "usr/c": "3", "usr/l": link("a")}
    contents = read(store, "a", files)
    kept = {path: path for path in (b"usr/b", b"usr/a", b"usr/l", b"usr")}
    assert md5sums(contents, kept) == (
        b"c4ca4238a0b923820dcc509a6f75849b  usr/a\nc81e728d9d4c2f636f067f89cc14862c  usr/b\n"
    )


def test_md5sums_names_the_place_in_the_image_where_usr_was_merged(store: Store) -> None:
    contents = read(store, "a", {"lib/a": "1"})
    assert md5sums(contents, {b"lib/a": b"usr/lib/a"}).endswith(b"  usr/lib/a\n")


def test_sums_are_computed_for_a_package_that_has_none_but_not_for_conffiles(store: Store) -> None:
    control = {"control": control_text("a", "1", "all"), "conffiles": "/etc/a\n"}
    package = ar(
        [
            ("debian-binary", b"2.0\n"),
            ("control.tar", tar(control)),
            ("data.tar.gz", compress(tar({"etc/a": "x", "usr/a": "1"}), "gz")),
        ]
    )
    contents = read_contents(BytesBlob(package), EVERYTHING, store)
    digits = hashlib.md5(b"1", usedforsecurity=False).hexdigest()
    kept = {b"etc/a": b"etc/a", b"usr/a": b"usr/a"}
    assert md5sums(contents, kept) == f"{digits}  usr/a\n".encode()


class TestCopyright:
    OWN = "usr/share/doc/a/copyright"

    def find(self, *packages: PackageContents) -> Copyright:
        others = {each.id.name: each for each in packages}
        return find_copyright(packages[0], others.get)

    def test_it_is_found_in_the_package_itself(self, store: Store) -> None:
        found = self.find(read(store, "a", {self.OWN: "free"}))
        assert found == Copyright(links=(), holder="a", path=self.OWN.encode())

    def test_it_is_found_through_a_directory_that_is_a_link_to_another_packages(
        self, store: Store
    ) -> None:
        a = read(store, "libgcc-s1", {"usr/share/doc/libgcc-s1": link("gcc-14-base")})
        b = read(store, "gcc-14-base", {"usr/share/doc/gcc-14-base/copyright": "free"})
        assert self.find(a, b) == Copyright(
            links=(("libgcc-s1", b"usr/share/doc/libgcc-s1"),),
            holder="gcc-14-base",
            path=b"usr/share/doc/gcc-14-base/copyright",
        )

    def test_it_is_found_through_a_file_that_is_a_link(self, store: Store) -> None:
        a = read(store, "a", {self.OWN: link("../b/copyright")})
        b = read(store, "b", {"usr/share/doc/b/copyright": "free"})
        assert self.find(a, b) == Copyright(
            links=(("a", self.OWN.encode()),), holder="b", path=b"usr/share/doc/b/copyright"
        )

    def test_it_is_found_through_several_absolute_links(self, store: Store) -> None:
        a = read(store, "a", {"usr/share/doc/a": link("/usr/share/doc/b")})
        b = read(store, "b", {"usr/share/doc/b": link("c")})
        c = read(store, "c", {"usr/share/doc/c/copyright": "free"})
        assert self.find(a, b, c) == Copyright(
            links=(("a", b"usr/share/doc/a"), ("b", b"usr/share/doc/b")),
            holder="c",
            path=b"usr/share/doc/c/copyright",
        )

    def test_the_package_that_should_be_asked_is_named_when_it_is_not_there(
        self, store: Store
    ) -> None:
        found = self.find(read(store, "a", {"usr/share/doc/a": link("gcc-14-base")}))
        assert (found.holder, found.missing) == (None, "gcc-14-base")

    @pytest.mark.parametrize("target", ["a", "../doc/a", "/etc/nothing", "copyright"])
    def test_links_that_lead_nowhere_end(self, store: Store, target: str) -> None:
        found = self.find(read(store, "a", {"usr/share/doc/a": link(target)}))
        assert found.holder is None

    def test_a_package_without_any_has_none(self, store: Store) -> None:
        found = self.find(read(store, "a", {}))
        assert (found.holder, found.missing, found.links) == (None, None, ())
