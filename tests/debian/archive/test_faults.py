"""Whatever goes wrong on the way: a clear error, nothing half-kept, and a plain re-run succeeds."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from builders.archive import DATE, Archive, archive, new_key, suite
from builders.deb import deb
from builders.opening import World, new_world
from homeport.content.files import CannotWrite, explained
from homeport.content.store import StoreWriter
from homeport.debian.archive.index_fetch import MidSync
from homeport.debian.archive.mirror import HtmlResponse, NotOnMirror
from homeport.debian.archive.release import ReleaseNotYetValid
from homeport.debian.archive.release_errors import NoCompleteState
from homeport.debian.archive.signature import BadSignature, NotSigned
from homeport.debian.archive.state import ArchiveState
from homeport.debian.package import PackageFile
from homeport.errors import HomeportError, IntegrityError, Interrupted
from homeport.net.errors import ConnectionCut, Refused, Stalled

HELLO = deb("hello", "1.0-1", files={"usr/share/hello": os.urandom(200_000)})


@pytest.fixture
def debian(root: Path) -> Archive:
    return archive(root, [suite(packages=[HELLO])])


def works(state: ArchiveState) -> bool:
    return state.indexes["amd64"].named("hello")[0].id.version == "1.0-1"


def left_over(world: World) -> list[str]:
    """What a failed_search run has left in the cache besides whole content."""
    folder = world.store.root / "partial"
    return [path.name for path in folder.iterdir() if path.name.startswith("new-")]


def _prepend(path: Path, data: bytes) -> None:
    path.write_bytes(data + path.read_bytes())


def _append(path: Path, data: bytes) -> None:
    path.write_bytes(path.read_bytes() + data)


def _stale_detached(debian: Archive) -> None:
    """As seen on a real mirror: Release.gpg months older than Release."""
    debian.detach_signature("trixie")
    old = (debian.dists("trixie") / "Release.gpg").read_bytes()
    debian.publish(suite(packages=[HELLO], date=DATE + timedelta(hours=1)))
    (debian.dists("trixie") / "InRelease").unlink()
    (debian.dists("trixie") / "Release.gpg").write_bytes(old)


UNBELIEVABLE: list[tuple[str, Callable[[Archive], object], type[HomeportError], str]] = [
    ("unsigned", lambda a: a.unsign("trixie"), NotSigned, "not signed"),
    (
        "changed",
        lambda a: a.change_signed("trixie", b"Origin: Debian", b"Origin: Deviant"),
        BadSignature,
        "does not match the text",
    ),
    (
        "signed by a stranger",
        lambda a: a.sign_again("trixie", key=new_key()),
        BadSignature,
        "the suite trusts only",
    ),
    (
        "text before",
        lambda a: _prepend(a.dists("trixie") / "InRelease", b"Origin: Evil\n"),
        BadSignature,
        "text precedes",
    ),
    (
        "text after",
        lambda a: _append(a.dists("trixie") / "InRelease", b"Origin: Evil\n"),
        BadSignature,
        "text follows",
    ),
    (
        "cut",
        lambda a: os.truncate(a.dists("trixie") / "InRelease", 700),
        BadSignature,
        "not one complete signed message",
    ),
    (
        "a web page",
        lambda a: (a.dists("trixie") / "InRelease").write_bytes(b"<!DOCTYPE html><p>Log in"),
        HtmlResponse,
        "web page instead of",
    ),
    ("a stale Release.gpg", _stale_detached, BadSignature, "does not match the text"),
]


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [case[1:] for case in UNBELIEVABLE],
    ids=[case[0] for case in UNBELIEVABLE],
)
def test_a_release_file_that_cannot_be_believed_is_refused(
    debian: Archive,
    world: World,
    spoil: Callable[[Archive], object],
    kind: type[HomeportError],
    words: str,
) -> None:
    good = (debian.dists("trixie") / "InRelease").read_bytes()
    spoil(debian)
    with debian.serve() as server:
        with pytest.raises(kind, match=words) as caught:
            world.open(debian, server.url)
        assert caught.value.where["suite"] == "trixie"
        assert str(caught.value.where["file"]).startswith(f"{server.url}/dists/trixie/")
        debian.publish(suite(packages=[HELLO]))
        (debian.dists("trixie") / "InRelease").write_bytes(good)
        assert works(world.open(debian, server.url))


def test_a_mirror_that_cannot_be_believed_is_passed_over_for_the_next(
    tmp_path: Path, debian: Archive, world: World
) -> None:
    bad = archive(tmp_path / "bad", [suite(packages=[HELLO])])
    state = world.open(debian, bad.url, debian.url)
    assert works(state)
    assert state.suites[0].read_from.startswith(str(debian.root))


def test_an_index_that_was_changed_is_mid_sync_or_worse_and_is_never_read(
    debian: Archive, world: World
) -> None:
    for name in ("amd64", "arm64", "armhf"):
        debian.damage_index("trixie", name)
    with debian.serve() as server:
        with pytest.raises(NoCompleteState) as caught:
            world.open(debian, server.url)
        assert caught.value.where["architectures"] == "amd64 arm64 armhf"
        assert left_over(world) == []
        debian.publish(suite(packages=[HELLO]))
        assert works(world.open(debian, server.url))


def test_without_by_hash_the_plain_name_is_good_enough(debian: Archive, world: World) -> None:
    debian.without_by_hash("trixie")
    with debian.serve() as server:
        assert works(world.open(debian, server.url))
        assert server.asked("*/by-hash/*")


def test_by_hash_is_good_enough_while_the_plain_name_is_already_newer(
    debian: Archive, world: World
) -> None:
    with debian.serve() as server:
        server.fault("dists/*/Packages.*", body=b"the next state's")
        assert works(world.open(debian, server.url))


def test_an_index_that_is_no_package_index_inside_is_refused(root: Path, world: World) -> None:
    debian = archive(root, [suite(packages=[HELLO], architectures=("amd64",), forms=("",))])
    text = b"<html>\nsigned, and yet no index\n"
    release = debian.dists("trixie") / "Release"
    old = (debian.dists("trixie") / "main/binary-amd64/Packages").read_bytes()
    (debian.dists("trixie") / "main/binary-amd64/Packages").write_bytes(text)
    debian.without_by_hash("trixie")
    release.write_bytes(
        release.read_bytes()
        .replace(
            hashlib.sha256(old).hexdigest().encode(), hashlib.sha256(text).hexdigest().encode()
        )
        .replace(f"{len(old):8} ".encode(), f"{len(text):8} ".encode())
    )
    debian.sign_again("trixie")
    with pytest.raises(IntegrityError, match="names no package"):
        world.open(debian, architectures=["amd64"])
    assert left_over(world) == []


@pytest.mark.parametrize("over_http", [True, False])
def test_an_address_that_is_no_archive_is_told_as_such(
    debian: Archive, world: World, over_http: bool
) -> None:
    below = debian.root / "pool"
    with debian.serve() as server, pytest.raises(NotOnMirror) as caught:
        world.open(debian, f"{server.url}/pool" if over_http else str(below))
    assert "pool has no suite trixie: there is no InRelease and no Release" in caught.value.what
    assert "the folder which has dists/" in str(caught.value.hint)


@pytest.mark.parametrize("location", ["/nonexistent", "http://127.0.0.1:1/debian"])
def test_a_mirror_that_is_not_there_says_what_to_do_next(
    debian: Archive, world: World, location: str
) -> None:
    with pytest.raises(HomeportError) as caught:
        world.open(debian, location)
    assert caught.value.hint


def test_a_date_that_no_mirror_goes_back_to_tells_why_snapshots_did_not_help(
    debian: Archive, world: World
) -> None:
    with pytest.raises(ReleaseNotYetValid) as caught:
        world.open(
            debian, as_of=DATE - timedelta(days=9), snapshots=["http://127.0.0.1:1/snapshots"]
        )
    assert "give a later --as-of, or a snapshot archive" in str(caught.value.hint)
    assert "127.0.0.1 port 1" in str(caught.value.hint)


def test_a_mirror_that_is_down_is_named(debian: Archive, world: World) -> None:
    with debian.serve() as server:
        url = server.url
    with pytest.raises(Refused) as caught:
        world.open(debian, url)
    assert "127.0.0.1" in caught.value.what
    with debian.serve() as server:
        assert works(world.open(debian, server.url))


def test_a_mirror_that_is_down_is_passed_over_for_the_next(debian: Archive, world: World) -> None:
    with debian.serve() as server:
        url = server.url
    assert works(world.open(debian, url, debian.url))


def test_every_mirrors_reason_is_told_when_none_helps(
    tmp_path: Path, debian: Archive, world: World
) -> None:
    debian.unsign("trixie")
    with pytest.raises(NotSigned) as caught:
        world.open(debian, debian.url, str(tmp_path / "nowhere"))
    assert "there is no directory" in str(caught.value.hint)


def test_a_mirror_that_stalls_is_noticed_and_asked_again_a_few_times(
    debian: Archive, make_world: Callable[..., World]
) -> None:
    world = make_world("hurried", stall=0.05)
    with debian.serve() as server:
        fault = server.fault("dists/*/InRelease", stall=100)
        with pytest.raises(Stalled):
            world.open(debian, server.url)
        assert len(server.requests) == 4
        fault.times, fault.used = 1, 0
        assert works(world.open(debian, server.url))


@pytest.mark.parametrize("fault", [{"stall": 100}, {"stall": 0}, {"cut": 100}, {"status": 503}])
def test_a_mirror_in_trouble_is_asked_twice_at_most_while_there_is_another(
    debian: Archive, make_world: Callable[..., World], fault: dict[str, int]
) -> None:
    """Each silence costs a minute of the user's life."""
    world = make_world("hurried", stall=0.05)
    with debian.serve() as server:
        server.fault("dists/*/InRelease", **fault)
        assert works(world.open(debian, server.url, debian.url))
        assert 1 <= len(server.asked("*/InRelease")) <= 2


