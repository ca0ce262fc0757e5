"""In-toto statements about images (in-toto/attestation, spec/v1/statement.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from homeport.attest import strict_json
from homeport.attest.errors import BadSignature
from homeport.content.digest import Digest

V1 = "https://in-toto.io/Statement/v1"
V01 = "https://in-toto.io/Statement/v0.1"
#: The predicate type with which cosign 3 signs an image. No other one is a signature
#: (CVE-2022-35930: any attestation was taken for one).
SIGNATURE = "https://sigstore.dev/cosign/sign/v1"
#: Short names of predicate types, for ``homeport attest --type``.
PREDICATE_TYPES = {
    "spdx": "https://spdx.dev/Document",
    "cyclonedx": "https://cyclonedx.org/bom",
    "slsa": "https://slsa.dev/provenance/v1",
    "vex": "https://openvex.dev/ns",
}
#: Digests of a subject that can be computed from the manifest; each that is there must fit.
_ALGORITHMS = ("sha256", "sha512", "sha384", "sha224", "sha1", "md5")


class Subject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a statement is about, by digest; ``name`` binds nothing."""

    name: str = ""
    digest: dict[str, str] = {}
    annotations: dict[str, Any] = {}


class Statement(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A claim about subjects; fields that are not known are ignored, as the specification says."""

    type: str = msgspec.field(name="_type")
    subject: tuple[Subject, ...]
    predicate_type: str
    predicate: Any = None


_STATEMENT = strict_json.Reader(Statement)


def make_statement(
    digest: Digest, predicate_type: str, predicate: Any, *, name: str = "",
    annotations: Mapping[str, str] | None = None, type: str = V1,
) -> bytes:  # fmt: skip
    """A statement about one image."""
    subject = Subject(
        name=name, digest={digest.algorithm: digest.hex}, annotations=dict(annotations or {})
    )
    return msgspec.json.encode(
        Statement(type=type, subject=(subject,), predicate_type=predicate_type, predicate=predicate)
    )


def read_statement(payload: bytes) -> Statement:
    """Read a statement. Raises ``BadSignature`` if it is none, or of an unknown version."""
    statement = _STATEMENT.decode(payload, "the statement")
    if statement.type not in (V1, V01):
        raise BadSignature(f"the statement has the unknown type {statement.type!r}")
    if not statement.predicate_type:
        raise BadSignature("the statement has no predicate type")
    if not isinstance(statement.predicate, dict):
        raise BadSignature("the statement has no predicate")
    return statement


def check_subject(statement: Statement, digest: Digest, manifest: Callable[[], bytes]) -> None:
    """Require that one subject is the image. Raises ``BadSignature``.

    Digests are compared as they are written: lower-case hexadecimal. A subject whose SHA-256 fits
    and whose other digest does not is not this image.
    """
    wrong = ""
    for subject in statement.subject:
        if subject.digest.get(digest.algorithm) != digest.hex:
            continue
        wrong = _wrong_digest(subject.digest, digest.algorithm, manifest)
        if not wrong:
            return
    if wrong:
        raise BadSignature(f"its subject names another {wrong} digest than the image has")
    raise BadSignature(f"it is about another image, not {digest}")


def _wrong_digest(digests: Mapping[str, str], known: str, manifest: Callable[[], bytes]) -> str:
    for algorithm in _ALGORITHMS:
        if algorithm in digests and algorithm != known:
            found = hashlib.new(algorithm, manifest(), usedforsecurity=False).hexdigest()
            if found != digests[algorithm]:
                return algorithm
    return ""
