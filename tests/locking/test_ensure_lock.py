"""What a build begins with: the lockfile that is there, or a new one, and all its packages."""

from __future__ import annotations

import ast
import errno
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from builders.archive import DATE, serve
from builders.deb import deb
from builders.locking import World, versions
from builders.recipe import catalog
from homeport.content.digest import Digest
from homeport.content.files import CannotWrite
from homeport.content.store import Store
from homeport.debian.archive.index_fetch import NotCached
from homeport.debian.archive.mirror import open_mirror
from homeport.debian.archive.mirror_list import Mirrors
from homeport.debian.archive.package_fetch import PackageGone
from homeport.errors import HomeportError, OutOfDate, UsageError
from homeport.locking.archive_access import ArchiveAccess
from homeport.locking.ensure_lock import ensure_lock
from homeport.locking.lock_paths import lock_paths
from homeport.locking.staleness import stale_reasons
from homeport.locking.update_policy import UPDATE_ALL, UpdatePolicy
from homeport.net.client import Client, Settings
from homeport.progress import CancelToken
from homeport.recipe.lock.reading import read_lockfile
from homeport.recipe.lock.writing import write_lockfile

LATER = DATE + timedelta(days=1)
TEXT = "packages: [app]"


def package(name: str, version: str = "1.0-1", **more: str) -> bytes:
    return deb(name, version, files={f"usr/bin/{name}": version.encode()}, **more)


def world_of(tmp_path: Path, *packages: bytes) -> World:
    return World(tmp_path, packages or [package("app"), package("lib1")])


def forget(world: World) -> None:
    """A machine that has never seen this archive."""
    shutil.rmtree(world.store.root, ignore_errors=True)
    world.store = Store(world.root / "cache")


