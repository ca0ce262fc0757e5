"""InRelease, Release and detached signatures of a mirror."""

from __future__ import annotations

import functools
from datetime import UTC, datetime

import pysequoia

from builders.archive import certificate_of, new_key
from homeport.debian.archive.keyring import Keyring, parse_keyring
from homeport.debian.archive.release import check_dates, index_files, parse_release
from homeport.debian.archive.signature import verify_clearsigned, verify_detached
from homeport.errors import HomeportError

EXPECTED = (HomeportError,)
MAX_LENGTH = 16 << 10
_TEXT = b"""\
Origin: Debian
Suite: stable
Codename: trixie
Version: 13.1
Date: Sat, 06 Sep 2025 10:00:00 UTC
Valid-Until: Sat, 13 Sep 2025 10:00:00 +0100
Acquire-By-Hash: yes
Architectures: all amd64
Components: main updates/contrib
SHA256:
 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 main/binary-amd64/Packages
"""


@functools.cache
def _key() -> pysequoia.Tsk:
    return new_key()


@functools.cache
def _ring() -> Keyring:
    return parse_keyring(certificate_of(_key()), "the archive's key")


def fuzz_one(data: bytes) -> None:
    """As a signed file, as a signature, as a keyring, and as text that was signed."""
    for read in (
        lambda: verify_clearsigned(data, _ring()),
        lambda: verify_detached(_TEXT, data, _ring()),
        lambda: _keyring(data),
    ):
        try:
            read()
        except EXPECTED:
            continue
    release = parse_release(data)
    assert "\n" not in release.title
    index_files(release, "main", "amd64")
    check_dates(release, datetime(2025, 9, 10, tzinfo=UTC))


def _keyring(data: bytes) -> None:
    ring = parse_keyring(data, "a file")
    assert len(ring.fingerprints) == len(ring.all_keys)


def seeds() -> list[bytes]:
    """The same release unsigned, signed within and beside it; the certificate."""
    sign = functools.partial(pysequoia.sign, _key().signer(), _TEXT)
    return [
        _TEXT,
        bytes(sign(mode=pysequoia.SignatureMode.CLEAR)),
        bytes(sign(mode=pysequoia.SignatureMode.DETACHED)),
        certificate_of(_key()),
    ]
