"""Only what a trusted key has signed is read; everything else is refused with its reason."""

from __future__ import annotations

from pathlib import Path

import pysequoia
import pytest
from pysequoia.packet import PacketPile, Tag

from builders.archive import Archive, archive, certificate_of, new_key
from homeport.debian.archive.keyring import Keyring, join_keyrings, parse_keyring
from homeport.debian.archive.signature import (
    BadSignature,
    NotSigned,
    verify_clearsigned,
    verify_detached,
)


@pytest.fixture
def debian(tmp_path: Path) -> Archive:
    return archive(tmp_path)


@pytest.fixture
def ring(debian: Archive) -> Keyring:
    return parse_keyring(debian.certificate, "the archive's key")


def inrelease(debian: Archive) -> bytes:
    return (debian.dists("trixie") / "InRelease").read_bytes()


def refused(data: bytes, ring: Keyring) -> BadSignature:
    with pytest.raises(BadSignature) as caught:
        verify_clearsigned(data, ring)
    assert "backtrace" not in caught.value.what
    return caught.value


def test_the_signed_text_and_the_signer_come_out(debian: Archive, ring: Keyring) -> None:
    signed = verify_clearsigned(inrelease(debian), ring)
    release = (debian.dists("trixie") / "Release").read_bytes()
    assert signed.text.strip() == release.strip()
    assert signed.signers == (debian.fingerprint,)


def test_lines_that_begin_with_a_dash_come_out_as_they_were(ring: Keyring, debian: Archive) -> None:
    data = pysequoia.sign(debian.key.signer(), b"- a\n--\nb\n", mode=pysequoia.SignatureMode.CLEAR)
    assert verify_clearsigned(data, ring).text.strip() == b"- a\n--\nb"


def test_a_changed_byte_is_noticed(debian: Archive, ring: Keyring) -> None:
    error = refused(inrelease(debian).replace(b"Codename: trixie", b"Codename: trixiX"), ring)
    assert "does not match the text" in error.what


def test_another_key_is_refused_and_both_are_named(debian: Archive, ring: Keyring) -> None:
    stranger = new_key()
    debian.sign_again("trixie", key=stranger)
    error = refused(inrelease(debian), ring)
    assert debian.fingerprint in error.what
    assert "signed by" in error.what


def test_a_ring_limited_to_another_key_refuses(debian: Archive, ring: Keyring) -> None:
    other = parse_keyring(certificate_of(new_key()), "other")
    both = join_keyrings([ring, other])
    error = refused(inrelease(debian), both.limited_to(other.fingerprints))
    assert "the suite trusts only" in error.what
    assert verify_clearsigned(inrelease(debian), both.limited_to(ring.fingerprints)).signers


def test_unsigned_text_is_refused(debian: Archive, ring: Keyring) -> None:
    debian.unsign("trixie")
    assert isinstance(refused(inrelease(debian), ring), NotSigned)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (b"Origin: Evil\n\n", b"", "precedes"),
        (b"\n", b"", "precedes"),
        (b"", b"Origin: Evil\n", "follows"),
        (b"", b"\n\n-----BEGIN PGP SIGNED MESSAGE-----\n", "not one complete"),
    ],
)
def test_text_outside_the_signature_is_refused(
    debian: Archive, ring: Keyring, before: bytes, after: bytes, words: str
) -> None:
    assert words in refused(before + inrelease(debian) + after, ring).what


@pytest.mark.parametrize(
    "order", [("BEGIN", "BEGIN", "END"), ("END", "BEGIN"), ("BEGIN", "END", "END"), ("END",), ()]
)
def test_the_lines_around_a_signature_stand_once_and_in_order(
    debian: Archive, ring: Keyring, order: tuple[str, ...]
) -> None:
    text = inrelease(debian).partition(b"-----BEGIN PGP SIGNATURE-----\n")[0]
    lines = b"".join(b"-----%s PGP SIGNATURE-----\n" % word.encode() for word in order)
    assert "not one complete signed message" in refused(text + lines, ring).what


def test_blank_lines_at_the_end_are_harmless(debian: Archive, ring: Keyring) -> None:
    assert verify_clearsigned(inrelease(debian) + b"\n\n", ring).signers


