"""OpenPGP certificates that may sign archives, and those that ship with Homeport.

Trust is given per suite, never to one ring for everything: ``debian_keyring`` knows
which of Debian's certificates sign which suite (docs/debian-keys.md has the
fingerprints). Not for checking a signature (``debian.archive.signature``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

import msgspec
import pysequoia
from pysequoia.packet import PacketPile, Tag

from homeport.content.files import read_input
from homeport.debian.archive.key_lifetimes import SigningKey, TrustEnd, last_trust_end, tag_of
from homeport.errors import HomeportError, UsageError
from homeport.printable import shell_path

MAX_KEYRING = 4 << 20  # bytes; Debian's whole ring with all removed keys has 0.1 MB
_FINGERPRINT = re.compile(r"(?:[0-9A-F]{40}|[0-9A-F]{64})!?")
_KEYBOX = b"KBXf"
#: The keys that sign a release of Debian: the automatic keys of that release and of the one before
#: or after it (they overlap), and the stable release key. Other suites: ``_ROLLING``.
_RELEASES = {
    "bullseye": ("bullseye-automatic", "bullseye-stable", "bookworm-automatic"),
    "bookworm": ("bookworm-automatic", "bookworm-stable", "trixie-automatic"),
    "trixie": ("trixie-automatic", "trixie-stable"),
}
_ROLLING = ("trixie-automatic",)
#: An alias moves from release to release: the keys of every release that it may name.
_ALIASES = ("bookworm-automatic", "bookworm-stable", "trixie-automatic", "trixie-stable")
_SECURITY = {
    "bullseye": ("bullseye-security-automatic", "bookworm-security-automatic"),
    "bookworm": ("bookworm-security-automatic", "trixie-security-automatic"),
}
_SECURITY_ROLLING = ("trixie-security-automatic",)
#: Names of the certificates in ``debian/keys``.
SHIPPED = (
    "bookworm-automatic",
    "bookworm-security-automatic",
    "bookworm-stable",
    "bullseye-automatic",
    "bullseye-security-automatic",
    "bullseye-stable",
    "trixie-automatic",
    "trixie-security-automatic",
    "trixie-stable",
)
_PREFIX = "debian-archive-"
#: Signs every suite of Ubuntu since 2018.
_UBUNTU_KEY = "ubuntu-archive-2018"
#: Everything that a recipe may name.
SHIPPED_NAMES = (*(f"{_PREFIX}{name}" for name in SHIPPED), _UBUNTU_KEY)
DEBIAN = "debian"
DEBIAN_SECURITY = "debian-security"
UBUNTU = "ubuntu"


class BadKey(HomeportError):
    """A file or text is not an OpenPGP certificate that can be used."""

    id = "bad-key"


class Keyring(msgspec.Struct, frozen=True, kw_only=True):
    """Certificates that may sign one suite.

    name:         where they come from, for messages
    certificates: binary OpenPGP certificates
    only:         if given, fingerprints of the primary keys (or with ``!`` of the very
                  signing keys) that count; the others of the ring do not
    """

    name: str
    certificates: tuple[bytes, ...]
    only: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        count = len(self.certificates)
        return f"Keyring(name={self.name!r}, {count} certificates, only={sorted(self.only)})"

    def limited_to(self, fingerprints: Iterable[str]) -> Keyring:
        """The same ring, limited to these keys (apt's Signed-By with fingerprints)."""
        return msgspec.structs.replace(
            self, only=frozenset(parse_fingerprint(text) for text in fingerprints)
        )

    def accepts(self, certificate: str, signing_key: str) -> bool:
        """Whether a good signature by these upper-case fingerprints counts."""
        if not self.only:
            return True
        return certificate in self.only or f"{signing_key}!" in self.only

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The primary fingerprints that count, upper case, in the ring's order."""
        wanted = {text.rstrip("!") for text in self.only}
        return tuple(keys[0] for keys in self.all_keys if not wanted or wanted & set(keys))

    def trust_end(self, keys: Iterable[SigningKey]) -> TrustEnd | None:
        """When the last of these signing keys ends; ``None`` if one of them never does."""
        return last_trust_end(self.certificates, keys)

    @property
    def all_keys(self) -> tuple[tuple[str, ...], ...]:
        """Per certificate the fingerprints of its keys, the primary one first."""
        return tuple(_key_fingerprints(certificate) for certificate in self.certificates)


def parse_fingerprint(text: str) -> str:
    """A full fingerprint, blanks removed and in upper case; ``!`` at its end stays."""
    plain = text.replace(" ", "").upper().removeprefix("0X")
    if not _FINGERPRINT.fullmatch(plain):
        raise UsageError(
            f"invalid fingerprint {text!r}",
            hint="give all 40 (or 64) hexadecimal digits; short key ids can be forged",
        )
    return plain


def parse_keyring(data: bytes, name: str) -> Keyring:
    """Certificates, binary or in ASCII armour, one or several. Raises ``BadKey``."""
    if data[8:12] == _KEYBOX:
        raise BadKey(
            "this is a GnuPG keybox; only GnuPG reads that format",
            where={"file": name},
            hint=f"gpg --no-default-keyring --keyring {shell_path(name)} --export > keys.pgp",
        )
    try:
        certificates = tuple(bytes(cert) for cert in pysequoia.Cert.split_bytes(data))
    except (RuntimeError, ValueError) as error:
        raise BadKey("this is not an OpenPGP certificate", where={"file": name}) from error
    if not certificates:
        raise BadKey("the file contains no OpenPGP certificate", where={"file": name})
    return Keyring(name=name, certificates=certificates)


def read_keyring(path: Path) -> Keyring:
    """The certificates in a file."""
    data = read_input(path, MAX_KEYRING, f"keyring {path}")
    return parse_keyring(data, str(path))


def join_keyrings(keyrings: Iterable[Keyring]) -> Keyring:
    """One ring that trusts every key that one of them trusts; none may be limited."""
    rings = tuple(keyrings)
    assert not any(ring.only for ring in rings)
    return Keyring(
        name=", ".join(ring.name for ring in rings),
        certificates=tuple(dict.fromkeys(cert for ring in rings for cert in ring.certificates)),
    )


def debian_keyring(archive: str, suite: str) -> Keyring:
    """The shipped certificates that sign a suite of Debian, or of Ubuntu.

    ``archive`` is ``debian``, ``debian-security`` or ``ubuntu``; others have keys of their own.
    """
    release = suite.partition("-")[0].partition("/")[0]
    if archive == DEBIAN:
        aliases = release.endswith("stable") and release != "unstable"
        names = _RELEASES.get(release, _ALIASES if aliases else _ROLLING)
    elif archive == UBUNTU:
        names = (_UBUNTU_KEY,)
    elif archive == DEBIAN_SECURITY:
        names = _SECURITY.get(release, _SECURITY_ROLLING)
    else:
        raise UsageError(
            f"the archive {archive!r} is not Debian's own, so its keys must be named",
            hint="give the recipe's archive a 'keys' entry",
        )
    return join_keyrings(shipped_keyring(name) for name in names)


def shipped_keyring(name: str) -> Keyring:
    """One of the certificates in ``debian/keys``: ``[debian-archive-]trixie-automatic``."""
    full = f"{_PREFIX}{name}" if name in SHIPPED else name
    if full not in SHIPPED_NAMES:
        raise UsageError(
            f"no certificate named {name!r} ships with Homeport",
            hint=f"available: {', '.join(SHIPPED_NAMES)}",
        )
    file = resources.files("homeport.debian") / "keys" / f"{full}.pgp"
    return parse_keyring(file.read_bytes(), full)


def _key_fingerprints(certificate: bytes) -> tuple[str, ...]:
    return tuple(
        packet.fingerprint.upper()
        for packet in PacketPile.from_bytes(certificate)
        if tag_of(packet) in (Tag.PublicKey, Tag.PublicSubkey) and packet.fingerprint
    )
