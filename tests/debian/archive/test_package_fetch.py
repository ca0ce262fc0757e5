"""Packages are fetched by their hash from wherever they still are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from builders.archive import DATE, Archive, archive, suite
from builders.deb import deb
from builders.opening import Notes, World
from homeport.content.blob import Blob
from homeport.content.thread_pools import Pools
from homeport.debian.archive.index_fetch import NotCached
from homeport.debian.archive.mirror_list import Mirrors
from homeport.debian.archive.package_fetch import PackageGone, fetch_packages
from homeport.debian.package import PackageFile
from homeport.net.errors import HttpFailure, Refused

HELLO = deb("hello", "1:1.0-1", "amd64")


@pytest.fixture
def debian(root: Path) -> Archive:
    return archive(root, [suite(packages=[HELLO, deb("other", "2")])])


@pytest.fixture
def file(debian: Archive, world: World) -> PackageFile:
    return world.open(debian).indexes["amd64"].named("hello")[0].file


def content(blob: Blob) -> bytes:
    with blob.open() as stream:
        return stream.read()


def test_a_package_comes_from_the_mirror_and_then_from_the_cache(
    debian: Archive, world: World, file: PackageFile
) -> None:
    with debian.serve() as server:
        mirrors = world.mirrors(server.url)
        for _ in range(2):
            blob = world.fetch(file, mirrors=mirrors)
            assert content(blob) == HELLO
        assert len(server.requests) == 1
    assert content(
        world.fetch(file, mirrors=mirrors, offline=True)
    ) == HELLO  # fmt: skip


def test_offline_a_package_that_the_cache_lacks_is_named(
    debian: Archive, world: World, file: PackageFile
) -> None:
    with pytest.raises(NotCached, match=r"hello 1:1\.0-1 amd64"):
        world.fetch(file, mirrors=Mirrors(by_archive={}), offline=True)


def test_a_package_that_one_mirror_has_deleted_is_taken_from_another(
    tmp_path: Path, debian: Archive, world: World, file: PackageFile
) -> None:
    other = archive(tmp_path / "other", [suite(packages=[HELLO])])
    debian.lose("pool/*hello*")
    mirrors = world.mirrors(debian.url, other.url)
    assert content(world.fetch(file, mirrors=mirrors)) == HELLO


def test_a_package_that_every_mirror_has_deleted_is_taken_from_a_snapshot(
    tmp_path: Path, debian: Archive, world: World, file: PackageFile
) -> None:
    archive(tmp_path / "snap" / "debian" / f"{DATE:%Y%m%dT%H%M%SZ}", [suite(packages=[HELLO])])
    debian.lose("pool/*hello*")
    template = (tmp_path / "snap").as_uri() + "/{archive}/{timestamp}"
    mirrors = world.mirrors(debian.url, snapshots=[template])
    with pytest.raises(PackageGone):
        world.fetch(file, mirrors=mirrors)
    blob = world.fetch(file, mirrors=mirrors, dates={"debian": DATE})
    assert content(blob) == HELLO


def test_a_security_update_is_found_where_the_point_release_put_it(
    tmp_path: Path, world: World
) -> None:
    security = archive(
        tmp_path / "security",
        [suite("trixie-security", packages=[HELLO], pool="pool/updates/main")],
    )
    state = world.open(security, archive="debian-security", suites=["trixie-security"])
    file = state.indexes["amd64"].named("hello")[0].file
    security.lose("pool/*")
    main = archive(tmp_path / "main", [suite(packages=[HELLO])])
    mirrors = Mirrors(
        by_archive={
            "debian-security": world.mirrors(security.url).of("debian"),
            "debian": world.mirrors(main.url).of("debian"),
        }
    )
    assert content(world.fetch(file, mirrors=mirrors)) == HELLO


def test_a_package_that_is_nowhere_is_gone_and_every_place_is_named(
    tmp_path: Path, debian: Archive, world: World, file: PackageFile
) -> None:
    debian.lose("pool/*hello*")
    mirrors = world.mirrors(debian.url, snapshots=["http://127.0.0.1:1/{archive}/{timestamp}"])
    with pytest.raises(PackageGone) as caught:
        world.fetch(file, mirrors=mirrors, dates={"debian": DATE})
    assert str(debian.root) in caught.value.what
    assert "127.0.0.1" in caught.value.what
    assert caught.value.where["package"] == "hello 1:1.0-1 amd64"
    assert caught.value.files == (file,)


def test_a_mirror_that_does_not_answer_is_not_taken_for_one_that_lacks_it(
    debian: Archive, world: World, file: PackageFile, make_world: Callable[..., World]
) -> None:
    with debian.serve() as server:
        url = server.url
        server.fault("*.deb", status=500)
        with pytest.raises(HttpFailure, match="500") as caught:
            world.fetch(file, mirrors=world.mirrors(url))
    assert "use another mirror" in str(caught.value.hint)
    later = make_world("later")
    with pytest.raises(Refused):
        later.fetch(file, mirrors=later.mirrors(url))


def test_a_snapshot_that_had_not_seen_the_release_yet_is_asked_for_the_day_after(
    tmp_path: Path, debian: Archive, world: World, file: PackageFile
) -> None:
    """One is made a few times a day: the last before the release's own date lacks what it added."""
    for moment, packages in ((DATE, []), (DATE + timedelta(days=1), [HELLO])):
        archive(tmp_path / f"debian/{moment:%Y%m%dT%H%M%SZ}", [suite(packages=packages)])
    debian.lose("pool/*hello*")
    mirrors = world.mirrors(debian.url, snapshots=[str(tmp_path)])
    assert content(world.fetch(file, mirrors=mirrors, dates={"debian": DATE})) == HELLO


