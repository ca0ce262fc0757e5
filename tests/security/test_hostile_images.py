"""Images of a few kilobytes that describe exabytes, millions of directories, or endless work.

Each is stopped by the budget, or costs in proportion to its size; growth is counted at two sizes.
"""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, SupportsIndex

import msgspec
import pytest

from builders.growth import lines_run, peak_memory
from builders.images import Layer
from builders.inspection import (
    Member,
    file,
    hardlink,
    history,
    layer,
    listing,
    opened,
    symlink,
    tar,
    whiteout,
)
from homeport.budget import LimitExceeded, limits_set
from homeport.cli.inspect_text import files_text
from homeport.content.blob import BytesBlob
from homeport.copying.rooted import RootedDirectory
from homeport.inspection.image.base_image import find_base
from homeport.inspection.image.extraction import extract, select_paths
from homeport.inspection.image.file_listing import final_rows, list_files
from homeport.inspection.image.path_globs import Glob
from homeport.inspection.report.builder import report_image
from homeport.inspection.report.diffing import diff_images, text_diff
from homeport.layers.listing import Hashed, list_layer
from homeport.layers.overlay import stack
from homeport.oci.documents import History as HistoryEntry
from homeport.progress import CancelToken

MILLION = 1_000_000


def pax(records: dict[str, str], *members: Member) -> list[bytes]:
    """Blocks of a tar: a pax header of these records before each member."""
    body = b"".join(_record(f" {key}={value}\n".encode()) for key, value in records.items())
    info = tarfile.TarInfo("pax")
    info.type, info.size = b"x", len(body)
    header = info.tobuf(tarfile.USTAR_FORMAT) + body + bytes(-len(body) % 512)
    return [
        header + each.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)
        for each, data in members
    ]


def _record(rest: bytes) -> bytes:
    size = len(rest) + 1
    while len(str(size)) + len(rest) != size:
        size = len(str(size)) + len(rest)
    return str(size).encode() + rest


def at_path(path: str) -> bytes:
    return pax({"path": path}, file("x", b""))[0]


def packed(*blocks: bytes) -> Layer:
    plain = b"".join([*blocks, bytes(1024)])
    return Layer(gzip.compress(plain, mtime=0), plain)


def sparse(size: int) -> Layer:
    """A file of ``size`` bytes that is one hole (GNU sparse format 1.0)."""
    records = {
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s",
        "GNU.sparse.realsize": str(size),
    }  # fmt: skip
    return packed(*pax(records, file("s", b"0\n".ljust(512, b"\0"))))


def grows(cost: Callable[[int], int], size: int) -> float:
    """How much more twice the size costs."""
    return cost(2 * size) / cost(size)


# -- holes


class Untouched(Hashed):
    def large(self, path: bytes, size: int, read: Callable[[int], bytes]) -> tuple[bytes, bytes]:
        raise AssertionError("the content of a hole was read")


@pytest.mark.parametrize("size", [1 << 31, 1 << 40, (1 << 63) - 1])
def test_a_hole_beyond_the_limit_is_refused_before_it_is_read(size: int) -> None:
    with pytest.raises(LimitExceeded, match=r"more than 1\.07 GB of content") as caught:
        list_layer(BytesBlob(sparse(size).data), Untouched(), CancelToken())
    assert caught.value.hint == "if you trust it, raise the limit: --limit ratio=11000"


def test_many_holes_count_together() -> None:
    one = sparse(1 << 29)
    several = packed(*[one.plain[:-1024]] * 3)
    with pytest.raises(LimitExceeded, match="of content"):
        list_layer(BytesBlob(several.data), _OnlyTwo(), CancelToken())


class _OnlyTwo(Hashed):
    seen = 0

    def large(self, path: bytes, size: int, read: Callable[[int], bytes]) -> tuple[bytes, bytes]:
        self.seen += 1
        assert self.seen <= 2
        return bytes(32), bytes(4)


# -- directories


@pytest.mark.parametrize("components", [129, 2000])
def test_a_path_deeper_than_the_limit_is_refused(components: int) -> None:
    with pytest.raises(LimitExceeded, match="layer 0: more than 128 levels of nesting"):
        opened(packed(at_path("a/" * (components - 1) + "f")))


def test_a_path_that_becomes_too_deep_through_a_link_is_refused() -> None:
    way = "/".join("a" * 100)
    with pytest.raises(LimitExceeded, match="the image: more than 128 levels of nesting"):
        opened(packed(at_path(f"{way}/f")), layer(symlink("l", way), file("l/" + "b/" * 50 + "f")))


