"""Which state of an archive is taken, what is said about it, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pysequoia
import pytest

from builders.archive import DATE, NOW, archive, new_key, suite
from builders.deb import deb
from builders.opening import World
from homeport.debian.archive.archive import describe
from homeport.debian.archive.index_fetch import NotCached
from homeport.debian.archive.keyring import parse_keyring
from homeport.debian.archive.release import BadRelease, KeyExpired, ReleaseNotYetValid
from homeport.debian.archive.release_candidates import WrongSuite
from homeport.debian.archive.release_errors import NoCompleteState, OnlyExpired, RolledBack
from homeport.debian.archive.state import ArchiveState, format_as_of, parse_as_of
from homeport.errors import UsageError

ALL = ("amd64", "arm64", "armhf")
# Packages of each architecture's own, so that no two indexes are the same.
OLD, NEW = ([deb("hello", text, name) for name in ALL] for text in ("1.0-1", "1.1-1"))
LATER = DATE + timedelta(days=2)
NOW_LATER = LATER + timedelta(hours=6)


def version(state: ArchiveState, architecture: str = "amd64") -> str:
    return state.indexes[architecture].named("hello")[0].id.version


def test_a_whole_state_is_opened_for_every_architecture(root: Path, world: World) -> None:
    debian = archive(root, [suite(packages=[*OLD, deb("only", "1", "arm64")])])
    state = world.open(debian)
    assert {name: version(state, name) for name in state.indexes} == {
        "amd64": "1.0-1",
        "arm64": "1.0-1",
        "armhf": "1.0-1",
    }
    assert state.indexes["arm64"].named("only")
    assert not state.indexes["amd64"].named("only")
    (taken,) = state.suites
    assert (taken.suite, taken.read_as, taken.date) == ("trixie", "trixie", DATE)
    assert taken.valid_until == DATE + timedelta(days=7)
    assert taken.signers == (debian.fingerprint,)
    assert taken.read_from == f"{root}/dists/trixie"
    assert taken.newer == ()
    assert state.suite_dates() == {("debian", "trixie"): DATE}


def test_several_suites_are_one_index_and_the_first_named_wins_a_tie(
    root: Path, world: World
) -> None:
    same = deb("same", "1.0")
    debian = archive(
        root,
        [
            suite("trixie", packages=[*OLD, same]),
            suite("trixie-security", packages=[*NEW, same], pool="pool/updates/main"),
        ],
    )
    state = world.open(debian, suites=("trixie", "trixie-security"))
    index = state.indexes["amd64"]
    assert [package.id.version for package in index.named("hello")] == ["1.1-1", "1.0-1"]
    assert [package.suite for package in index.named("same")] == ["trixie"]
    assert index.named("same")[0].file.path.startswith("pool/main/")


def test_the_suites_alias_is_taken_while_the_mirror_is_in_mid_sync(
    root: Path, world: World
) -> None:
    debian = archive(root, [suite(alias="stable", packages=OLD)])
    debian.publish(suite(alias="stable", packages=OLD), folder="stable")
    debian.publish(suite(alias="stable", packages=NEW, date=LATER), only={"amd64"})
    state = world.open(debian, now=NOW_LATER)
    assert version(state) == version(state, "armhf") == "1.0-1"
    (taken,) = state.suites
    assert (taken.suite, taken.read_as, taken.date) == ("trixie", "stable", DATE)
    (newer,) = taken.newer
    assert newer.date == LATER
    assert "arm64, armhf do not match" in newer.why_not
    said = "\n".join(world.notes.lines)
    assert "trixie of 2026-01-10, 2 days old" in said
    assert "not the one of 2026-01-12" in said


def test_with_only_the_architectures_that_are_done_the_newest_state_is_taken(
    root: Path, world: World
) -> None:
    debian = archive(root, [suite(packages=OLD)])
    debian.publish(suite(packages=NEW, date=LATER), only={"amd64"})
    assert version(world.open(debian, architectures=["amd64"], now=NOW_LATER)) == "1.1-1"


def test_another_mirror_that_is_done_is_taken(tmp_path: Path, root: Path, world: World) -> None:
    key = new_key()
    slow = archive(root, [suite(packages=OLD)], key=key)
    slow.publish(suite(packages=NEW, date=LATER), only={"amd64"})
    done = archive(tmp_path / "done", [suite(packages=NEW, date=LATER)], key=key)
    state = world.open(slow, slow.url, done.url, now=NOW_LATER)
    assert version(state, "armhf") == "1.1-1"
    assert state.suites[0].newer == ()


def test_an_index_that_one_mirror_lacks_is_taken_from_another(
    tmp_path: Path, root: Path, world: World
) -> None:
    key, states = new_key(), [suite(packages=OLD)]
    first = archive(root, states, key=key)
    second = archive(tmp_path / "second", key=key)
    # The same signed bytes on both; each lacks what the other has.
    second.publish(states[0])
    (second.dists("trixie") / "InRelease").write_bytes(
        (first.dists("trixie") / "InRelease").read_bytes()
    )
    first.lose("dists/trixie/main/binary-arm64/*")
    second.lose("dists/trixie/main/binary-amd64/*")
    state = world.open(first, first.url, second.url)
    assert version(state, "amd64") == version(state, "arm64") == "1.0-1"


def test_when_nothing_is_whole_the_architectures_and_the_ways_out_are_named(
    root: Path, world: World
) -> None:
    debian = archive(root, [suite(packages=OLD)])
    debian.publish(suite(packages=NEW, date=LATER), only={"amd64"})
    with pytest.raises(NoCompleteState) as caught:
        world.open(debian, now=NOW_LATER)
    error = caught.value
    assert "the mirror is mid-sync" in error.what
    assert error.where["architectures"] == "arm64 armhf"
    assert error.hint == (
        "another --mirror | fewer platforms (complete: amd64) | wait until the mirror is in sync"
    )
    assert error.as_of is None


def test_a_whole_state_that_has_expired_is_refused_with_the_command_that_takes_it(
    root: Path, world: World
) -> None:
    debian = archive(root, [suite(alias="stable", packages=OLD)])
    debian.publish(suite(alias="stable", packages=OLD), folder="stable")
    late = DATE + timedelta(days=30)
    debian.publish(suite(alias="stable", packages=NEW, date=late), only={"amd64"})
    with pytest.raises(NoCompleteState) as caught:
        world.open(debian, now=late + timedelta(hours=1), command="homeport lock ./x")
    error = caught.value
    assert "a complete state of 2026-01-10 12:00 UTC is there" in error.what
    assert "it expired on 2026-01-17 12:00 UTC" in error.what
    assert error.hint is not None
    assert error.hint.startswith("homeport lock ./x --as-of 2026-01-10 | ")
    assert error.as_of == parse_as_of("2026-01-10")
    state = world.open(debian, now=late + timedelta(hours=1), as_of=error.as_of)
    assert version(state, "armhf") == "1.0-1"
    assert state.as_of == error.as_of
    assert "after 2026-01-10 23:59 UTC" in state.suites[0].newer[0].why_not


def test_the_printed_date_suits_every_suite_at_once(root: Path, world: World) -> None:
    debian = archive(root, [suite(packages=OLD, valid_for=None)])
    debian.publish(suite("trixie-updates", date=DATE + timedelta(days=3)))
    names = ("trixie", "trixie-updates")
    now = DATE + timedelta(days=60)
    with pytest.raises(OnlyExpired) as caught:
        world.open(debian, suites=names, now=now)
    assert caught.value.as_of == parse_as_of("2026-01-13")
    state = world.open(debian, suites=names, now=now, as_of=caught.value.as_of)
    assert [item.date for item in state.suites] == [DATE, DATE + timedelta(days=3)]


def test_no_date_is_printed_when_none_suits_every_suite(root: Path, world: World) -> None:
    debian = archive(root, [suite(packages=OLD)])
    debian.publish(suite("trixie-updates", date=DATE + timedelta(days=30)))
    with pytest.raises(OnlyExpired) as caught:
        world.open(debian, suites=("trixie", "trixie-updates"), now=DATE + timedelta(days=31))
    assert caught.value.as_of is None
    assert "--as-of" not in str(caught.value.hint)


def test_an_expired_state_is_refused_unless_a_date_is_given(root: Path, world: World) -> None:
    debian = archive(root, [suite(packages=OLD)])
    now = DATE + timedelta(days=8)
    with pytest.raises(OnlyExpired, match="expired on 2026-01-17 12:00 UTC") as caught:
        world.open(debian, now=now, command="homeport lock")
    assert "homeport lock --as-of 2026-01-10" in str(caught.value.hint)
    assert version(world.open(debian, now=now, as_of=parse_as_of("2026-01-17T11:59:59Z")))


def test_an_expired_subkey_signs_no_new_lock(root: Path, world: World) -> None:
    """The primary key lives on; whoever has the old subkey can date signatures back."""
    key = pysequoia.Tsk.generate(user_id="Archive", validity_seconds=86_400)
    later = datetime.now(UTC) + timedelta(days=4000)
    extended = key.extract_certificate().set_expiration(later, key.certifier())
    ring = parse_keyring(bytes(extended), "yearly subkeys")
    signed = datetime.now(UTC)
    debian = archive(root, [suite(date=signed, valid_for=None)], key=key)
    with pytest.raises(KeyExpired, match="the keys that signed trixie expired on"):
        world.open(debian, keyring=ring, now=signed + timedelta(days=2))
    assert world.open(debian, keyring=ring, now=signed + timedelta(hours=1))


def test_a_state_from_the_future_is_refused(root: Path, world: World) -> None:
    debian = archive(root)
    with pytest.raises(ReleaseNotYetValid):
        world.open(debian, now=DATE - timedelta(days=1))


def test_a_state_older_than_the_lockfiles_is_a_roll_back(root: Path, world: World) -> None:
    debian = archive(root, [suite(packages=OLD)])
    with pytest.raises(RolledBack) as caught:
        world.open(debian, not_before={("debian", "trixie"): LATER}, now=NOW_LATER)
    assert "2026-01-10 12:00 UTC, older than the state of 2026-01-12 12:00 UTC" in caught.value.what
    assert "--as-of 2026-01-10" in str(caught.value.hint)


def test_without_a_lockfile_the_cache_remembers_what_was_taken(
    root: Path, world: World, make_world: Callable[[str], World]
) -> None:
    debian = archive(root, [suite(packages=NEW, date=LATER)])
    world.open(debian, now=NOW_LATER)
    debian.publish(suite(packages=OLD))
    with pytest.raises(RolledBack):
        world.open(debian, now=NOW_LATER)
    assert version(make_world("two").open(debian, now=NOW_LATER)) == "1.0-1"


def test_a_lockfile_of_an_older_state_counts_more_than_the_cache(root: Path, world: World) -> None:
    debian = archive(root, [suite(packages=NEW, date=LATER)])
    world.open(debian, now=NOW_LATER)
    debian.publish(suite(packages=OLD))
    state = world.open(debian, not_before={("debian", "trixie"): DATE}, now=NOW_LATER)
    assert version(state) == "1.0-1"


def test_an_older_state_may_be_taken_when_a_newer_one_was_seen_in_the_same_run(
    root: Path, world: World
) -> None:
    debian = archive(root, [suite(alias="stable", packages=OLD)])
    debian.publish(suite(alias="stable", packages=OLD), folder="stable")
    debian.publish(suite(alias="stable", packages=NEW, date=LATER), only={"amd64"})
    world.open(debian, architectures=["amd64"], now=NOW_LATER)
    assert version(world.open(debian, now=NOW_LATER)) == "1.0-1"


def test_as_of_may_go_back_behind_the_floor(root: Path, world: World) -> None:
    debian = archive(root, [suite(packages=OLD)])
    state = world.open(
        debian,
        not_before={("debian", "trixie"): LATER},
        now=NOW_LATER,
        as_of=parse_as_of("2026-01-10"),
    )
    assert version(state) == "1.0-1"


def test_another_suite_signed_by_the_same_key_is_not_taken_for_this_one(
    root: Path, world: World
) -> None:
    debian = archive(root, [suite("forky")])
    (root / "dists" / "trixie").symlink_to("forky")
    with pytest.raises(WrongSuite, match="of the suite forky, not trixie"):
        world.open(debian)


def test_an_alias_that_has_moved_on_is_not_looked_at(root: Path, world: World) -> None:
    debian = archive(root, [suite(alias="stable", packages=OLD)])
    debian.publish(suite("forky", alias="stable", packages=OLD, date=LATER), folder="stable")
    debian.publish(suite(alias="stable", packages=NEW, date=LATER), only={"amd64"})
    with pytest.raises(NoCompleteState):
        world.open(debian, now=NOW_LATER)


def test_a_suite_asked_for_by_its_alias_is_found_under_its_codename_too(
    root: Path, world: World
) -> None:
    debian = archive(root, [suite(alias="stable", packages=OLD)])
    debian.publish(suite(alias="stable", packages=NEW, date=LATER), folder="stable", only={"amd64"})
    (taken,) = world.open(debian, suites=["stable"], now=NOW_LATER).suites
    assert (taken.suite, taken.read_as, taken.codename) == ("stable", "trixie", "trixie")


def test_an_architecture_that_the_suite_does_not_have_is_named(root: Path, world: World) -> None:
    debian = archive(root, [suite(architectures=("amd64", "arm64"))])
    with pytest.raises(BadRelease, match="no packages for armhf"):
        world.open(debian)


def test_release_with_release_gpg_is_read_where_there_is_no_inrelease(
    root: Path, world: World
) -> None:
    debian = archive(root, [suite(packages=OLD)])
    debian.detach_signature("trixie")
    assert version(world.open(debian)) == "1.0-1"
    assert version(world.open(debian, offline=True)) == "1.0-1"


@pytest.mark.parametrize("forms", [("xz",), ("gz",), ("",), ("xz", "gz", "")])
@pytest.mark.parametrize("by_hash", [True, False])
def test_indexes_are_read_in_every_form(
    root: Path, world: World, forms: tuple[str, ...], by_hash: bool
) -> None:
    debian = archive(root, [suite(packages=OLD, forms=forms, by_hash=by_hash)])
    with debian.serve() as server:
        assert version(world.open(debian, server.url)) == "1.0-1"


@pytest.mark.parametrize("name", ["./", "/", "debian/"])
def test_a_flat_archive_of_a_third_party_is_read(root: Path, world: World, name: str) -> None:
    folder = f"./{name.removeprefix('./').lstrip('/')}"
    flat = suite(folder, packages=OLD, codename="x", alias="x", components=("",))
    state = world.open(archive(root, [flat]), archive="vendor", suites=[name])
    assert version(state) == "1.0-1"


def test_all_packages_listed_apart_are_added_where_the_archive_says_so(
    root: Path, world: World
) -> None:
    debian = archive(
        root,
        [
            suite(
                packages=OLD,
                architectures=("amd64", "all"),
                fields={"No-Support-for-Architecture-all": "", "Architectures": "amd64 all"},
            )
        ],
    )
    assert version(world.open(debian, architectures=["amd64"])) == "1.0-1"


def test_offline_the_cache_alone_answers(root: Path, world: World) -> None:
    debian = archive(root, [suite(packages=OLD)])
    with pytest.raises(NotCached, match="no state of debian trixie"):
        world.open(debian, offline=True)
    with debian.serve() as server:
        online = world.open(debian, server.url)
        asked = len(server.requests)
        offline = world.open(debian, server.url, offline=True)
        assert len(server.requests) == asked
    assert version(offline) == "1.0-1"
    assert offline.suites == online.suites


def test_offline_says_which_architecture_the_cache_lacks(root: Path, world: World) -> None:
    debian = archive(root, [suite(packages=[deb("hello", "1.0-1", "arm64")])])
    world.open(debian, architectures=["amd64"])
    with pytest.raises(NotCached, match="no index of debian trixie for arm64"):
        world.open(debian, architectures=["amd64", "arm64"], offline=True)


def test_an_index_that_architectures_share_is_found_under_any_of_their_names(
    root: Path, world: World
) -> None:
    debian = archive(root, [suite(packages=[deb("hello", "1.0-1", "all")])])
    debian.publish(suite(packages=[deb("hello", "1.1-1", "all")], date=LATER), only={"arm64"})
    assert version(world.open(debian, now=NOW_LATER), "armhf") == "1.1-1"


def test_a_date_that_has_not_come_yet_is_refused(root: Path, world: World) -> None:
    debian = archive(root, [suite(packages=OLD)])
    with pytest.raises(UsageError, match="is in the future"):
        world.open(debian, as_of=NOW + timedelta(days=1))
    assert version(world.open(debian, as_of=NOW + timedelta(hours=2))) == "1.0-1"


@pytest.mark.parametrize("past", ["the lockfile", "its validity"])
def test_offline_a_cache_whose_state_is_too_old_says_to_go_online(
    root: Path, world: World, past: str
) -> None:
    debian = archive(root, [suite(packages=OLD)])
    world.open(debian)
    lockfile = {("debian", "trixie"): LATER} if past == "the lockfile" else None
    with pytest.raises(RolledBack if lockfile else OnlyExpired) as caught:
        world.open(
            debian, offline=True, not_before=lockfile, now=DATE + timedelta(days=30),
            command="homeport lock x --offline",
        )  # fmt: skip
    assert str(caught.value.hint).startswith("run the command once without --offline")
    assert str(caught.value.hint).endswith(": homeport lock x --offline --as-of 2026-01-10")
    assert "mirror" not in str(caught.value.hint)
    if lockfile:
        assert "that the cache has is of 2026-01-10" in caught.value.what


def test_what_the_cache_remembers_is_verified_again(root: Path, world: World) -> None:
    debian = archive(root, [suite(packages=OLD)])
    world.open(debian)
    for path in (world.store.root / "blobs" / "sha256").iterdir():
        data = path.read_bytes()
        if data.startswith(b"-----BEGIN PGP SIGNED"):
            path.write_bytes(data.replace(b"Codename: trixie", b"Codename: trixiX"))
    with pytest.raises(NotCached):
        world.open(debian, offline=True)


def test_a_second_run_fetches_release_files_only(root: Path, world: World) -> None:
    debian = archive(root, [suite(packages=OLD)])
    with debian.serve() as server:
        world.open(debian, server.url)
        first = len(server.requests)
        world.open(debian, server.url)
        assert [path for path, _ in server.requests[first:]] == ["dists/trixie/InRelease"]


def test_with_a_date_a_snapshot_archive_has_the_last_word(
    tmp_path: Path, root: Path, world: World
) -> None:
    key = new_key()
    debian = archive(root, [suite(packages=NEW, date=LATER)], key=key)
    archive(tmp_path / "snapshots" / "debian" / "20260110T235959Z", [suite(packages=OLD)], key=key)
    template = (tmp_path / "snapshots").as_uri() + "/{archive}/{timestamp}"
    state = world.open(debian, now=NOW_LATER, as_of=parse_as_of("2026-01-10"), snapshots=[template])
    assert version(state) == "1.0-1"
    assert state.suites[0].read_from.endswith("20260110T235959Z/dists/trixie")


def test_the_report_of_a_state_says_what_how_old_and_where(root: Path, world: World) -> None:
    debian = archive(root, [suite(version="13.8", packages=OLD)])
    (taken,) = world.open(debian).suites
    assert describe(taken, DATE + timedelta(days=1, hours=3)) == [
        f"trixie 13.8 of 2026-01-10, 1 day old, from {root}/dists/trixie"
    ]


@pytest.mark.parametrize(
    ("text", "expected", "again"),
    [
        ("2026-10-30", "2026-10-30T23:59:59+00:00", "2026-10-30"),
        ("2026-10-30T08:08:01Z", "2026-10-30T08:08:01+00:00", "2026-10-30T08:08:01Z"),
        ("20261030T080801Z", "2026-10-30T08:08:01+00:00", "2026-10-30T08:08:01Z"),
        ("2026-10-30T10:08:01+02:00", "2026-10-30T08:08:01+00:00", "2026-10-30T08:08:01Z"),
        ("2026-10-30T23:59:59Z", "2026-10-30T23:59:59+00:00", "2026-10-30"),
    ],
)
def test_dates_are_read_and_written(text: str, expected: str, again: str) -> None:
    moment = parse_as_of(text)
    assert moment.isoformat() == expected
    assert format_as_of(moment) == again


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "30.10.2026"])
def test_what_is_no_date_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="invalid date"):
        parse_as_of(text)
