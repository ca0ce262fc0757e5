"""Files out of an image: what is written, and what never is."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path

import pytest

from builders.inspection import directory, file, hardlink, layer, member, opened, symlink, whiteout
from homeport.copying.rooted import RootedDirectory
from homeport.errors import UsageError
from homeport.inspection.image.extraction import (
    CannotExtract,
    extract,
    paths_below,
    select_paths,
    write_file,
)
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.image.path_search import PathNotFound


def tree_of(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"→ {os.readlink(path)}"
        elif path.is_file():
            found[name] = path.read_text()
    return found


def out(image: OpenedImage, folder: Path, *patterns: str) -> dict[str, str]:
    extract(image, select_paths(image, patterns), folder)
    return tree_of(folder)


def test_a_directory_comes_with_everything_in_it_from_all_layers(tmp_path: Path) -> None:
    image = opened(
        layer(directory("d"), file("d/a", b"old"), file("d/b", b"two"), file("e", b"no")),
        layer(file("d/a", b"new"), hardlink("d/same", "d/a"), symlink("d/link", "a")),
        layer(whiteout("d/b")),
    )
    assert out(image, tmp_path / "out", "/d") == {
        "d/a": "new", "d/link": "→ a", "d/same": "new",
    }  # fmt: skip


def test_a_glob_chooses_files(tmp_path: Path) -> None:
    image = opened(layer(file("u/a.so", b"1"), file("u/v/b.so", b"2"), file("u/c.txt", b"3")))
    assert out(image, tmp_path / "one", "/u/**/*.so") == {"u/a.so": "1", "u/v/b.so": "2"}
    assert out(image, tmp_path / "two", "*.txt") == {"u/c.txt": "3"}


def test_a_name_with_wildcards_is_a_path_where_paths_are_given(tmp_path: Path) -> None:
    image = opened(layer(file("a[1]*/b", b"1"), file("a1x/b", b"2")))
    assert paths_below(image, {b"a[1]*"}) == [b"a[1]*", b"a[1]*/b"]
    assert out(image, tmp_path / "out", "/a[[]1]*/b") == {"a[1]*/b": "1"}


def test_modes_are_kept_but_not_setuid_nor_owners(tmp_path: Path) -> None:
    image = opened(layer(file("a", b"1", mode=0o4755, uid=12345, gid=7)))
    out(image, tmp_path / "out", "a")
    status = (tmp_path / "out/a").stat()
    assert stat.S_IMODE(status.st_mode) == 0o755
    assert status.st_uid == os.geteuid()


def test_nothing_is_written_through_the_images_links(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    image = opened(
        layer(symlink("up", f"{tmp_path}/outside"), symlink("rel", "../outside")),
        layer(file("up/a", b"1"), file("rel/b", b"1")),
    )
    out(image, tmp_path / "out", "/")
    assert list((tmp_path / "outside").iterdir()) == []


def test_nothing_is_written_through_links_that_lie_in_the_directory(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/d").symlink_to(tmp_path / "outside")
    image = opened(layer(directory("d"), file("d/a", b"1")))
    with pytest.raises(CannotExtract, match=r"directory d: d exists and is not a directory$"):
        out(image, tmp_path / "out", "/d")
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        (errno.ENOSPC, "free some space there, then run the same command again"),
        (errno.EROFS, "choose a path on a writable filesystem"),
    ],
)
def test_a_place_that_takes_nothing_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int, hint: str
) -> None:
    def refused(*_: object) -> None:
        raise OSError(reason, os.strerror(reason))

    image = opened(layer(file("a", b"1")))
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(RootedDirectory, "create_file", refused)
    with pytest.raises(CannotExtract, match=f"cannot write to .*: {os.strerror(reason)}") as found:
        out(image, tmp_path / "out", "a")
    assert found.value.hint == hint


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with pytest.raises(CannotExtract, match=r"^cannot write a: the file exists$"):
        out(opened(layer(file("a", b"1"))), tmp_path, "a")
    assert (tmp_path / "a").read_text() == "mine"


def test_devices_are_left_out_and_named(tmp_path: Path) -> None:
    image = opened(layer(directory("dev"), member("dev/sda", b"4"), file("dev/x", b"1")))
    found = extract(image, select_paths(image, ["/dev"]), tmp_path / "out")
    assert found.skipped == ("/dev/sda: block",)


def test_one_file_goes_to_a_stream_through_links() -> None:
    image = opened(layer(file("usr/lib/os-release", b"ID=x\n"),
                         symlink("etc/os-release", "../usr/lib/os-release")))  # fmt: skip
    stream = io.BytesIO()
    assert write_file(image, "/etc/os-release", stream) == 5
    assert stream.getvalue() == b"ID=x\n"
    with pytest.raises(UsageError, match=r"^cannot write /etc to standard output: it is a"):
        write_file(image, "/etc", stream)


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("/l0/f9", "/l0/f1"),
        ("/l0/elsewhere", "/l0/f1, /l0/long"),
        ("/l0/lang/deep/x", "/l0/long"),
        ("/l1/f", "/l0"),
        ("/other/long", "/l0/long"),
    ],
)
def test_names_near_a_missing_path_come_for_short_names_and_missing_directories_too(
    asked: str, near: str
) -> None:
    image = opened(layer(directory("./"), file("l0/f1"), file("l0/long")))
    with pytest.raises(PathNotFound) as found:
        select_paths(image, [asked])
    assert found.value.hint == f"similar paths: {near}"


def test_a_path_that_is_not_there_names_its_neighbours_or_who_removed_it() -> None:
    image = opened(layer(file("usr/bin/copy"), file("d/x")), layer(whiteout("d")))
    with pytest.raises(PathNotFound) as near:
        select_paths(image, ["/usr/bin/cppy"])
    assert near.value.hint == "similar paths: /usr/bin/copy"
    with pytest.raises(PathNotFound, match=r"^/d/x was removed with /d by layer 1; it exists"):
        select_paths(image, ["/d/x"])
