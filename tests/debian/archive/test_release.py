"""Release files: what they vouch for, and when they count."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.archive import DATE, Suite, archive, suite
from homeport.content.digest import Digest
from homeport.debian.archive.release import (
    BadRelease,
    Expired,
    Release,
    ReleaseNotYetValid,
    check_dates,
    index_files,
    parse_release,
    plain_digest,
)
from homeport.errors import HomeportError

HEX = "ab" * 32
HEAD = (
    f"Suite: stable\nCodename: trixie\nDate: Sat, 10 Jan 2026 12:00:00 UTC\nSHA256:\n {HEX} 5 x\n"
)


def published(tmp_path: Path, state: Suite) -> Release:
    directory = archive(tmp_path, [state]).dists(state.name)
    return parse_release((directory / "Release").read_bytes())


def test_the_fields_that_decide_something_are_read(tmp_path: Path) -> None:
    release = published(tmp_path, suite("trixie", alias="stable", version="13.8"))
    assert release.suite == "stable"
    assert release.codename == "trixie"
    assert release.title == "trixie 13.8"
    assert release.date == DATE
    assert release.valid_until == DATE + timedelta(days=7)
    assert release.acquire_by_hash
    assert not release.not_automatic
    assert "amd64" in release.architectures
    entry = release.files["main/binary-amd64/Packages"]
    assert (entry.digest, entry.size) == (Digest.of(b""), 0)


@pytest.mark.parametrize(
    "text",
    [
        "Sat, 10 Jan 2026 12:00:00 UTC",
        "Sat, 10 Jan 2026 12:00:00 GMT",
        "Sat, 10 Jan 2026 12:00:00 +0000",
        "Sat, 10 Jan 2026 13:00:00 +0100",
        "Sat, 10 Jan 2026 12:00:00 -0000",
    ],
)
def test_dates_are_read_as_archives_write_them(text: str) -> None:
    release = parse_release(HEAD.replace("Sat, 10 Jan 2026 12:00:00 UTC", text).encode())
    assert release.date == DATE


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD.replace("Date: Sat", "Day: Sat"), "no Date"),
        (HEAD.replace("Sat, 10 Jan 2026 12:00:00 UTC", "yesterday"), "invalid date"),
        (HEAD.replace("SHA256", "MD5Sum"), "no SHA256"),
        (HEAD.replace(HEX, HEX[:-1]), "SHA256 size path"),
        (HEAD.replace(HEX, HEX.upper()), "SHA256 size path"),
        (HEAD.replace(" 5 x", " -5 x"), "SHA256 size path"),
        (HEAD.replace(" 5 x", " 5 x y"), "SHA256 size path"),
        (HEAD.replace(" 5 x", " 5 ../x"), "leaves"),
        (HEAD.replace(" 5 x", " 5 /x"), "leaves"),
        (HEAD.replace(" 5 x", " 5 a/../../x"), "leaves"),
        (HEAD + "\nSuite: other\n", "second paragraph"),
    ],
)
def test_a_release_that_does_not_say_what_it_must_is_refused(text: str, words: str) -> None:
    with pytest.raises(HomeportError, match=words):
        parse_release(text.encode())


def test_sha512_alone_is_good_enough(tmp_path: Path) -> None:
    release = published(tmp_path, suite(sections=("MD5Sum", "SHA512")))
    assert release.files["main/binary-amd64/Packages"].digest == Digest.of(b"", "sha512")


def test_a_release_is_valid_from_its_date_until_valid_until(tmp_path: Path) -> None:
    release = published(tmp_path, suite(valid_for=timedelta(days=7)))
    for moment in (DATE - timedelta(seconds=10), DATE, DATE + timedelta(days=7)):
        check_dates(release, moment)
    with pytest.raises(ReleaseNotYetValid):
        check_dates(release, DATE - timedelta(seconds=11))
    with pytest.raises(Expired, match="2026-01-17 12:00 UTC"):
        check_dates(release, DATE + timedelta(days=7, seconds=1))


def test_a_release_without_valid_until_never_expires(tmp_path: Path) -> None:
    release = published(tmp_path, suite(valid_for=None))
    check_dates(release, datetime(2099, 1, 1, tzinfo=UTC))


def test_an_index_is_known_in_each_of_its_forms_smallest_first(tmp_path: Path) -> None:
    release = published(tmp_path, suite())
    (forms,) = index_files(release, "main", "arm64")
    folder = "main/binary-arm64/Packages"
    assert [form.path for form in forms] == [f"{folder}.xz", f"{folder}.gz", folder]
    assert plain_digest(release, forms[0]) == release.files[folder]


def test_the_security_archive_names_its_components_otherwise_than_its_paths(
    tmp_path: Path,
) -> None:
    release = published(
        tmp_path, suite("trixie-security", fields={"Components": "updates/main updates/contrib"})
    )
    for name in ("main", "updates/main"):
        assert index_files(release, name, "amd64")[0][0].path == "main/binary-amd64/Packages.xz"


def test_packages_for_all_architectures_are_read_apart_only_where_the_archive_says_so(
    tmp_path: Path,
) -> None:
    release = published(
        tmp_path,
        suite(architectures=("amd64", "all"), fields={"No-Support-for-Architecture-all": ""}),
    )
    assert [forms[-1].path for forms in index_files(release, "main", "amd64")] == [
        "main/binary-amd64/Packages",
        "main/binary-all/Packages",
    ]


def test_an_architecture_or_a_component_that_is_missing_is_named_with_those_there_are(
    tmp_path: Path,
) -> None:
    release = published(tmp_path, suite(architectures=("amd64", "arm64")))
    with pytest.raises(BadRelease, match="no packages for riscv64") as caught:
        index_files(release, "main", "riscv64")
    assert caught.value.hint == "it is built for amd64, arm64"
    with pytest.raises(BadRelease, match="no component 'universe'") as caught:
        index_files(release, "universe", "amd64")
    assert caught.value.hint == "it has main"


def test_a_flat_archive_has_one_index(tmp_path: Path) -> None:
    release = published(tmp_path, suite("flat/", components=("",)))
    (forms,) = index_files(release, "", "amd64", flat=True)
    assert [form.path for form in forms] == ["Packages.xz", "Packages.gz", "Packages"]


def test_the_strongest_list_of_digests_counts(tmp_path: Path) -> None:
    """SHA-256 where it is there, whatever else the release lists."""
    release = published(tmp_path, suite())
    assert {entry.digest.algorithm for entry in release.files.values()} == {"sha256"}
    digest = "a" * 128
    text = f"Date: {DATE:%a, %d %b %Y %H:%M:%S} UTC\n"
    text += f"SHA512:\n {digest} 1 x\nSHA256:\n {digest[:64]} 1 x\n"
    assert parse_release(text.encode()).files["x"].digest.algorithm == "sha256"


def test_a_release_without_a_list_of_components_has_whatever_it_lists() -> None:
    entries = f"{'a' * 64} 1 odd/binary-amd64/Packages"
    text = f"Date: {DATE:%a, %d %b %Y %H:%M:%S} UTC\nSHA256:\n {entries}\n"
    release = parse_release(text.encode())
    assert not release.acquire_by_hash
    assert not release.not_automatic
    (forms,) = index_files(release, "odd", "amd64")
    assert [form.path for form in forms] == ["odd/binary-amd64/Packages"]


@given(st.text(max_size=200))
def test_any_signed_text_is_read_or_refused_by_name(text: str) -> None:
    with contextlib.suppress(HomeportError):
        parse_release((HEAD + text).encode())


def test_a_date_beyond_the_calendar_in_utc_is_refused() -> None:
    date = "Fri, 31 Dec 9999 23:59:59 -2359"
    with pytest.raises(BadRelease, match="invalid date"):
        parse_release(HEAD.replace("Sat, 10 Jan 2026 12:00:00 UTC", date).encode())
