"""Certificates: the shipped ones, and files that a recipe or apt names."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pysequoia
import pytest

from builders.archive import certificate_of, new_key
from homeport.debian.archive.key_lifetimes import SigningKey
from homeport.debian.archive.keyring import (
    SHIPPED,
    BadKey,
    Keyring,
    debian_keyring,
    join_keyrings,
    parse_fingerprint,
    parse_keyring,
    read_keyring,
    shipped_keyring,
)
from homeport.errors import UsageError

ROOT = Path(__file__).parents[3]
TRIXIE_AUTOMATIC = "04B54C3CDCA79751B16BC6B5225629DF75B188BD"
TRIXIE_STABLE = "41587F7DB8C774BCCF131416762F67A0B2C39DE4"
TRIXIE_SECURITY = "5E04A1E3223A19A20706E20F9904613D4CCE68C6"
UBUNTU = "F6ECB3762474EDA9D21B7022871920D1991BC93C"
BOOKWORM_AUTOMATIC = "B8B80B5B623EAB6AD8775C45B7C5D7D6350947F8"


@pytest.mark.parametrize(
    ("archive", "suite", "fingerprints"),
    [
        ("debian", "trixie", {TRIXIE_AUTOMATIC, TRIXIE_STABLE}),
        ("debian", "trixie-updates", {TRIXIE_AUTOMATIC, TRIXIE_STABLE}),
        ("debian", "forky", {TRIXIE_AUTOMATIC}),
        ("debian", "unstable", {TRIXIE_AUTOMATIC}),
        ("debian-security", "trixie-security", {TRIXIE_SECURITY}),
        ("debian-security", "stable-security", {TRIXIE_SECURITY}),
    ],
)
def test_each_suite_of_debian_trusts_its_own_keys_only(
    archive: str, suite: str, fingerprints: set[str]
) -> None:
    assert set(debian_keyring(archive, suite).fingerprints) == fingerprints


def test_bookworm_is_signed_by_its_own_keys_and_the_next_releases_automatic_one() -> None:
    found = set(debian_keyring("debian", "bookworm").fingerprints)
    assert {BOOKWORM_AUTOMATIC, TRIXIE_AUTOMATIC} < found
    assert TRIXIE_SECURITY not in found


def test_bullseye_and_ubuntu_are_signed_by_keys_that_ship() -> None:
    assert BOOKWORM_AUTOMATIC in debian_keyring("debian", "bullseye-updates").fingerprints
    assert debian_keyring("ubuntu", "noble-security").fingerprints == (UBUNTU,)
    text = (ROOT / "docs" / "debian-keys.md").read_text()
    assert UBUNTU in text.replace(" ", "")


def test_an_archive_that_is_not_debians_has_no_default_keys() -> None:
    with pytest.raises(UsageError, match="its keys must be named"):
        debian_keyring("nodesource", "trixie")


def test_the_documented_fingerprints_are_those_of_the_shipped_certificates() -> None:
    text = (ROOT / "docs" / "debian-keys.md").read_text()
    documented = {
        match[1]: match[2].replace(" ", "")
        for match in re.finditer(r"`debian-archive-([a-z-]+)`.*?`([0-9A-F ]{49,50})`", text)
    }
    shipped = {name: shipped_keyring(name).fingerprints[0] for name in SHIPPED}
    assert documented == shipped


def test_a_shipped_certificate_goes_by_its_file_name_too() -> None:
    assert shipped_keyring("debian-archive-trixie-automatic").fingerprints == (TRIXIE_AUTOMATIC,)
    with pytest.raises(UsageError, match="trixie-automatik"):
        shipped_keyring("trixie-automatik")


def test_certificates_are_read_in_armour_and_in_binary_one_or_several(tmp_path: Path) -> None:
    keys = [new_key("a"), new_key("b")]
    armoured = b"\n".join(certificate_of(key) for key in keys)
    binary = b"".join(bytes(key.extract_certificate()) for key in keys)
    expected = tuple(key.extract_certificate().fingerprint.upper() for key in keys)
    assert parse_keyring(armoured, "x").fingerprints == expected
    (tmp_path / "ring.pgp").write_bytes(binary)
    assert read_keyring(tmp_path / "ring.pgp").fingerprints == expected


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no OpenPGP"),
        (b"<html>", "not an OpenPGP"),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n", "not an OpenPGP"),
        (b"\0\0\0\x20\x01\x01\0\x02KBXf" + b"\0" * 30, "keybox"),
    ],
)
def test_what_is_no_certificate_is_refused_by_name(data: bytes, words: str) -> None:
    with pytest.raises(BadKey, match=words) as caught:
        parse_keyring(data, "ring.gpg")
    assert caught.value.where == {"file": "ring.gpg"}


def test_secret_keys_are_never_kept() -> None:
    key = new_key()
    ring = parse_keyring(bytes(key), "x")
    assert ring.certificates == (bytes(key.extract_certificate()),)


def test_a_ring_can_be_limited_to_fingerprints_of_certificates_or_signing_keys() -> None:
    ring = shipped_keyring("trixie-automatic")
    primary, subkey = ring.all_keys[0]
    assert ring.limited_to([primary.lower()]).accepts(primary, subkey)
    assert not ring.limited_to([TRIXIE_STABLE]).accepts(primary, subkey)
    assert ring.limited_to([f"{subkey}!"]).accepts(primary, subkey)
    assert not ring.limited_to([f"{primary}!"]).accepts(primary, subkey)


def test_short_key_ids_are_refused() -> None:
    with pytest.raises(UsageError, match="invalid fingerprint"):
        parse_fingerprint("75B188BD")


def test_joined_rings_hold_every_certificate_once() -> None:
    ring = shipped_keyring("trixie-automatic")
    joined = join_keyrings([ring, shipped_keyring("trixie-stable"), ring])
    assert joined.fingerprints == (TRIXIE_AUTOMATIC, TRIXIE_STABLE)


def signing_key(ring: Keyring, number: int = 0) -> SigningKey:
    """The certificate of that number, and its first subkey if it has one."""
    primary, *subkeys = ring.all_keys[number]
    return SigningKey(certificate=primary, key=subkeys[0] if subkeys else primary)


def test_a_ring_is_trusted_until_the_last_of_its_signers_expires() -> None:
    automatic, stable = shipped_keyring("trixie-automatic"), shipped_keyring("trixie-stable")
    ring = join_keyrings([automatic, stable])
    last, first = ring.trust_end([signing_key(automatic)]), ring.trust_end([signing_key(stable)])
    assert first is not None
    assert last is not None
    assert (first.date.year, last.date.year) == (2033, 2035)
    assert ring.trust_end([signing_key(stable), signing_key(automatic)]) == last
    assert ring.limited_to([TRIXIE_STABLE]).fingerprints == (TRIXIE_STABLE,)
    assert ring.trust_end([]) is None
    forever = parse_keyring(certificate_of(new_key()), "a key without an end")
    both = join_keyrings([stable, forever])
    assert both.trust_end([signing_key(both, 0), signing_key(both, 1)]) is None


def test_a_subkey_ends_with_its_own_expiry_although_the_primary_key_lives_on() -> None:
    key = pysequoia.Tsk.generate(user_id="Archive", validity_seconds=86_400)
    later = datetime.now(UTC) + timedelta(days=4000)
    extended = key.extract_certificate().set_expiration(later, key.certifier())
    ring = parse_keyring(bytes(extended), "yearly subkeys")
    end = ring.trust_end([signing_key(ring)])
    assert end is not None
    assert end.date - datetime.now(UTC) < timedelta(days=1)
    primary = SigningKey(certificate=ring.fingerprints[0], key=ring.fingerprints[0])
    whole = ring.trust_end([primary])
    assert whole is not None
    assert whole.date > end.date