def test_implied_directories_count_as_entries_with_their_paths() -> None:
    """A path of 4,000 bytes implies 100 directories whose paths have 200 kB together."""
    chains = [at_path(f"{number}/" + ("x" * 39 + "/") * 99 + "f") for number in range(50)]
    listed = [listing(packed(*chains))]
    with limits_set(["path_bytes=5000000"]), pytest.raises(LimitExceeded, match="of paths"):
        stack(listed)
    with limits_set(["entries=3000"]), pytest.raises(LimitExceeded, match="3,000 entries"):
        stack(listed)
    with limits_set(["memory=5000000"]), pytest.raises(LimitExceeded, match="of metadata"):
        stack(listed)


def test_the_memory_for_nested_directories_does_not_grow_past_the_limit() -> None:
    def cost(chains: int) -> int:
        blocks = [at_path(f"{number}/" + ("x" * 39 + "/") * 99 + "f") for number in range(chains)]
        one = packed(*blocks)

        def call() -> None:
            with limits_set(["path_bytes=2000000"]), pytest.raises(LimitExceeded):
                history(one)

        return peak_memory(call)

    assert cost(400) < cost(40) + 4 * MILLION


def test_links_between_deep_paths_do_not_make_them_be_followed_anew() -> None:
    def cost(number: int) -> int:
        blocks = [
            block
            for each in range(number)
            for block in (tar(symlink(f"l{each}", "a"))[:512], at_path("a/" * 100 + f"{each:05}"))
        ]
        listed = [listing(packed(*blocks))]
        return lines_run(lambda: stack(listed))

    assert grows(cost, 100) < 2.2
    assert cost(200) < 200 * 200


def test_a_link_on_the_way_still_counts_from_its_moment_on() -> None:
    found = history(
        layer(file("a/x"), symlink("b", "nowhere"), file("b/y"), whiteout("never/z")),
        layer(symlink("never", "a"), file("never/w"), symlink("c", "never"), file("c/v")),
        layer(file("never", b"file"), file("c/u")),
    )
    assert b"a/w" in found.final
    assert b"a/v" in found.final
    assert found.final[b"never"].entry.kind == "file"
    assert found.error == "never is not a directory, but c/u is below it"


def test_resolving_links_with_long_targets_is_bounded_for_the_whole_image() -> None:
    """Each link leads through all others by a target of 2,000 components."""
    way = "/".join(["."] * 2000)
    links = [
        block
        for each in range(200)
        for block in pax(
            {"linkpath": f"{way}/l{each + 1}"}, symlink(f"l{each}", "x"), symlink(f"m{each}", "x")
        )
    ]
    image = opened(packed(*links))
    lines = lines_run(lambda: [image.history.resolve(b"l0"), image.history.resolve(b"l100")])
    assert lines < 100_000
    with limits_set(["steps=500"]), pytest.raises(LimitExceeded, match="500 steps of work"):
        report_image(opened(layer(*(symlink(f"s{n}", f"a/b/c/{n}") for n in range(500)))))


def test_the_target_of_a_link_is_cut_where_linux_ends() -> None:
    image = opened(packed(*pax({"linkpath": "t" * 100_000}, symlink("l", "x"))))
    assert len(image.history.final[b"l"].entry.target) == 4096
    assert "1 name outside the root or too long" in image.listings[0].anomalies[0]


# -- what an image costs in all


def test_all_layers_of_an_image_share_one_budget() -> None:
    """A layer of two entries is within the limit, three such layers are not."""
    layers = [layer(file(f"a{n}"), file(f"b{n}")) for n in range(3)]
    with limits_set(["entries=5"]):
        opened(*layers[:2])
        with pytest.raises(LimitExceeded, match="the image: more than 5 entries"):
            opened(*layers)


def test_package_databases_that_stay_in_memory_count() -> None:
    big = b"Package: a\n" * 100_000
    with limits_set(["memory=2000000"]):
        opened(layer(file("var/lib/dpkg/status", big)))
        with pytest.raises(LimitExceeded, match=r"the image: more than 2\.00 MB of metadata"):
            opened(layer(file("var/lib/dpkg/status", big)), layer(file("etc/passwd", b"x" + big)))


class Counted(tuple[HistoryEntry, ...]):
    """A history that counts how many of its entries are copied by slices."""

    __slots__ = ()
    copied = 0

    def __getitem__(self, at: SupportsIndex | slice) -> Any:
        if isinstance(at, slice):
            Counted.copied += len(range(*at.indices(len(self))))
        return super().__getitem__(at)


def test_a_long_history_is_read_once() -> None:
    image = opened(layer(file("a")))
    entries = Counted(HistoryEntry(created_by=f"RUN {n}", empty_layer=True) for n in range(3000))
    config = msgspec.structs.replace(image.config, history=entries)
    Counted.copied = 0
    find_base(msgspec.structs.replace(image, config=config))
    report_image(msgspec.structs.replace(image, config=config))
    assert Counted.copied < 100


