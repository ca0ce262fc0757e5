"""Signing for an identity: a certificate of Fulcio for a key that is thrown away.

Every signature goes into the transparency log before it is written anywhere, and is verified
against the trusted root as readers will do it. The legacy form needs Rekor v1, whose entries are
the only ones that its readers know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from homeport.attest import base64_text, bundle, dsse
from homeport.attest.bundle import (
    Bundle,
    LogEntry,
    RawBytes,
    SignedTimestamp,
    TimestampData,
    VerificationMaterial,
)
from homeport.attest.errors import SigningFailed
from homeport.attest.keys.private_key import PrivateKey, generate_key
from homeport.attest.sigstore.fulcio import Issued, request_certificate
from homeport.attest.sigstore.identity_token import find_token
from homeport.attest.sigstore.rekor import log_envelope, log_payload
from homeport.attest.sigstore.signing_config import Service, SigningConfig, choose
from homeport.attest.sigstore.timestamping import request_timestamp
from homeport.attest.sigstore.trusted_root import TrustedRoot
from homeport.attest.verification.signers import IdentitySigner, Signer
from homeport.net.client import Client

_PREFIX = "dev.sigstore.cosign/"
_SIGNATURE = "dev.cosignproject.cosign/signature"


class KeylessMethod(msgspec.Struct, frozen=True, kw_only=True):
    """Signs with a certificate (``signing.SigningMethod``).

    log: of bundles; ``legacy_log`` of legacy signatures, ``None`` if there is no Rekor v1
    """

    key: PrivateKey
    issued: Issued
    root: TrustedRoot
    client: Client
    log: Service
    legacy_log: Service | None
    tsa: Service | None

    @property
    def name(self) -> str:
        identity = self.issued.certificate.identity
        return f"{identity.name} ({identity.issuer})"

    @property
    def signer(self) -> Signer:
        identity = self.issued.certificate.identity
        return IdentitySigner(
            name=identity.name, names=(identity.name,), issuer=identity.issuer, root=self.root
        )

    @property
    def signs_legacy(self) -> bool:
        return self.legacy_log is not None

    def sign_payload(self, payload: bytes) -> dict[str, str]:
        assert self.legacy_log is not None
        signature = base64_text.encode(self.key.sign(payload))
        certificate = self.issued.certificate
        entry = log_payload(self.client, self.legacy_log, payload, signature, certificate)
        return {_SIGNATURE: signature, **self._annotations(entry)}

    def sign_statement(self, payload: bytes) -> tuple[Bundle, dict[str, str]]:
        envelope = dsse.seal(self.key, payload)
        opened = dsse.open_envelope(envelope)
        certificate = self.issued.certificate
        entry = log_envelope(self.client, self.log, envelope, opened.signed, certificate)
        stamps = None
        if self.tsa is not None:
            stamp = request_timestamp(self.client, self.tsa.url, opened.signature)
            text = SignedTimestamp(signed_timestamp=base64_text.encode(stamp))
            stamps = TimestampData(rfc3161_timestamps=(text,))
        material = VerificationMaterial(
            certificate=RawBytes(raw_bytes=base64_text.encode(certificate.der)),
            tlog_entries=(entry,),
            timestamp_verification_data=stamps,
        )
        made = Bundle(
            media_type=bundle.MEDIA_TYPE, verification_material=material, dsse_envelope=envelope
        )
        return made, self._annotations(entry) if self.signs_legacy else {}

    def _annotations(self, entry: LogEntry) -> dict[str, str]:
        """What cosign keeps beside a legacy signature: certificate, chain, promise of the log."""
        if entry.log_id is None or entry.inclusion_promise is None or not entry.integrated_time:
            raise SigningFailed("Rekor: the entry has no signed time, which legacy readers need")
        key_id = base64_text.decode(entry.log_id.key_id, "the log's id")
        found: dict[str, Any] = {
            "SignedEntryTimestamp": entry.inclusion_promise.signed_entry_timestamp,
            "Payload": {
                "body": entry.canonicalized_body, "integratedTime": int(entry.integrated_time),
                "logIndex": int(entry.log_index), "logID": key_id.hex(),
            },
        }  # fmt: skip
        return {
            f"{_PREFIX}certificate": self.issued.pem,
            f"{_PREFIX}chain": self.issued.chain,
            f"{_PREFIX}bundle": msgspec.json.encode(found).decode(),
        }


def open_keyless(
    config: SigningConfig, root: TrustedRoot, token: str, environment: Mapping[str, str], *,
    client: Callable[[], Client], now: datetime,
) -> KeylessMethod:  # fmt: skip
    """Get a certificate for the identity of a token. Raises ``SigningFailed``."""
    authority = choose(config.ca_urls, now, (1,))
    log = choose(config.rekor_tlog_urls, now, (1, 2))
    tsa = choose(config.tsa_urls, now, (1,))
    if authority is None or log is None:
        raise SigningFailed("the signing configuration names no Fulcio or no Rekor that is valid")
    if log.major_api_version == 2 and tsa is None:
        raise SigningFailed("the signing configuration names no time-stamp authority,"
                            " which Rekor v2 requires")  # fmt: skip
    found = find_token(token, environment, client, now)
    key = generate_key()
    issued = request_certificate(client(), authority.url, found, key)
    return KeylessMethod(
        key=key, issued=issued, root=root, client=client(), log=log,
        legacy_log=choose(config.rekor_tlog_urls, now, (1,)), tsa=tsa,
    )  # fmt: skip