def test_a_mirror_that_is_silent_about_one_index_is_not_asked_for_its_other_forms(
    debian: Archive, make_world: Callable[..., World]
) -> None:
    world = make_world("hurried", stall=0.05)
    with debian.serve() as server:
        server.fault("*/by-hash/*", stall=0)
        with pytest.raises(Stalled):
            world.open(debian, server.url, architectures=["amd64"])
        assert len(server.fetched("*/by-hash/*")) == 4
        assert not server.asked("*/Packages.*")


def test_when_no_mirror_answers_at_once_each_is_asked_again_with_patience(
    debian: Archive, make_world: Callable[..., World]
) -> None:
    world = make_world("hurried", stall=0.05)
    with debian.serve() as server:
        server.fault("dists/*/InRelease", stall=100, times=4)
        assert works(world.open(debian, server.url, "/nonexistent"))


def test_a_release_file_that_is_cut_is_asked_for_again(debian: Archive, world: World) -> None:
    with debian.serve() as server:
        fault = server.fault("dists/*/InRelease", cut=100, times=2)
        assert works(world.open(debian, server.url))
        fault.times = 0
        with pytest.raises(ConnectionCut):
            world.open(debian, server.url)


def test_a_login_page_with_status_200_is_told_from_a_mirror(debian: Archive, world: World) -> None:
    with debian.serve() as server:
        fault = server.fault("*", body=b"<html>Please log in</html>", content_type="text/html")
        with pytest.raises(HtmlResponse, match="web page instead of"):
            world.open(debian, server.url)
        server.faults.remove(fault)
        assert works(world.open(debian, server.url))