@pytest.mark.parametrize("seconds", ["-999999999999999999", "999999999999999999"])
def test_times_outside_of_every_calendar_are_cut(seconds: str) -> None:
    image = opened(packed(*pax({"mtime": seconds}, file("a"))))
    report = report_image(image)
    assert report.layers[0].anomalies == ("1 time outside 1677 to 2262",)
    rows = list_files(image)
    assert json.loads(msgspec.json.encode(rows))["files"][0]["path"] == "/a"
    assert len(list(files_text(final_rows(image.history, None)))) == 1
    assert diff_images(image, opened(layer(file("a"))), times=True).files[0].change == "time"


# -- extraction


def test_choosing_paths_costs_in_proportion_to_their_number(tmp_path: Path) -> None:
    def cost(number: int) -> int:
        image = opened(layer(*(file(f"d{each % 10}/x{each:04}") for each in range(number))))
        return lines_run(lambda: select_paths(image, ["x*", "d*"]))

    assert grows(cost, 500) < 2.2


@pytest.mark.parametrize("pattern", [b"*a*a*a*a*b", b"**/a/**/a/**/b", b"*?*?*?b", b"**a**a**b"])
def test_a_glob_is_matched_in_linear_time(pattern: bytes) -> None:
    def cost(size: int) -> int:
        glob = Glob(pattern)
        path = b"a/" * size if b"/" in pattern else b"a" * size
        assert not glob.matches(path)
        return lines_run(lambda: glob.matches(path))

    assert grows(cost, 500) < 2.2


def test_names_of_one_file_are_one_file_again(tmp_path: Path) -> None:
    image = opened(
        layer(file("d/big", bytes(8 * MILLION)), *(hardlink(f"l{n}", "d/big") for n in range(20)))
    )
    peak = peak_memory(lambda: extract(image, select_paths(image, ["/"]), tmp_path / "out"))
    assert peak < 4 * MILLION
    status = (tmp_path / "out/d/big").stat()
    assert status.st_nlink == 21
    assert (tmp_path / "out/l7").stat().st_ino == status.st_ino
    found = extract(image, select_paths(image, ["l*"]), tmp_path / "links")
    assert (found.files, found.size) == (20, 8 * MILLION)


def test_where_hard_links_are_not_possible_names_are_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(RootedDirectory, "create_hardlink", none)
    image = opened(layer(file("a", b"content", mode=0o750), hardlink("b/c", "a")))
    found = extract(image, select_paths(image, ["/"]), tmp_path / "out")
    assert (tmp_path / "out/b/c").read_bytes() == b"content"
    assert (tmp_path / "out/b/c").stat().st_mode & 0o777 == 0o750
    assert found.size == 14


def test_files_of_one_deep_directory_open_its_path_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    real = RootedDirectory.open_directory

    def counting(self: RootedDirectory, name: bytes) -> RootedDirectory:
        nonlocal calls
        calls += 1
        return real(self, name)

    monkeypatch.setattr(RootedDirectory, "open_directory", counting)
    deep = "d/" * 120
    image = opened(layer(*(file(f"{deep}{number}") for number in range(100))))
    extract(image, select_paths(image, ["/"]), tmp_path / "out")
    assert calls < 600


def test_a_path_beyond_all_open_handles_is_extracted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homeport.inspection.image.extraction._MAX_OPEN", 3)
    names = ["a/b/c/d/e/f", "a/b/c/d/x/y", "a/b/g", "h"]
    image = opened(layer(*(file(name, name.encode()) for name in names)))
    extract(image, select_paths(image, ["/"]), tmp_path / "out")
    assert [(tmp_path / "out" / name).read_text() for name in names] == names
    handles = len(os.listdir("/proc/self/fd"))
    extract(image, select_paths(image, ["/"]), tmp_path / "again")
    assert len(os.listdir("/proc/self/fd")) == handles


# -- comparison


def test_texts_of_very_many_lines_are_not_compared_line_by_line() -> None:
    before = "".join(f"{n}\n" for n in range(5000)).encode()
    after = "".join(f"{n}\n" for n in reversed(range(5000))).encode()
    assert text_diff(before, after) == ("… 5000 lines → 5000 lines",)


def test_accounts_with_numbers_of_thousands_of_digits_are_no_accounts() -> None:
    """Python converts at most 4,300 digits."""
    passwd = b"a:x:" + b"9" * 5_000 + b":1::/:\n" + b":" * 100_000
    image = opened(layer(file("etc/passwd", passwd), file("etc/group", passwd)))
    assert report_image(image).packages == ()
