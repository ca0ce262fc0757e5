"""apt's own files are read as apt reads them; what is odd in them is told, not fatal."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.archive import certificate_of, new_key
from homeport.debian.archive.apt_sources import (
    BadSources,
    parse_deb822_sources,
    parse_signed_by,
    parse_source_list,
    read_apt_credentials,
    read_apt_sources,
)
from homeport.debian.archive.keyring import BadKey, parse_keyring
from homeport.errors import HomeportError, UsageError
from homeport.net.url import Url


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "deb http://deb.debian.org/debian trixie main contrib",
            ("http://deb.debian.org/debian", "trixie", ("main", "contrib"), (), ""),
        ),
        (
            "deb [arch=amd64,arm64 signed-by=/k.pgp] http://m.example/d trixie main # why",
            ("http://m.example/d", "trixie", ("main",), ("amd64", "arm64"), "/k.pgp"),
        ),
        ("deb [ trusted=yes ] file:///m ./", ("file:///m", "./", (), (), "")),
        ("  deb\thttp://m.example\tx\tmain", ("http://m.example", "x", ("main",), (), "")),
        ("deb [arch+=i386] http://m.example x", ("http://m.example", "x", (), ("i386",), "")),
    ],
)  # fmt: skip
def test_the_one_line_format_is_read(line: str, expected: tuple[object, ...]) -> None:
    (source,) = parse_source_list(f"# first\n\n{line}\n".encode(), "sources.list")
    assert (
        source.uris[0],
        source.suites[0],
        source.components,
        source.architectures,
        source.signed_by,
    ) == expected
    assert (source.file, source.line) == ("sources.list", 3)


def test_source_packages_and_comments_are_left_out() -> None:
    text = b"deb-src http://m.example/d trixie main\n# deb http://m.example/d sid main\n"
    assert parse_source_list(text, "x") == []


@pytest.mark.parametrize(
    "line",
    ["deb", "deb http://m.example/d", "rpm http://m.example/d x", "deb [arch] http://m x"],
)
def test_a_line_that_is_not_understood_is_told_by_its_number(line: str) -> None:
    with pytest.raises(BadSources) as caught:
        parse_source_list(f"\n{line}\n".encode(), "x")
    assert caught.value.where["line"] == 2


DEB822 = """\
# the machine's mirror
Types: deb deb-src
URIs: http://a.example/debian https://b.example/debian
# in the middle
Suites: trixie trixie-updates
Components: main
Architectures: amd64
Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp

Types: deb-src
URIs: http://c.example/debian
Suites: trixie

Types: deb
Enabled: no
URIs: http://d.example/debian
Suites: trixie
"""


def test_the_deb822_format_is_read() -> None:
    (source,) = parse_deb822_sources(DEB822.encode(), "debian.sources")
    assert source.uris == ("http://a.example/debian", "https://b.example/debian")
    assert source.suites == ("trixie", "trixie-updates")
    assert source.components == ("main",)
    assert source.architectures == ("amd64",)
    assert source.signed_by == "/usr/share/keyrings/debian-archive-keyring.pgp"
    assert source.line == 2


def test_a_stanza_without_a_place_or_a_suite_is_told() -> None:
    with pytest.raises(BadSources, match="no Suites"):
        parse_deb822_sources(b"Types: deb\nURIs: http://a.example\n", "x")


def test_all_files_are_read_in_apts_order_and_odd_ones_told(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://first.example/d trixie main\n")
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (parts / "b.list").write_text("deb http://third.example/d trixie main\n")
    (parts / "a.sources").write_text("Types: deb\nURIs: http://second.example\nSuites: trixie\n")
    (parts / "broken.sources").write_text("nonsense\n")
    (parts / "a.list.save").write_text("deb http://never.example/d trixie main\n")
    (parts / "odd~name.list").write_text("deb http://never.example/d trixie main\n")
    found = read_apt_sources(tmp_path)
    assert [source.uris[0].split("/")[2] for source in found.sources] == [
        "first.example",
        "second.example",
        "third.example",
    ]
    (fault,) = found.faults
    assert fault.where["file"] == str(parts / "broken.sources")
    assert fault.where["line"] == 1


def test_a_machine_without_apt_has_no_sources(tmp_path: Path) -> None:
    assert read_apt_sources(tmp_path / "absent").sources == ()


def test_signed_by_may_name_files(tmp_path: Path) -> None:
    keys = [new_key(), new_key()]
    for number, key in enumerate(keys):
        (tmp_path / f"{number}.asc").write_bytes(certificate_of(key))
    ring = parse_signed_by(f"{tmp_path}/0.asc, {tmp_path}/1.asc")
    assert len(ring.fingerprints) == 2
    with pytest.raises(HomeportError, match="No such file"):
        parse_signed_by(f"{tmp_path}/absent.asc")


def test_signed_by_may_hold_the_key_itself_folded_into_the_field() -> None:
    key = new_key()
    folded = "".join(f" {line or '.'}\n" for line in certificate_of(key).decode().splitlines())
    text = f"Types: deb\nURIs: http://a.example\nSuites: x\nSigned-By:\n{folded}"
    (source,) = parse_deb822_sources(text.encode(), "x")
    expected = key.extract_certificate().fingerprint.upper()
    assert parse_signed_by(source.signed_by).fingerprints == (expected,)
    with pytest.raises(BadKey):
        parse_signed_by(source.signed_by[:120])


def test_signed_by_may_choose_from_known_keys_by_fingerprint() -> None:
    key, other = new_key(), new_key()
    known = parse_keyring(certificate_of(key) + b"\n" + certificate_of(other), "known")
    wanted = key.extract_certificate().fingerprint
    ring = parse_signed_by(wanted, known)
    assert ring.fingerprints == (wanted.upper(),)
    with pytest.raises(UsageError, match="names no keyring"):
        parse_signed_by(wanted)
    with pytest.raises(UsageError, match="invalid fingerprint"):
        parse_signed_by("75B188BD", known)


def test_credentials_are_found_as_apt_finds_them(tmp_path: Path) -> None:
    (tmp_path / "auth.conf").write_text("machine a.example login ann password first\n")
    parts = tmp_path / "auth.conf.d"
    parts.mkdir()
    (parts / "b.conf").write_text(
        "machine a.example login bob password second\n"
        "machine http://plain.example/debian login eve password third\n"
    )
    (parts / "c.conf.bak").write_text("machine c.example login x password y\n")
    provide = read_apt_credentials(tmp_path)

    def user(url: str) -> str | None:
        found = provide(Url.parse(url))
        return found.username if found else None

    assert user("https://a.example/debian/x") == "ann"
    assert user("http://a.example/debian/x") is None  # without a scheme, https only
    assert user("http://plain.example/debian/x") == "eve"
    assert user("http://plain.example/other") is None
    assert user("https://c.example/") is None


def test_a_file_that_this_user_may_not_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "auth.conf").mkdir()  # unreadable as a file, also for root
    assert read_apt_credentials(tmp_path)(Url.parse("https://a.example/")) is None