def test_without_a_lockfile_one_is_written_beside_the_recipe(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    prepared = world.ensure_lock(TEXT)
    assert prepared.path == world.home / "test.lock"
    assert prepared.reason == "missing"
    assert read_lockfile(prepared.path) == prepared.lockfile
    assert [blob.size for blob in prepared.debs.values()] == [len(package("app"))]
    assert any(line.startswith(f"wrote {prepared.path}") for line in world.notes.lines)


def test_a_lockfile_that_answers_the_recipe_needs_no_index(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.ensure_lock(TEXT)
    forget(world)
    world.archive.lose("dists/*")
    prepared = world.ensure_lock(TEXT, frozen=True)
    assert prepared.locked is None
    assert len(prepared.debs) == 1


def test_only_packages_of_the_wanted_platforms_are_fetched(tmp_path: Path) -> None:
    world = world_of(
        tmp_path,
        *(deb("app", "1", name, files={"a": name.encode()}) for name in ("amd64", "arm64")),
    )
    text = "platforms: [linux/amd64, linux/arm64]\npackages: [app]"
    world.ensure_lock(text)
    asked = world.recipe(text)
    prepared = world.ensure_lock(asked, platforms=asked.platforms[:1])
    assert [file.id.architecture for file in prepared.debs] == ["amd64"]
    assert len(prepared.lockfile.platforms) == 2


@pytest.mark.parametrize(
    ("text", "difference"),
    [
        ("packages: [app, lib1]", "lib1 is not locked"),
        ("packages: [app]\nplatforms: [linux/amd64, linux/s390x]", "linux/s390x is not locked"),
        ("packages: [app]\nplatforms: [linux/s390x]", "linux/s390x is not locked"),
        (
            "packages: [app_bin]",
            "versions, archives, pins, programs or steps of the recipe have changed",
        ),
        (
            "packages: ['app=1.0-1']",
            "versions, archives, pins, programs or steps of the recipe have changed",
        ),
        ("packages: [app]\nname: other", "the lockfile belongs to the recipe test, not to other"),
    ],
)
def test_what_recipe_and_lockfile_disagree_about_is_said(
    tmp_path: Path, text: str, difference: str
) -> None:
    world = world_of(tmp_path)
    world.slices("app", "bin: {paths: [/usr/bin/app]}")
    lockfile = world.lock(TEXT).lockfile
    assert stale_reasons(world.recipe(TEXT), lockfile) == ()
    assert difference in stale_reasons(world.recipe(text), lockfile)


def test_a_slice_that_is_defined_otherwise_is_a_disagreement(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.slices("app", "bin: {paths: [/usr/bin/app]}")
    lockfile = world.lock("packages: [app_bin]").lockfile
    world.slices("app", "bin: {about: other words, paths: [/usr/bin/app]}")
    assert stale_reasons(world.recipe("packages: [app_bin]"), lockfile) == ()
    world.slices("app", "bin: {paths: [/usr/bin/*]}")
    assert stale_reasons(world.recipe("packages: [app_bin]"), lockfile) == (
        "the slice app_bin has a new definition",
    )


@pytest.mark.parametrize(
    "text",
    [
        "packages: [app]\nfiles: [{text: x, to: /x}]",
        "packages: [app]\nconfig: {env: {A: b}}",
        "packages: [app]\nsteps: {tmp: false, os_release: false}",
        "packages: [app]\nsummary: other words",
        "packages: [app]\naccounts: {users: [{name: a, uid: 7}]}",
    ],
)
def test_what_is_no_question_of_packages_is_no_disagreement(tmp_path: Path, text: str) -> None:
    world = world_of(tmp_path)
    lockfile = world.lock(TEXT).lockfile
    assert stale_reasons(world.recipe(text), lockfile) == ()


def test_when_they_disagree_only_what_changed_is_resolved_again(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.ensure_lock(TEXT)
    world.now = LATER
    world.publish([package("app"), package("app", "2"), package("lib1", "2")], date=LATER)
    prepared = world.ensure_lock("packages: [app, lib1]")
    assert prepared.reason == "disagrees"
    assert prepared.details == ("lib1 is not locked",)
    assert versions(prepared.lockfile) == {"app": "1.0-1", "lib1": "2"}


def test_update_takes_the_newest_of_everything(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.ensure_lock(TEXT)
    world.now = LATER
    world.publish([package("app"), package("app", "2")], date=LATER)
    assert versions(world.ensure_lock(TEXT).lockfile) == {"app": "1.0-1"}
    prepared = world.ensure_lock(TEXT, update=UPDATE_ALL)
    assert versions(prepared.lockfile) == {"app": "2"}
    assert prepared.locked is not None
    assert [str(change) for change in prepared.locked.changes] == ["app 1.0-1 → 2 (linux/amd64)"]


@pytest.mark.parametrize("case", ["missing", "disagrees", "gone"])
def test_frozen_refuses_with_exit_code_4_and_writes_nothing(tmp_path: Path, case: str) -> None:
    world = world_of(tmp_path)
    if case != "missing":
        world.ensure_lock(TEXT)
    before = read_lockfile(world.home / "test.lock")
    if case == "gone":
        forget(world)
        world.archive.lose("pool/*/app_*")
    text = "packages: [app, lib1]" if case == "disagrees" else TEXT
    with pytest.raises(OutOfDate) as caught:
        world.ensure_lock(text, frozen=True)
    assert caught.value.exit_code == 4
    assert read_lockfile(world.home / "test.lock") == before


def test_a_file_that_is_gone_is_found_on_another_mirror(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.ensure_lock(TEXT)
    shutil.copytree(tmp_path / "mirror", tmp_path / "other")
    world.mirrors.append(str(tmp_path / "other"))
    world.archive.lose("pool/*")
    forget(world)
    assert world.ensure_lock(TEXT, frozen=True).locked is None


def test_a_file_that_is_gone_is_found_in_the_snapshot_of_the_locked_date(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.ensure_lock(TEXT)
    shutil.copytree(tmp_path / "mirror", tmp_path / "snapshot/test/20260110T120000Z")
    world.snapshots = [f"file://{tmp_path}/snapshot/{{archive}}/{{timestamp}}"]
    world.archive.lose("pool/*")
    forget(world)
    assert world.ensure_lock(TEXT, frozen=True).locked is None


def test_what_nobody_has_any_more_locks_the_whole_recipe_again(tmp_path: Path) -> None:
    world = world_of(tmp_path, package("app", depends="lib1"), package("lib1"))
    old = world.ensure_lock(TEXT).lockfile
    world.now = LATER
    world.publish(
        [package("app", depends="lib1"), package("app", "2", depends="lib1"),
         package("lib1", "2"), package("lib1")],
        date=LATER,
    )  # fmt: skip
    world.archive.lose("pool/*/app_1.0*")
    forget(world)
    prepared = world.ensure_lock(TEXT)
    assert (prepared.reason, prepared.details) == ("gone", ("app 1.0-1",))
    # Never part by part: lib1 1.0-1 could still be had, and would be of another state.
    assert versions(prepared.lockfile) == {"app": "2", "lib1": "2"}
    assert prepared.locked is not None
    assert prepared.locked.previous == old
    said = "\n".join(world.notes.lines)
    assert "no mirror has some locked packages of test any more" in said
    assert "locking test again as a whole" in said
    assert "app 1.0-1 → 2" in said


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize(
    "snapshot",
    ["file:///nonexistent/{archive}/{timestamp}", "http://127.0.0.1:1/{archive}/{timestamp}"],
)
def test_a_snapshot_archive_that_cannot_be_reached_does_not_hide_that_a_package_is_gone(
    tmp_path: Path, snapshot: str, frozen: bool
) -> None:
    world = world_of(tmp_path)
    world.ensure_lock(TEXT)
    path = world.home / "test.lock"
    old = path.read_bytes()
    world.snapshots = [snapshot]
    world.now = LATER
    world.publish([package("app", "2")], date=LATER)
    world.archive.lose("pool/*/app_1.0*")
    forget(world)
    if frozen:
        with pytest.raises(
            OutOfDate, match=r"no mirror has some locked packages.*app 1\.0-1"
        ) as caught:
            world.ensure_lock(TEXT, frozen=True)
        assert caught.value.exit_code == 4
        assert "locking" not in caught.value.what
        assert path.read_bytes() == old
        return
    prepared = world.ensure_lock(TEXT)
    assert (prepared.reason, versions(prepared.lockfile)) == ("gone", {"app": "2"})
    assert len(prepared.debs) == 1
    new = path.read_bytes()
    assert world.notes.lines[-1] == f"wrote {path} ({Digest.of(old)} → {Digest.of(new)})"


def test_a_state_of_old_takes_from_the_snapshot_what_its_mirror_has_deleted(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    shutil.copytree(tmp_path / "mirror", tmp_path / "snapshot/test/20260110T120000Z")
    world.snapshots = [str(tmp_path / "snapshot")]
    world.archive.lose("pool/*")
    assert versions(world.lock(TEXT, as_of=DATE).lockfile) == {"app": "1.0-1"}


def test_the_date_that_is_locked_already_locks_nothing_again_and_another_does(
    tmp_path: Path,
) -> None:
    world = world_of(tmp_path)
    first = world.ensure_lock(TEXT, as_of=DATE)
    assert first.lockfile.as_of == DATE
    again = world.ensure_lock(TEXT, as_of=DATE, frozen=True)
    assert (again.reason, again.lockfile) == (None, first.lockfile)
    assert world.ensure_lock(TEXT, frozen=True).reason is None
    world.now = LATER
    with pytest.raises(OutOfDate):
        world.ensure_lock(TEXT, as_of=LATER, frozen=True)
    later = world.ensure_lock(TEXT, as_of=LATER)
    assert (later.reason, later.lockfile.as_of) == ("update", LATER)


def test_a_mirror_that_lacks_what_it_lists_is_not_a_reason_to_lock_again(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.archive.lose("pool/*")
    with pytest.raises(PackageGone) as caught:
        world.lock(TEXT)
    assert str(caught.value.hint).startswith("its archive lists it: use another --mirror")


@pytest.mark.parametrize("others", [True, False])
def test_while_a_mirror_does_not_answer_nothing_is_concluded(tmp_path: Path, others: bool) -> None:
    """It may have what the others lack."""
    world = world_of(tmp_path)
    world.ensure_lock(TEXT)
    world.mirrors = [str(tmp_path / "absent"), *(world.mirrors if others else ())]
    world.archive.lose("pool/*")
    forget(world)
    with pytest.raises(HomeportError) as caught:
        world.ensure_lock(TEXT)
    assert caught.value.id == "mirror-unreachable"


def test_a_mirror_that_fails_is_not_taken_for_one_that_lacks_the_file(tmp_path: Path) -> None:
    """A wrong size is damage, no news about what there is: nothing is locked again."""
    world = world_of(tmp_path)
    world.ensure_lock(TEXT)
    (path,) = (tmp_path / "mirror/pool").rglob("app_*.deb")
    path.write_bytes(b"short")
    forget(world)
    with pytest.raises(HomeportError) as caught:
        world.ensure_lock(TEXT)
    assert not isinstance(caught.value, PackageGone | OutOfDate)
    assert str(caught.value.where["package"]).startswith("app ")


def test_offline_uses_the_cache_alone(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.ensure_lock(TEXT)
    world.archive.lose("*")
    world.offline = True
    assert len(world.ensure_lock(TEXT).debs) == 1
    assert world.lock(TEXT).lockfile == read_lockfile(world.home / "test.lock")
    forget(world)
    with pytest.raises(NotCached):
        world.ensure_lock(TEXT)


def test_a_cut_download_is_resumed_and_the_lock_goes_on(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.ensure_lock(TEXT)
    forget(world)
    cancel = CancelToken()
    with serve(tmp_path / "mirror") as server:
        server.fault("*.deb", cut=100, times=1)
        client = Client(Settings(), cancel=cancel)
        with world.access() as access:
            asked = world.recipe(TEXT)
            mirror = open_mirror(server.url, client)
            over_http = replace(access, mirrors=Mirrors(by_archive={"test": (mirror,)}))
            prepared = ensure_lock(
                asked, world.lock_paths(asked), world.store, lambda: over_http, frozen=True
            )
        client.close()
    assert len(prepared.debs) == 1


def test_the_catalogs_lockfile_is_read_but_never_written(tmp_path: Path) -> None:
    """The working directory's wins, and is where a new one goes."""
    world = world_of(tmp_path)
    folder = catalog(tmp_path)
    world.home = folder.directory / "test"
    world.home.mkdir(parents=True)
    (world.home / "key.asc").write_bytes(world.archive.certificate)
    asked = world.recipe(TEXT)
    shipped, here = world.home / "test.lock", tmp_path / "work" / "test.lock"
    here.parent.mkdir()
    paths = lock_paths(asked, folder, here.parent)
    assert (paths.read, paths.write) == ((here, shipped), here)
    assert paths.find() is None
    lockfile = world.lock(asked).lockfile
    write_lockfile(lockfile, shipped)
    found = paths.find()
    assert found is not None
    assert found.path == shipped
    write_lockfile(lockfile, here)
    found = paths.find()
    assert found is not None
    assert found.path == here


def test_the_users_own_place_counts_alone(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    asked = world.recipe(TEXT)
    mine = tmp_path / "x.lock"
    paths = lock_paths(asked, catalog(tmp_path), tmp_path, file=mine)
    assert (paths.read, paths.write) == ((mine,), mine)


def test_a_lockfile_with_faults_is_not_silently_written_over(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    path = world.home / "test.lock"
    path.write_text("{}")
    with pytest.raises(HomeportError) as caught:
        world.ensure_lock(TEXT)
    assert caught.value.id == "lockfile"
    assert path.read_text() == "{}"


def test_while_the_cache_has_everything_no_archive_is_opened(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.ensure_lock(TEXT)
    asked = world.recipe(TEXT)

    def never() -> ArchiveAccess:
        raise AssertionError("an archive was opened")

    prepared = ensure_lock(asked, world.lock_paths(asked), world.store, never)
    assert len(prepared.debs) == 1


def test_preparing_loads_no_network_code_before_it_is_needed() -> None:
    code = "import sys, homeport.locking.ensure_lock; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(done.stdout))
    assert loaded.isdisjoint({"homeport.net.client", "homeport.locking.fetching"})


def test_an_update_of_a_package_that_is_not_locked_is_told_its_near_name(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.ensure_lock(TEXT)
    with pytest.raises(UsageError) as caught:
        world.ensure_lock(TEXT, update=UpdatePolicy(names=frozenset({"ap"})))
    assert caught.value.hint == "did you mean app?"


def test_when_the_disk_is_full_the_old_lockfile_stays_and_nothing_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real write, with the file system refusing to sync it."""
    world = world_of(tmp_path)
    world.ensure_lock(TEXT)
    before = (world.home / "test.lock").read_bytes()
    world.ensure_lock("packages: [app, lib1]", platforms=())  # whatever else is written is written
    (world.home / "test.lock").write_bytes(before)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("homeport.content.files.os.fsync", full)
    with pytest.raises(CannotWrite) as caught:
        world.ensure_lock("packages: [app, lib1]")
    monkeypatch.undo()
    assert "No space left on device" in caught.value.what
    assert (world.home / "test.lock").read_bytes() == before
    assert [path.name for path in world.home.iterdir() if path.name.startswith(".")] == []
    assert versions(world.ensure_lock("packages: [app, lib1]").lockfile).keys() == {"app", "lib1"}


def test_locking_again_without_a_change_writes_no_byte_and_says_so(tmp_path: Path) -> None:
    world = World(tmp_path, [deb("hello", files={"usr/bin/hello": b"x"})])
    path = world.ensure_lock("packages: [hello]").path
    os.utime(path, (1, 1))
    again = world.ensure_lock("packages: [hello]", update=UPDATE_ALL)
    assert (again.written, path.stat().st_mtime) == (False, 1)
    assert world.notes.lines[-1] == f"{path}: nothing changed"


def test_changes_are_told_unless_the_commands_answer_has_them(tmp_path: Path) -> None:
    world = World(tmp_path, [deb("hello", files={"usr/bin/hello": b"x"})])
    world.ensure_lock("packages: [hello]")
    for number, tell in ((2, True), (3, False)):
        world.publish([deb("hello", f"{number}", files={"usr/bin/hello": b"y"})])
        world.notes.lines.clear()
        world.ensure_lock("packages: [hello]", update=UPDATE_ALL, tell=tell)
        assert any(f"→ {number}" in line for line in world.notes.lines) == tell
