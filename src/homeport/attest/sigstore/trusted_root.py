"""The trusted root: certificate authorities, logs and time-stamp authorities that are believed.

The format is sigstore's (protobuf-specs, sigstore_trustroot.proto). Ours ships as dated data;
``--trusted-root`` names another, for example that of a private Sigstore. There is no TUF client:
updating the file is a release of Homeport, or the user's own step.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from importlib import resources
from pathlib import Path

import msgspec
from cryptography import x509

from homeport.attest.errors import BadKey, BadTrustedRoot
from homeport.attest.keys.public_key import PublicKey, decode_public_key
from homeport.content.files import read_input

_LIMIT = 4 << 20
_PREFIX = "application/vnd.dev.sigstore.trustedroot"
#: When ``public_good_root.json`` was taken from the public-good instance.
PUBLIC_ROOT_DATE = "2026-11-28"


class Period(msgspec.Struct, frozen=True):
    """From when, and until when if there is an end, something is believed."""

    start: datetime | None = None
    end: datetime | None = None

    def covers(self, time: datetime) -> bool:
        """Whether ``time`` is within."""
        return (self.start is None or self.start <= time) and (self.end is None or time <= self.end)


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """A transparency log or certificate-transparency log.

    key_id: how entries and SCTs name it
    host:   of its address; the origin of its checkpoints, for Rekor v2
    """

    key_id: bytes
    key: PublicKey
    host: str
    period: Period


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate authority: its chain, the leaf's issuer (or the TSA's own) first."""

    chain: tuple[x509.Certificate, ...]
    period: Period


class TrustedRoot(msgspec.Struct, frozen=True, kw_only=True):
    """All that is believed."""

    logs: tuple[Log, ...] = ()
    certificate_logs: tuple[Log, ...] = ()
    authorities: tuple[Authority, ...] = ()
    timestamp_authorities: tuple[Authority, ...] = ()
    name: str = ""


def public_root() -> TrustedRoot:
    """Sigstore's public-good instance, as it was on ``PUBLIC_ROOT_DATE``."""
    raw = resources.files(__package__).joinpath("public_good_root.json").read_bytes()
    return parse_trusted_root(raw, f"sigstore.dev ({PUBLIC_ROOT_DATE})")


def read_trusted_root(path: Path) -> TrustedRoot:
    """A file of the user's. Raises ``BadTrustedRoot``."""
    raw = read_input(path, _LIMIT)
    return parse_trusted_root(raw, str(path))


def find_trusted_root(path: Path | None) -> TrustedRoot:
    """The trusted root of the user's, else sigstore's."""
    return read_trusted_root(path) if path is not None else public_root()


def parse_trusted_root(raw: bytes, name: str) -> TrustedRoot:
    """Read a trusted root. Raises ``BadTrustedRoot`` naming the file."""
    try:
        wire = _ROOT_DECODER.decode(raw)
        if not wire.media_type.startswith(_PREFIX):
            raise BadTrustedRoot(f"{name} is not a trusted root: mediaType {wire.media_type!r}")
        return TrustedRoot(
            logs=tuple(_log(one) for one in wire.tlogs),
            certificate_logs=tuple(_log(one) for one in wire.ctlogs),
            authorities=tuple(_authority(one) for one in wire.certificate_authorities),
            timestamp_authorities=tuple(_authority(one) for one in wire.timestamp_authorities),
            name=name,
        )
    except (msgspec.DecodeError, RecursionError, ValueError, BadKey) as error:
        raise BadTrustedRoot(f"{name} is not a valid trusted root: {error}") from error


class _Wire(msgspec.Struct, rename="camel"):
    pass


class _Bytes(_Wire):
    raw_bytes: str


class _Key(_Wire):
    raw_bytes: str
    valid_for: Period = Period()


class _LogId(_Wire):
    key_id: str


class _Log(_Wire):
    public_key: _Key
    log_id: _LogId
    base_url: str = ""
    checkpoint_key_id: _LogId | None = None


class _Chain(_Wire):
    certificates: list[_Bytes]


class _Authority(_Wire):
    cert_chain: _Chain
    valid_for: Period = Period()


class _Root(_Wire):
    media_type: str = ""
    tlogs: list[_Log] = []
    ctlogs: list[_Log] = []
    certificate_authorities: list[_Authority] = []
    timestamp_authorities: list[_Authority] = []


_ROOT_DECODER = msgspec.json.Decoder(_Root)


def _log(wire: _Log) -> Log:
    host = wire.base_url.partition("://")[2].partition("/")[0]
    return Log(
        key_id=_bytes(wire.log_id.key_id),
        key=decode_public_key(_bytes(wire.public_key.raw_bytes), f"the key of {host or 'a log'}"),
        host=host,
        period=wire.public_key.valid_for,
    )


def _authority(wire: _Authority) -> Authority:
    return Authority(
        chain=tuple(
            x509.load_der_x509_certificate(_bytes(one.raw_bytes))
            for one in wire.cert_chain.certificates
        ),
        period=wire.valid_for,
    )


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"invalid base64: {error}") from error