def test_when_many_are_gone_former_states_are_asked_for_one_of_them(
    tmp_path: Path, debian: Archive, world: World
) -> None:
    index = world.open(debian).indexes["amd64"]
    files = [index.named(name)[0].file for name in ("hello", "other")]
    debian.lose("pool/*")
    empty = archive(tmp_path / "snapshots", [suite()])
    with empty.serve() as server:
        mirrors = world.mirrors(debian.url, snapshots=[server.url])
        with pytest.raises(PackageGone) as caught:
            fetch_packages(
                files, mirrors=mirrors, runtime=world.runtime,
                dates={"debian": DATE},
            )  # fmt: skip
        assert {path.rpartition("/")[2] for path, _ in server.requests} == {
            files[0].path.rpartition("/")[2]
        }
    assert caught.value.files == tuple(files)
    assert caught.value.what.startswith("hello 1:1.0-1 amd64, other 2 all are gone from ")


def test_many_packages_are_fetched_together_each_once(debian: Archive, world: World) -> None:
    index = world.open(debian).indexes["amd64"]
    files = [index.named(name)[0].file for name in ("hello", "other", "hello")]
    with debian.serve() as server:
        blobs = fetch_packages(files, mirrors=world.mirrors(server.url), runtime=world.runtime)
        assert len(server.requests) == 2
    assert content(blobs[files[0]]) == HELLO
    assert list(blobs) == files[:2]


class Shown(Notes):
    """Progress that keeps pieces of work whose id is ``packages``."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[object] = []

    def begin(self, id: str, **more: object) -> None:
        if id == "packages":
            self.seen.append((more["label"], more["total"]))

    def advance(self, id: str, n: int) -> None:
        if id == "packages":
            self.seen.append(n)

    def end(self, id: str, state: str = "done") -> None:
        if id == "packages":
            self.seen.append(state)


def test_packages_are_counted_as_they_come_the_largest_first_and_told_at_once(
    tmp_path: Path, world: World
) -> None:
    packages = [deb(name, "1", files={"x": "x" * 10**size}) for size, name in enumerate("abc", 3)]
    debian = archive(tmp_path / "three", [suite(packages=packages)])
    index = world.open(debian).indexes["amd64"]
    files = [index.named(name)[0].file for name in "abc"]
    world.fetch(files[0], mirrors=world.mirrors(debian.url))
    shown, told = Shown(), []
    with Pools(world.cancel, network=1) as pools:
        run = msgspec.structs.replace(world.runtime, progress=shown, pools=pools)
        found = fetch_packages(
            files, mirrors=world.mirrors(debian.url), runtime=run,
            on_found=lambda file, blob: told.append((file.id.name, blob.size)),
        )  # fmt: skip
    sizes = {file.id.name: file.size for file in files}
    assert list(found) == files
    assert told == sorted(sizes.items(), key=lambda each: -each[1])
    more = sorted((sizes["b"], sizes["c"]), reverse=True)
    assert shown.seen == [("fetch 2 packages", sum(more)), *more, "done"]
