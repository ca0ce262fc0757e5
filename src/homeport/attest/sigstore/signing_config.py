"""Where a Sigstore's services are (protobuf-specs, sigstore_trustroot.proto, SigningConfig).

Ours ships as dated data for the public-good instance; ``--signing-config`` names another.
"""

from __future__ import annotations

from datetime import datetime
from importlib import resources
from pathlib import Path

import msgspec

from homeport.attest.errors import BadTrustedRoot
from homeport.attest.sigstore.trusted_root import Period
from homeport.content.files import read_input

_PREFIX = "application/vnd.dev.sigstore.signingconfig"
_LIMIT = 1 << 20


class Service(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One service; ``major_api_version`` says how it is asked."""

    url: str
    major_api_version: int = 1
    valid_for: Period = Period()


class SigningConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All services, each list in the order of the file."""

    media_type: str
    ca_urls: tuple[Service, ...] = ()
    rekor_tlog_urls: tuple[Service, ...] = ()
    tsa_urls: tuple[Service, ...] = ()


_DECODER = msgspec.json.Decoder(SigningConfig)


def public_signing_config() -> SigningConfig:
    """Sigstore's public-good instance."""
    raw = resources.files(__package__).joinpath("public_good_signing.json").read_bytes()
    return parse_signing_config(raw, "sigstore.dev")


def read_signing_config(path: Path) -> SigningConfig:
    """A file of the user's. Raises ``BadTrustedRoot``."""
    raw = read_input(path, _LIMIT)
    return parse_signing_config(raw, str(path))


def parse_signing_config(raw: bytes, name: str) -> SigningConfig:
    """Read a signing configuration. Raises ``BadTrustedRoot``."""
    try:
        found = _DECODER.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadTrustedRoot(f"{name} is not a valid signing configuration: {error}") from error
    if not found.media_type.startswith(_PREFIX):
        raise BadTrustedRoot(f"{name}: not a signing configuration: mediaType {found.media_type!r}")
    return found


def choose(
    services: tuple[Service, ...], now: datetime, versions: tuple[int, ...]
) -> Service | None:
    """The service to use today: of the newest version that is spoken, the first."""
    valid = [one for one in services if one.valid_for.covers(now)]
    usable = [one for one in valid if one.major_api_version in versions]
    return max(usable, key=lambda one: one.major_api_version, default=None)