def test_a_second_signed_message_is_refused(debian: Archive, ring: Keyring) -> None:
    refused(inrelease(debian) * 2, ring)


@pytest.mark.parametrize("part", [10, 200, 2000, -10])
def test_a_file_that_was_cut_is_refused(debian: Archive, ring: Keyring, part: int) -> None:
    refused(inrelease(debian)[:part], ring)


@pytest.mark.parametrize("data", [b"", b"<html><body>Log in</body></html>", b"\xfd7zXZ\0"])
def test_what_is_something_else_altogether_is_not_signed(ring: Keyring, data: bytes) -> None:
    assert isinstance(refused(data, ring), NotSigned)


def test_a_message_that_is_signed_inside_openpgp_is_not_an_inrelease(
    debian: Archive, ring: Keyring
) -> None:
    data = pysequoia.sign(debian.key.signer(), b"Origin: x\n")
    assert isinstance(refused(data, ring), NotSigned)


def test_release_with_a_detached_signature_is_believed_too(debian: Archive, ring: Keyring) -> None:
    debian.detach_signature("trixie")
    directory = debian.dists("trixie")
    release, signature = ((directory / n).read_bytes() for n in ("Release", "Release.gpg"))
    signed = verify_detached(release, signature, ring)
    assert signed.text == release
    assert signed.signers == (debian.fingerprint,)
    with pytest.raises(BadSignature, match="does not match the text"):
        verify_detached(release + b"x", signature, ring)
    with pytest.raises(BadSignature):
        verify_detached(release, b"<html>", ring)
    (key,) = (p for p in PacketPile.from_bytes(debian.certificate) if p.tag == Tag.PublicKey)
    with pytest.raises(NotSigned):  # OpenPGP without any signature in it
        verify_detached(release, bytes(key), ring)


def test_one_good_signature_of_several_is_enough(debian: Archive, ring: Keyring) -> None:
    text, mode = b"Origin: x\n", pysequoia.SignatureMode.DETACHED
    stranger = pysequoia.sign(new_key().signer(), text, mode=mode, armor=False)
    ours = pysequoia.sign(debian.key.signer(), text, mode=mode, armor=False)
    assert verify_detached(text, stranger + ours, ring).signers == (debian.fingerprint,)


def test_a_revoked_certificate_signs_nothing(debian: Archive) -> None:
    certificate = debian.key.extract_certificate()
    revocation = certificate.revoke(debian.key.certifier())
    revoked = pysequoia.Cert.from_bytes(bytes(certificate) + bytes(revocation))
    assert revoked.is_revoked
    refused(inrelease(debian), parse_keyring(bytes(revoked), "revoked"))


def test_a_signature_by_an_unknown_kind_of_key_is_refused_or_passed_over(
    ring: Keyring, debian: Archive
) -> None:
    """Found by fuzzing: Sequoia parses such a packet and then fails to write it."""
    signed = pysequoia.sign(debian.key.signer(), b"text", mode=pysequoia.SignatureMode.DETACHED)
    (packet,) = PacketPile.from_bytes(bytes(signed))
    good = bytes(packet)
    odd = good.replace(b"\x16\x21\x04", b"\x16\x21\x09")
    assert odd != good
    with pytest.raises(BadSignature, match="cannot be parsed"):
        verify_detached(b"text", odd, ring)
    assert verify_detached(b"text", odd + good, ring).signers == (debian.fingerprint,)


def test_a_packet_of_an_unassigned_kind_is_passed_over(debian: Archive) -> None:
    """Found by fuzzing: asking Sequoia for its tag raises."""
    certificate = bytes(pysequoia.Cert.from_bytes(debian.certificate))
    ring = parse_keyring(certificate + b"\xcf\x01\x00", "a key and a packet with tag 15")
    assert ring.all_keys == parse_keyring(certificate, "the key alone").all_keys
    signed = pysequoia.sign(debian.key.signer(), b"text", mode=pysequoia.SignatureMode.DETACHED)
    (packet,) = PacketPile.from_bytes(bytes(signed))
    both = bytes(packet) + b"\xcf\x01\x00"
    assert verify_detached(b"text", both, ring).signers == (debian.fingerprint,)
