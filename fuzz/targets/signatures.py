"""Signatures and all that belongs to them: bundles, payloads, entries, certificates, keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

from cryptography.hazmat.primitives.serialization import Encoding

from builders.private_sigstore import PrivateSigstore, compact
from homeport.attest.attached.collecting import Attachment
from homeport.attest.keys.private_key import encrypt_key, generate_key, read_private_key
from homeport.attest.keys.public_key import decode_public_key, read_public_key
from homeport.attest.policy.reading import parse_policy
from homeport.attest.sigstore.certificate import read_certificate
from homeport.attest.sigstore.signing_config import parse_signing_config
from homeport.attest.sigstore.trusted_root import parse_trusted_root
from homeport.attest.verification.candidate import SignedImage, read_candidate
from homeport.attest.verification.signers import IdentitySigner
from homeport.attest.verification.verify import Requirement, verify_attachments
from homeport.content.digest import Digest
from homeport.errors import HomeportError

EXPECTED = (HomeportError,)
MAX_LENGTH = 16 << 10
_MANIFEST = b'{"schemaVersion":2}'
_IMAGE = SignedImage(digest=Digest.of(_MANIFEST), manifest=lambda: _MANIFEST)
_SIGSTORE = PrivateSigstore()
_ROOT = parse_trusted_root(compact(_SIGSTORE.trusted_root()), "the root")


def fuzz_one(data: bytes) -> None:
    """Read as each kind; signatures are verified as far as they go, which never raises."""
    text = data.decode("utf-8", "replace")
    legacy = {
        "dev.cosignproject.cosign/signature": "AAAA",
        "dev.sigstore.cosign/certificate": text, "dev.sigstore.cosign/bundle": text,
    }  # fmt: skip
    attachments = [
        Attachment(form="bundle", artifact="x", content=data),
        Attachment(form="legacy-attestation", artifact="x", content=data),
        Attachment(form="legacy", artifact="x", content=data, annotations={**legacy}),
    ]
    signer = IdentitySigner(name="x", names=("*",), issuer="x", root=_ROOT)
    verify_attachments(attachments, _IMAGE, Requirement(signers=(signer,)))
    readers: list[Callable[[], object]] = [
        *(partial(_claim, one) for one in attachments),
        partial(read_certificate, data), partial(decode_public_key, data, "a key"),
        partial(read_public_key, data), partial(read_private_key, data, lambda: b""),
        partial(parse_trusted_root, data, "a root"), partial(parse_signing_config, data, "a file"),
        partial(parse_policy, data, "policy.yaml", {}),
    ]  # fmt: skip
    first: HomeportError | None = None
    read = 0
    for reader in readers:
        try:
            reader()
            read += 1
        except EXPECTED as error:
            first = first or error
    if not read and first is not None:
        raise first


def _claim(attachment: Attachment) -> object:
    return read_candidate(attachment, _IMAGE).read_claim()


def seeds() -> list[bytes]:
    """A bundle, a payload, an entry, a root, a policy, keys."""
    subject = [{"digest": {"sha256": Digest.of(_MANIFEST).hex}}]
    statement = {
        "_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicate": {},
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
    }  # fmt: skip
    critical = {
        "identity": {"docker-reference": "r.example/x"}, "type": "cosign container image signature",
        "image": {"docker-manifest-digest": str(Digest.of(_MANIFEST))},
    }  # fmt: skip
    bundle = _SIGSTORE.bundle(compact(statement))
    key = generate_key()
    return [
        compact(bundle),
        compact(bundle["dsseEnvelope"]),
        compact({"critical": critical, "optional": None}),
        json.dumps(_SIGSTORE.trusted_root()).encode(),
        _SIGSTORE.certificate(_SIGSTORE.log_key).public_bytes(Encoding.DER),
        key.public.pem,
        encrypt_key(key, b""),
        b"schema: homeport-policy/v1\nidentities: {us: {keys: [k.pub]}}\n"
        b"images: [{match: ['r.example/*'], identity: [us], since: '1.2'}]\n",
    ]
