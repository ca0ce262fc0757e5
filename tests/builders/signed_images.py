"""An image in a registry and what is attached to it, byte by byte, for tests of verification.

with workshop(tmp_path) as shop:
    shop.legacy(shop.payload())
    shop.bundle(shop.key_bundle(shop.statement()))
    assert shop.verify().verified
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from builders.images import SEVEN, image
from builders.private_sigstore import (
    BUNDLE,
    ISSUER,
    NAME,
    PrivateSigstore,
    b64,
    envelope,
    pae,
    pem_of,
    sha,
    sign,
    spki,
)
from builders.small_registry import Manifest, SmallRegistry, digest_of, small_registry
from homeport.app import App, Settings, open_app
from homeport.attest.operations.verifying import VerifyOptions
from homeport.attest.verification.image import ImageResult
from homeport.images.address import parse_destination
from homeport.images.image import Image, Index, new_index
from homeport.oci import media_types
from homeport.oci.platform import Platform

SIGN = "https://sigstore.dev/cosign/sign/v1"
SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
COSIGN_TYPE = "cosign container image signature"


def seven_platforms() -> Index:
    """An index of seven images."""
    return new_index([image(str(platform)) for platform in SEVEN])


@dataclass
class Workshop:
    """One image ``HOST/a/b:1``, the key ``cosign.pub`` in ``folder``, and a way to verify."""

    registry: SmallRegistry
    folder: Path
    value: Image | Index
    key: ec.EllipticCurvePrivateKey
    app: App
    name: str = "a/b"

    @property
    def repository(self) -> str:
        return f"{self.registry.host}/{self.name}"

    @property
    def address(self) -> str:
        return f"{self.repository}:1"

    @property
    def digest(self) -> str:
        return str(self.value.digest)

    def verify(self, address: str = "", **options: Any) -> ImageResult:
        """Verify with the key, or as ``options`` say."""
        if not options.keys() & {"keys", "identities"}:
            options["keys"] = (str(self.folder / "cosign.pub"),)
        return self.app.verify(address or self.address, VerifyOptions(**options))

    def verify_keyless(self, sigstore: PrivateSigstore, **options: Any) -> ImageResult:
        """Verify with the identity of the private Sigstore."""
        root = sigstore.write_root(self.folder / "trusted_root.json")
        options = {"identities": (NAME,), "issuer": ISSUER, "trusted_root": root} | options
        return self.verify(**options)

    def payload(self, **critical: Any) -> bytes:
        """What a legacy signature signs, as cosign writes it; ``critical`` replaces fields."""
        whole = {
            "identity": {"docker-reference": self.repository},
            "image": {"docker-manifest-digest": self.digest},
            "type": COSIGN_TYPE,
        } | critical
        document = {"critical": whole, "optional": None}
        return json.dumps(document, separators=(",", ":")).encode()

    def statement(self, predicate_type: str = SIGN, **fields: Any) -> bytes:
        """A statement about the image; ``fields`` replace its own."""
        algorithm, _, digits = self.digest.partition(":")
        whole = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {algorithm: digits}}],
            "predicateType": predicate_type,
            "predicate": {},
        } | fields
        return json.dumps(whole, separators=(",", ":")).encode()

    def key_bundle(self, payload: bytes, **fields: Any) -> dict[str, Any]:
        """A bundle signed with the key."""
        hint = b64(sha(spki(self.key)))
        return {
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": hint}},
            "dsseEnvelope": envelope(sign(self.key, pae(payload)), payload),
        } | fields

    def legacy(
        self, payload: bytes, annotations: dict[str, str] | None = None, *,
        media_type: str = SIMPLE, signed: bytes | None = None, subject: str = "",
    ) -> None:  # fmt: skip
        """Append a layer to ``sha256-HEX.sig``; ``signed``: what the signature is over."""
        if annotations is None:
            signature = sign(self.key, payload if signed is None else signed)
            annotations = {"dev.cosignproject.cosign/signature": b64(signature)}
        tag = (subject or self.digest).replace(":", "-") + ".sig"
        found = self.registry.tags.get((self.name, tag))
        old = json.loads(self.registry.manifests[self.name, found].raw)["layers"] if found else []
        layer = self.put_blob(payload) | {"mediaType": media_type, "annotations": annotations}
        config = self.put_blob(b"{}") | {"mediaType": media_types.OCI_CONFIG}
        self.put(
            {"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST, "config": config,
             "layers": [*old, layer]},
            tag,
        )  # fmt: skip

    def bundle(self, document: Any, *, subject: Any = None, **manifest: Any) -> str:
        """Attach a bundle; returns the digest of its manifest."""
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        subject = subject or {
            "mediaType": self.value.document.media_type, "digest": self.digest,
            "size": len(self.value.document.raw),
        }  # fmt: skip
        whole = {
            "schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST, "artifactType": BUNDLE,
            "config": self.put_blob(b"{}") | {"mediaType": media_types.OCI_EMPTY},
            "layers": [self.put_blob(raw) | {"mediaType": BUNDLE}], "subject": subject,
        } | manifest  # fmt: skip
        return self.put({key: value for key, value in whole.items() if value is not None})

    def put_blob(self, data: bytes) -> dict[str, Any]:
        digest = digest_of(data)
        self.registry.blobs[self.name, digest] = data
        return {"digest": digest, "size": len(data)}

    def put(self, document: Any, tag: str = "") -> str:
        raw = json.dumps(document).encode()
        digest = digest_of(raw)
        self.registry.manifests[self.name, digest] = Manifest(
            raw=raw, media_type=document["mediaType"]
        )
        if tag:
            self.registry.tags[self.name, tag] = digest
        return digest


@contextlib.contextmanager
def workshop(
    folder: Path, value: Image | Index | None = None, **registry: Any
) -> Iterator[Workshop]:
    """A registry with an image of one platform, or ``value``."""
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / "cosign.pub").write_bytes(pem_of(key))
    value = image() if value is None else value
    settings = Settings(cache_dir=folder / "cache")
    with small_registry(page=1000, **registry) as served, open_app(settings) as app:
        address = parse_destination(f"{served.host}/a/b:1")
        app.destination(address).write(value, app.runtime)
        yield Workshop(registry=served, folder=folder, value=value, key=key, app=app)


def platform_digest(value: Index, platform: Platform) -> str:
    """The digest of one platform's manifest."""
    return next(str(one.descriptor.digest) for one in value.children if one.platform == platform)


def reasons(result: ImageResult) -> list[str]:
    """Why each signature of the subject was rejected."""
    return [one.reason for one in result.subject.signatures if one.verdict == "rejected"]