@pytest.mark.parametrize("status", [403, 500, 503])
def test_a_mirror_that_refuses_is_no_mid_sync(debian: Archive, world: World, status: int) -> None:
    with debian.serve() as server:
        server.fault("dists/*/Packages*", status=status)
        server.fault("dists/*/by-hash/*", status=status)
        with pytest.raises(HomeportError, match=str(status)) as caught:
            world.open(debian, server.url)
        assert not isinstance(caught.value, MidSync)
        server.faults.clear()
        assert works(world.open(debian, server.url))


def test_a_full_disk_is_said_and_leaves_nothing_half_written(
    debian: Archive, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: StoreWriter, data: bytes | memoryview) -> None:
        with explained(self._path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(StoreWriter, "write", full)
        with pytest.raises(CannotWrite, match="No space left") as caught:
            world.open(debian)
    assert caught.value.hint == "free some space there, then run the same command again"
    assert left_over(world) == []
    assert works(world.open(debian))


def test_a_cancelled_run_stops_and_the_next_one_succeeds(
    debian: Archive, make_world: Callable[[str], World]
) -> None:
    with debian.serve() as server:
        first = make_world("shared")
        server.fault("*Packages*", hook=lambda _path: first.cancel.cancel())
        server.fault("*by-hash*", hook=lambda _path: first.cancel.cancel())
        with pytest.raises(Interrupted):
            first.open(debian, server.url)
        server.faults.clear()
        assert works(make_world("shared").open(debian, server.url))


def test_two_runs_at_once_share_a_cache_and_fetch_everything_once(
    debian: Archive, make_world: Callable[[str], World]
) -> None:
    with debian.serve() as server:
        worlds = [make_world("shared"), make_world("shared")]
        start = threading.Barrier(2)
        states: list[ArchiveState] = []

        def run(world: World) -> None:
            start.wait()
            states.append(world.open(debian, server.url))

        threads = [threading.Thread(target=run, args=(world,)) for world in worlds]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [works(state) for state in states] == [True, True]
        fetched = server.fetched("*by-hash*")
        assert len(fetched) == len(set(fetched)) == 1  # all three have the same index


def package_file(debian: Archive) -> PackageFile:
    world = new_world(debian.root.parent / "cache-asking")
    try:
        (package,) = world.open(debian).indexes["amd64"].named("hello")
        return package.file
    finally:
        world.close()


def fetch(world: World, file: PackageFile, *locations: str) -> bytes:
    with world.fetch(file, mirrors=world.mirrors(*locations)).open() as stream:
        return stream.read()


def test_a_download_that_is_cut_goes_on_where_it_stopped(debian: Archive, world: World) -> None:
    file = package_file(debian)
    with debian.serve() as server:
        server.fault("*.deb", cut=100_000, times=1)
        assert fetch(world, file, server.url) == HELLO
        assert [asked for path, asked in server.requests if path.endswith(".deb")] == [
            "",
            "bytes=100000-",
        ]


def test_a_server_that_answers_a_range_with_everything_is_understood(
    debian: Archive, world: World
) -> None:
    file = package_file(debian)
    with debian.serve() as server:
        server.fault("*.deb", no_range=True)
        server.fault("*.deb", cut=100_000, times=1)
        assert fetch(world, file, server.url) == HELLO


def test_a_damaged_package_is_fetched_again_once_and_then_refused(
    debian: Archive, world: World
) -> None:
    file = package_file(debian)
    damaged = bytes(len(HELLO))
    with debian.serve() as server:
        fault = server.fault("*.deb", body=damaged, times=1)
        assert fetch(world, file, server.url) == HELLO
        world.store.drop(file.sha256)
        fault.times = 0
        server.gets.clear()
        with pytest.raises(IntegrityError, match="expected"):
            fetch(world, file, server.url)
        assert len(server.fetched("*.deb")) == 2
        assert world.store.get(file.sha256) is None


def test_a_damaged_package_is_taken_from_the_next_mirror(debian: Archive, world: World) -> None:
    file = package_file(debian)
    with debian.serve() as server:
        server.fault("*.deb", body=bytes(len(HELLO)))
        assert fetch(world, file, server.url, debian.url) == HELLO


KILLED = """
import sys
from pathlib import Path
from builders.opening import new_world
from homeport.content.digest import Digest
from homeport.debian.package import PackageFile, PackageId

cache, url, path, size, digest = sys.argv[1:]
world = new_world(Path(cache))
file = PackageFile(
    id=PackageId(name="hello", version="1.0-1", architecture="all"),
    path=path, size=int(size), sha256=Digest.parse(digest), archive="debian",
)
world.fetch(file, mirrors=world.mirrors(url))
"""


def test_kill_9_in_the_middle_of_a_download_loses_nothing(
    debian: Archive, world: World, tmp_path: Path
) -> None:
    file = package_file(debian)
    with debian.serve() as server:
        server.fault("*.deb", stall=100_000, times=1)
        program = tmp_path / "killed.py"
        program.write_text(KILLED)
        child = subprocess.Popen(
            [sys.executable, str(program), str(world.store.root), server.url, file.path,
             str(file.size), str(file.sha256)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            partial = world.store.root / "partial" / f"sha256-{file.sha256.hex}"
            _wait_until(lambda: partial.exists() and partial.stat().st_size == 100_000)
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
        server.requests.clear()
        assert fetch(world, file, server.url) == HELLO
        assert [asked for _, asked in server.requests] == ["bytes=100000-"]


def _wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.01)


def test_a_package_whose_bytes_changed_in_a_directory_mirror_is_refused(
    debian: Archive, world: World
) -> None:
    file = package_file(debian)
    (debian.root / file.path).write_bytes(bytes(len(HELLO)))
    with pytest.raises(IntegrityError):
        fetch(world, file, debian.url)
    assert left_over(world) == []


def test_passwords_of_mirrors_are_in_no_message_and_in_no_state(
    debian: Archive, world: World
) -> None:
    with debian.serve() as server:
        url = server.url.replace("//", "//user:geheim@")
        state = world.open(debian, url)
        assert "geheim" not in repr(state) + "".join(world.notes.lines)
        assert any("Authorization" in headers for headers in server.headers)
        server.fault("*", status=404)
        with pytest.raises(HomeportError) as caught:
            world.open(debian, url)
        assert "geheim" not in f"{caught.value.what} {caught.value.where} {caught.value.hint}"
