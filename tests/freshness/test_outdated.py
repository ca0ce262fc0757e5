"""What is newer than a lockfile, in an archive that moves through the cases of real ones."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from builders.archive import DATE, suite
from builders.deb import deb, link
from builders.freshness import LATER, FreshWorld, changes, entry, package
from homeport.content.digest import Digest
from homeport.freshness.model import Subject
from homeport.freshness.outdated import exit_code, is_outdated
from homeport.registry.errors import NotFound, RateLimited, Unauthorized

CVE = "CVE-2026-1000"


def locked(tmp_path: Path, text: str = "packages: [lib1]", **first: str) -> FreshWorld:
    """``lib1 1-1`` of trixie, locked; nothing newer yet."""
    world = FreshWorld(tmp_path, {"trixie": [package("lib1", "1-1", log=[entry("lib1", "1-1")])]})
    world.lock_recipe(text)
    return world


def fix(version: str, text: str = f"* Fix {CVE}. (Closes: #1234)", **more: str) -> bytes:
    log = [entry("lib1", version, text, **more), entry("lib1", "1-1")]
    return package("lib1", version, log=log)


def test_nothing_newer_is_exit_code_0(tmp_path: Path) -> None:
    report = locked(tmp_path).outdated()
    assert (changes(report.subjects[0]), report.complete, exit_code(report)) == ([], True, 0)


def test_a_fix_of_the_security_suite_is_named_with_its_ids(tmp_path: Path) -> None:
    world = locked(tmp_path)
    world.move("trixie-security", [fix("1-1+deb13u1", distribution="trixie-security")])
    report = world.outdated()
    (change,) = report.subjects[0].changes
    assert changes(report.subjects[0]) == [f"security lib1 1-1 → 1-1+deb13u1 {CVE}"]
    assert (change.suite, change.bugs, change.urgency) == ("trixie-security", (1234,), "medium")
    assert change.since == datetime(2026, 1, 9, 10, tzinfo=UTC)
    assert exit_code(report) == exit_code(report, "security") == 4
    assert exit_code(report, "eol") == exit_code(report, "never") == 0


def test_a_fix_that_came_with_a_point_release_is_security_by_its_ids(tmp_path: Path) -> None:
    world = locked(tmp_path)
    world.move("trixie", [fix("1-1+deb13u1")])
    assert changes(world.subject()) == [f"security lib1 1-1 → 1-1+deb13u1 {CVE}"]


def test_the_header_of_an_entry_tells_of_the_security_suite_after_a_point_release(
    tmp_path: Path,
) -> None:
    world = locked(tmp_path)
    world.move("trixie", [fix("1-1+deb13u1", "* Rebuild.", distribution="trixie-security")])
    assert changes(world.subject()) == ["security lib1 1-1 → 1-1+deb13u1"]


def test_an_advisory_of_github_is_an_id_too_and_no_id_in_the_security_suite_is_security(
    tmp_path: Path,
) -> None:
    world = locked(tmp_path)
    world.move("trixie-security", [fix("1-1+deb13u1", "* Fix GHSA-abcd-1234-wxyz.")])
    assert changes(world.subject()) == ["security lib1 1-1 → 1-1+deb13u1 GHSA-abcd-1234-wxyz"]
    world.move("trixie-security", [fix("1-1+deb13u2", "* Rebuild.")], date=LATER + timedelta(1))
    assert changes(world.subject()) == ["security lib1 1-1 → 1-1+deb13u2"]


def test_entries_are_taken_by_position_so_that_those_below_a_rebuild_count(
    tmp_path: Path,
) -> None:
    """``2-1~deb13u1`` is below the entry ``2-1`` that it rebuilds, where the ids are."""
    world = locked(tmp_path)
    log = [
        entry("lib1", "2-1~deb13u1", "* Rebuild for trixie."),
        entry("lib1", "2-1", f"* {CVE}", distribution="unstable"),
        entry("lib1", "1-1"),
        entry("lib1", "0-1", "* CVE-2020-0001"),
    ]
    world.move("trixie", [package("lib1", "2-1~deb13u1", log=log)])
    (change,) = world.subject().changes
    assert (change.kind, change.ids) == ("security", (CVE,))
    assert [each.version for each in change.entries] == ["2-1~deb13u1", "2-1"]


def test_an_update_without_a_word_of_security_says_what_it_is(tmp_path: Path) -> None:
    world = locked(tmp_path)
    world.move("trixie-updates", [fix("1-2", "* Newer zones.")])
    report = world.outdated()
    assert changes(report.subjects[0]) == ["update lib1 1-1 → 1-2"]
    assert (exit_code(report), exit_code(report, "security")) == (4, 0)


def test_a_rebuild_on_one_architecture_is_told_apart(tmp_path: Path) -> None:
    def both(amd64: str, arm64: str, rebuilds: list[str]) -> list[bytes]:
        return [
            package("lib1", amd64, "amd64", source="lib1 (1-1)", rebuilds=rebuilds),
            package("lib1", arm64, "arm64", source="lib1 (1-1)"),
        ]

    world = FreshWorld(tmp_path, {"trixie": both("1-1+b1", "1-1+b1", [])})
    world.lock_recipe("platforms: [linux/amd64, linux/arm64]\npackages: [lib1]")
    log = ["lib1 (1-1+b2) trixie; urgency=low, binary-only=yes\n\n  * Rebuild for libc6.\n\n"
           " -- B <b@debian.example>  Fri, 09 Jan 2026 10:00:00 +0000\n"]  # fmt: skip
    world.move("trixie", both("1-1+b2", "1-1+b1", log))
    subject = world.subject()
    assert changes(subject) == ["rebuild lib1 1-1+b1 → 1-1+b2 (linux/amd64)"]
    assert subject.changes[0].entries[0].text.strip() == "* Rebuild for libc6."


def test_a_rebuild_is_followed_by_an_update_of_the_source(tmp_path: Path) -> None:
    world = FreshWorld(tmp_path, {"trixie": [package("lib1", "1-1+b1", source="lib1 (1-1)")]})
    world.lock_recipe("packages: [lib1]")
    world.move("trixie", [fix("1-1+deb13u1", "* A bug.")])
    assert changes(world.subject()) == ["update lib1 1-1+b1 → 1-1+deb13u1"]


def test_an_epoch_makes_a_lower_number_newer(tmp_path: Path) -> None:
    world = locked(tmp_path)
    world.move("trixie", [fix("1:0.9-1", "* Back.")])
    assert changes(world.subject()) == ["update lib1 1-1 → 1:0.9-1"]


def test_a_package_that_is_gone_says_who_provides_it_now(tmp_path: Path) -> None:
    world = locked(tmp_path)
    world.move("trixie", [package("lib1t64", "2-1", provides="lib1")])
    report = world.outdated()
    assert changes(report.subjects[0]) == ["gone lib1 1-1 → nothing"]
    assert report.subjects[0].changes[0].note == "lib1t64 provides it now"
    assert exit_code(report) == 4


def test_a_withdrawn_update_is_named_and_not_followed(tmp_path: Path) -> None:
    world = locked(tmp_path)
    world.move("trixie", [package("lib1", "0-9")])
    assert changes(world.subject()) == ["lower lib1 1-1 → 0-9"]


def test_other_bytes_under_the_same_version_are_an_alarm(tmp_path: Path) -> None:
    world = locked(tmp_path)
    world.move("trixie", [package("lib1", "1-1", files={"usr/bin/more": b"evil"})])
    assert changes(world.subject()) == ["other-copy lib1 1-1 → 1-1"]


def test_a_mirror_that_lags_behind_the_lockfile_does_not_say_up_to_date(tmp_path: Path) -> None:
    world = FreshWorld(tmp_path, {"trixie": [package("lib1", "1-1")]})
    world.move("trixie", [package("lib1", "1-2")])
    world.lock_recipe("packages: [lib1]")
    (tmp_path / "lagging").mkdir()
    behind = FreshWorld(tmp_path / "lagging", {"trixie": [package("lib1", "1-1")]})
    behind.archive.key, behind.now = world.archive.key, world.now
    for name in ("trixie", "trixie-updates", "trixie-security"):
        behind.archive.sign_again(name)
    world.mirrors, world.store = behind.mirrors, behind.store
    report = world.outdated()
    assert [u.what for u in report.subjects[0].unknown] == ["test trixie"]
    assert "older than the locked one" in report.subjects[0].unknown[0].why
    assert exit_code(report) == (4 if report.subjects[0].changes else 1)


def both(version: str) -> list[bytes]:
    return [package("lib1", version, architecture) for architecture in ("amd64", "s390x")]


def test_in_mid_sync_what_can_be_judged_is_and_the_rest_is_not_known(tmp_path: Path) -> None:
    world = FreshWorld(tmp_path, {"trixie": both("1-1")})
    world.lock_recipe("platforms: [linux/amd64, linux/s390x]\npackages: [lib1]")
    world.move("trixie", both("1-2"), only={"amd64"})
    report = world.outdated()
    (subject,) = report.subjects
    assert changes(subject) == ["update lib1 1-1 → 1-2 (linux/amd64)"]
    assert [(u.what, u.platforms) for u in subject.unknown] == [("test trixie", ("linux/s390x",))]
    assert "mid-sync" in subject.unknown[0].why
    assert (report.complete, exit_code(report), exit_code(report, "security")) == (False, 4, 1)


def test_an_expired_suite_is_not_known(tmp_path: Path) -> None:
    world = locked(tmp_path)
    world.now = DATE + timedelta(days=9)
    report = world.outdated()
    assert {u.what for u in report.subjects[0].unknown} == {
        "test trixie-updates", "test trixie-security",
    }  # fmt: skip
    assert "expired" in report.subjects[0].unknown[0].why
    assert exit_code(report) == 1


def test_a_platform_that_the_security_suite_dropped_is_an_error(tmp_path: Path) -> None:
    world = FreshWorld(tmp_path, {"trixie": both("1-1")})
    world.lock_recipe("platforms: [linux/amd64, linux/s390x]\npackages: [lib1]")
    world.move("trixie-security", [], architectures=["amd64"])
    report = world.outdated()
    (support,) = report.subjects[0].support
    assert (support.level, support.what) == ("error", "test trixie-security")
    assert support.text == "has no packages for linux/s390x (any more)"
    assert exit_code(report) == 3


DISTRO = """\
version,codename,series,created,release,eol,eol-lts,eol-elts
12,Bookworm,bookworm,2021-08-14,2023-06-10,2026-06-10,2028-06-30,2033-06-30
13,Trixie,trixie,2023-06-10,2025-08-09,{eol},{lts},2035-06-30
14,Forky,forky,2025-08-09
"""


@pytest.mark.parametrize(
    ("eol", "lts", "level", "code"),
    [
        ("2028-08-09", "2030-06-30", None, 0),
        ("2026-05-01", "2030-06-30", "note", 0),
        ("2026-01-13", "2030-06-30", "warning", 0),
        ("2026-01-09", "2030-06-30", "warning", 0),
        ("2025-01-09", "2026-01-09", "error", 3),
    ],
)
def test_the_end_of_support_comes_from_the_archives_own_data(
    tmp_path: Path, eol: str, lts: str, level: str | None, code: int
) -> None:
    data = {"usr/share/distro-info/debian.csv": DISTRO.format(eol=eol, lts=lts).encode()}
    packages = [package("lib1", "1-1"), deb("distro-info-data", "0.66", "all", files=data)]
    world = FreshWorld(tmp_path, {"trixie": packages})
    world.lock_recipe("packages: [lib1]")
    report = world.outdated()
    assert [each.level for each in report.subjects[0].support] == ([level] if level else [])
    assert exit_code(report) == code
    assert exit_code(report, "eol") == (3 if code else 4 if level == "warning" else 0)


def test_sources_without_security_support_are_named(tmp_path: Path) -> None:
    files = {
        "usr/share/debian-security-support/security-support-ended.deb13":
            b"# ended\nlib1  1-1  2025-12-01  Too old, see https://debian.example\n",
        "usr/share/debian-security-support/security-support-limited":
            b"golang.*  See the release notes\nother Not covered\n",
    }  # fmt: skip
    packages = [
        package("lib1", "1-1", depends="go1"), package("go1", "1-1", source="golang-1.24"),
        deb("debian-security-support", "1", "all", files=files),
    ]  # fmt: skip
    world = FreshWorld(tmp_path, {"trixie": packages})
    world.lock_recipe("packages: [lib1]")
    assert [(s.level, s.what, s.text, s.ends) for s in world.subject().support] == [
        ("note", "golang-1.24", "limited security support: See the release notes", None),
        ("warning", "lib1", "no security support: Too old, see https://debian.example",
         date(2025, 12, 1)),
    ]  # fmt: skip


def test_an_alias_that_names_another_release_now_is_a_migration(tmp_path: Path) -> None:
    world = FreshWorld(tmp_path, {})
    world.archive.publish(
        suite("stable", [package("lib1", "1-1")], codename="trixie", valid_for=None)
    )
    text = (
        "archives: [{name: test, suites: [stable], mirrors: [./none], keys: [key.asc]}]\n"
        "packages: [lib1]"
    )
    world.lock_recipe(text)
    world.move("stable", [package("lib1", "9-1")], codename="forky", valid_for=None)
    report = world.outdated()
    assert report.subjects[0].changes == ()
    assert report.subjects[0].unknown[0].why == "stable is forky now: migrate by hand"
    assert exit_code(report) == 1


def test_a_pin_that_holds_a_security_fix_is_loud(tmp_path: Path) -> None:
    world = locked(tmp_path, 'packages: [lib1]\npins: [{name: lib1, version: "1-1"}]')
    world.move("trixie-security", [fix("1-1+deb13u1")])
    report = world.outdated()
    assert changes(report.subjects[0]) == [f"held lib1 1-1 → 1-1+deb13u1 {CVE}"]
    assert report.subjects[0].changes[0].security
    assert exit_code(report) == exit_code(report, "security") == 4


def test_a_pin_that_holds_nothing_urgent_is_listed_and_not_counted(tmp_path: Path) -> None:
    world = locked(tmp_path, 'packages: [lib1]\npins: [{name: lib1, version: "1-1"}]')
    world.move("trixie", [package("lib1", "1-1", log=[entry("lib1", "1-1")]), fix("1-2", "* New.")])
    report = world.outdated()
    assert changes(report.subjects[0]) == ["held lib1 1-1 → 1-2"]
    assert exit_code(report) == 0


def test_recipe_and_lockfile_that_disagree_are_said_besides(tmp_path: Path) -> None:
    world = locked(tmp_path)
    world.recipe("packages: [lib1, lib2]")
    world.move("trixie-security", [fix("1-1+deb13u1")])
    subject = world.subject()
    assert subject.disagrees == ("lib2 is not locked",)
    assert len(subject.changes) == 1


def test_a_changelog_that_was_cut_above_the_locked_version_says_where_it_begins(
    tmp_path: Path,
) -> None:
    world = locked(tmp_path)
    log = [entry("lib1", "3-1", f"* {CVE}"), entry("lib1", "2-1"),
           "# Older entries have been removed from this changelog.\n"]  # fmt: skip
    world.move("trixie", [package("lib1", "3-1", log=log)])
    (change,) = world.subject().changes
    assert (change.ids, change.note) == ((CVE,), "its changelog begins at 2-1")


def test_a_changelog_in_latin_1_one_that_is_missing_and_one_behind_a_link(
    tmp_path: Path,
) -> None:
    first = [package(name, "1-1", source="lib1" if name == "lib3" else "")
             for name in ("lib1", "lib2", "lib3")]  # fmt: skip
    world = FreshWorld(tmp_path, {"trixie": first})
    world.lock_recipe("packages: [lib1, lib2, lib3]")
    log = [entry("lib1", "2-1", f"* Thanks to J\xfcrgen. {CVE}")]
    linked = deb(
        "lib3",
        "2-1",
        files={"usr/bin/lib3": b"2", "usr/share/doc/lib3": link("lib1")},
        fields={"Source": "lib1"},
    )
    world.move("trixie", [package("lib1", "2-1", log=log), package("lib2", "2-1"), linked])
    assert changes(world.subject()) == [
        f"security lib1 1-1 → 2-1 {CVE}", "update lib2 1-1 → 2-1", f"security lib3 1-1 → 2-1 {CVE}",
    ]  # fmt: skip


def test_without_changelogs_only_indexes_are_read(tmp_path: Path) -> None:
    world = locked(tmp_path)
    world.move("trixie-security", [fix("1-1+deb13u1")])
    world.archive.lose("pool/*deb13u1*")
    assert changes(world.subject(changelogs=False)) == ["security lib1 1-1 → 1-1+deb13u1"]
    report = world.outdated()
    assert changes(report.subjects[0]) == ["security lib1 1-1 → 1-1+deb13u1"]
    assert report.subjects[0].unknown[0].what == "the changelog of lib1 1-1+deb13u1"


def test_effective_says_which_files_of_the_image_change_and_which_packages_come(
    tmp_path: Path,
) -> None:
    def app(version: str, text: bytes, **more: str) -> bytes:
        return package("app", version, files={"usr/lib/app.so": text}, **more)

    world = FreshWorld(tmp_path, {"trixie": [app("1-1", b"same")]})
    world.slices("app", "libs: {paths: [/usr/lib/app.so]}")
    world.lock_recipe("packages: [app_libs]")
    world.move("trixie", [app("1-2", b"same")])
    effective = world.subject(effective=True).effective
    assert effective is not None
    assert (effective.changes, effective.files) == (("app 1-1 → 1-2 (linux/amd64)",), ())
    world.move("trixie", [app("1-3", b"other")], date=LATER + timedelta(1))
    effective = world.subject(effective=True).effective
    assert effective is not None
    assert [(f.how, f.path, f.package) for f in effective.files] == [
        ("changed", "/usr/lib/app.so", "app")
    ]
    world.recipe("packages: [app]")
    world.ensure_lock(world.loaded())
    world.move(
        "trixie", [app("1-4", b"x", depends="new"), package("new", "1")], date=LATER + timedelta(2)
    )
    effective = world.subject(effective=True).effective
    assert effective is not None
    assert effective.changes == (
        "app 1-3 → 1-4 (linux/amd64)", "new 1 added (linux/amd64)",
    )  # fmt: skip


def test_a_slice_path_that_vanished_is_the_answer_of_effective(tmp_path: Path) -> None:
    world = locked(tmp_path)
    world.slices("lib1", "bin: {paths: [/usr/bin/lib1]}")
    world.lock_recipe("packages: [lib1_bin]")
    world.move("trixie", [deb("lib1", "2-1", files={"usr/bin/renamed": b"x"})])
    report = world.outdated(effective=True)
    effective = report.subjects[0].effective
    assert effective is not None
    assert "the path /usr/bin/lib1 of the slice lib1_bin matches nothing" in effective.error
    assert exit_code(report) == 4


def test_a_lockfile_older_than_allowed_breaks_a_rule(tmp_path: Path) -> None:
    world = locked(tmp_path)
    for name in ("trixie", "trixie-updates", "trixie-security"):
        packages = [package("lib1", "1-1", log=[entry("lib1", "1-1")])] if name == "trixie" else []
        world.move(name, packages, date=DATE + timedelta(days=40))
    assert exit_code(world.outdated(max_age=60)) == 0
    report = world.outdated(max_age=30)
    assert report.subjects[0].broken_rules == ("its archive state is 40 days old, more than 30",)
    assert exit_code(report) == 3


def test_a_tree_of_recipes_is_judged_in_one_run_and_a_faulty_one_hides_none(
    tmp_path: Path,
) -> None:
    world = locked(tmp_path)
    other = tmp_path / "recipe" / "other"
    other.mkdir()
    (other / "homeport.yaml").write_text("homeport: 1\npakages: [x]\n")
    world.move("trixie-security", [fix("1-1+deb13u1")])
    report = world.outdated(str(tmp_path))
    assert [(s.name.rpartition("/")[2], len(s.changes), s.complete) for s in report.subjects] == [
        ("test", 1, True), ("homeport.yaml", 0, False),
    ]  # fmt: skip
    assert exit_code(report) == 4
    assert exit_code(report, "never") == 1


def test_a_lockfile_finds_the_recipe_beside_it(tmp_path: Path) -> None:
    world = locked(tmp_path)
    world.move("trixie-security", [fix("1-1+deb13u1")])
    report = world.outdated(str(world.home / "test.lock"))
    assert (report.subjects[0].kind, len(report.subjects[0].changes)) == ("recipe", 1)
    assert report.subjects[0].lines["lib1"] > 1


def test_an_image_is_judged_by_its_own_package_database(tmp_path: Path) -> None:
    world = locked(tmp_path)
    world.build(world.home / "homeport.yaml")
    world.move("trixie-security", [fix("1-1+deb13u1")])
    (world.home / "test.lock").unlink()
    report = world.outdated(f"oci:{world.root / 'out'}", like=str(world.home / "homeport.yaml"))
    (subject,) = report.subjects
    assert (subject.kind, subject.complete) == ("image", True), subject.unknown
    assert changes(subject) == [f"security lib1 1-1 → 1-1+deb13u1 {CVE}"]
    assert subject.locked == DATE
    assert exit_code(report) == 4


def test_an_image_that_does_not_name_its_release_is_not_known(tmp_path: Path) -> None:
    world = locked(tmp_path)
    world.build(world.home / "homeport.yaml")
    report = world.outdated(f"oci:{world.root / 'out'}")
    assert "does not say of which release" in report.subjects[0].unknown[0].why
    assert exit_code(report) == 1


IMAGE = "registry.example/team/tool"
OLD, NEW = Digest.of(b"old"), Digest.of(b"new")


@pytest.mark.parametrize(
    ("answer", "outdated", "text"),
    [
        (OLD, False, ""),
        (NEW, True, "moved"),
        (NotFound("not there"), False, "gone from its registry"),
        (Unauthorized("401"), False, "401"),
        (RateLimited("too many"), False, "too many"),
    ],
)
def test_images_that_a_recipe_uses_moved_are_gone_or_cannot_be_asked(
    tmp_path: Path, answer: Digest | Exception, outdated: bool, text: str
) -> None:
    world = locked(
        tmp_path,
        f"packages: [lib1]\nfiles: [{{image: '{IMAGE}:1@{OLD}', path: /a, to: /a}}]",
    )
    world.answers = {f"{IMAGE}:1": answer}
    report = world.outdated()
    subject: Subject = report.subjects[0]
    said = [i.text for i in subject.inputs] + [u.why for u in subject.unknown]
    assert any(text in each for each in said) if text else said == []
    assert is_outdated(subject) == outdated
    refused = isinstance(answer, Unauthorized | RateLimited)
    assert exit_code(report) == (4 if outdated else 1 if refused else 0)


def test_the_tracker_adds_what_is_open_and_what_the_archive_fixes(tmp_path: Path) -> None:
    data = b"""{"lib1": {
      "CVE-2026-0001": {"releases": {"trixie": {"status": "open", "urgency": "low"}}},
      "CVE-2026-0002": {"releases": {"trixie": {"status": "resolved", "fixed_version": "1-2"}}},
      "CVE-2026-0003": {"releases": {"trixie": {"status": "resolved", "fixed_version": "0"}}},
      "CVE-2026-0004": {"releases": {"trixie": {"status": "resolved", "fixed_version": "1-1"}}},
      "CVE-2026-0005": {"releases": []},
      "CVE-2026-0006": {"releases": {"sid": {"status": "open"}}},
      "TEMP-0000001-ABCDEF": {"releases": {"trixie": {"status": "undetermined"}}}}, "x": {}}"""
    world = locked(tmp_path)
    file = tmp_path / "tracker.json"
    file.write_bytes(data)
    stamp = (world.now - timedelta(days=10)).timestamp()
    os.utime(file, (stamp, stamp))
    report = world.outdated(tracker=str(file))
    assert [(i.id, i.status, i.fixed, i.urgency) for i in report.subjects[0].open] == [
        ("CVE-2026-0001", "open", "", "low"), ("CVE-2026-0002", "fixed", "1-2", ""),
        ("TEMP-0000001-ABCDEF", "undetermined", "", ""),
    ]  # fmt: skip
    assert report.tracker is not None
    assert report.tracker.form == "debian"
    assert report.tracker.note == "it has only 2 sources: is it whole?; it is 10 days old"
    assert exit_code(report) == 4
