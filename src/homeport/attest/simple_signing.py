"""Simple signing: the payload of legacy signatures under the tag ``sha256-HEX.sig``.

containers/image, containers-signature(5), and cosign's specs/SIGNATURE_SPEC.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from homeport.attest import strict_json
from homeport.attest.errors import BadSignature
from homeport.content.digest import Digest
from homeport.errors import HomeportError
from homeport.oci.reference import parse_reference

MEDIA_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
_TYPE = "cosign container image signature"


class _Identity(msgspec.Struct, rename="kebab", forbid_unknown_fields=True):
    docker_reference: str


class _Image(msgspec.Struct, rename="kebab", forbid_unknown_fields=True):
    docker_manifest_digest: str


class _Critical(msgspec.Struct, forbid_unknown_fields=True):
    identity: _Identity
    image: _Image
    type: str


class _Payload(msgspec.Struct, forbid_unknown_fields=True):
    critical: _Critical
    optional: dict[str, Any] | None = None


_PAYLOAD = strict_json.Reader(_Payload)


def make_payload(
    reference: str, digest: Digest, annotations: Mapping[str, str] | None = None
) -> bytes:
    """The bytes that a legacy signature signs, as cosign writes them."""
    payload = _Payload(
        critical=_Critical(
            identity=_Identity(docker_reference=reference),
            image=_Image(docker_manifest_digest=str(digest)),
            type=_TYPE,
        ),
        optional=dict(annotations) if annotations else None,
    )
    return msgspec.json.encode(payload)


def check_payload(
    raw: bytes, digest: Digest, repositories: Collection[str]
) -> tuple[str, dict[str, str]]:
    """Require that ``raw`` is about the image. Returns the reference and what else was signed.

    repositories: names under which the image may have been signed; none: any, as for a layout,
                  which has no name

    Strict where skopeo is: no unknown, duplicate or differently cased key in ``critical``.
    Raises ``BadSignature``.
    """
    payload = _PAYLOAD.decode(raw, "the payload")
    critical = payload.critical
    if critical.type != _TYPE:
        raise BadSignature(f"the payload has the type {critical.type!r}, expected {_TYPE!r}")
    if critical.image.docker_manifest_digest != str(digest):
        raise BadSignature(
            f"it is about another image, {critical.image.docker_manifest_digest}, not {digest}"
        )
    signed = critical.identity.docker_reference
    if repositories and repository_name(signed) not in {repository_name(r) for r in repositories}:
        raise BadSignature(
            f"it was made for {signed}, not for {' or '.join(sorted(repositories))}",
            hint="if the image is a copy of that one, name it with --signed-as",
        )
    return signed, {key: str(value) for key, value in (payload.optional or {}).items()}


def repository_name(reference: str) -> str:
    """``HOST/REPOSITORY`` of a reference, Docker Hub in one spelling. Not a reference: itself."""
    try:
        return parse_reference(reference.replace("index.docker.io/", "docker.io/", 1)).name
    except HomeportError:
        return reference
