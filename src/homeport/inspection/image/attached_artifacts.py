"""What is attached to an image: SBOMs, provenance, signatures.

Sources: BuildKit's entries in the index, and the registry's referrers and cosign tags where
the caller can list them. Names kind and digest of each; ``attest`` verifies signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from homeport.content.blob import read_verified
from homeport.errors import HomeportError
from homeport.images.image import Image, Index, digest_of
from homeport.inspection.model import Attached
from homeport.oci.documents import Descriptor

_PREDICATE = "in-toto.io/predicate-type"
_KINDS = (
    ("cosign signature", "signature"),
    ("spdx", "SBOM"), ("cyclonedx", "SBOM"), ("syft", "SBOM"), ("slsa", "provenance"),
    ("provenance", "provenance"), ("openvex", "VEX"), ("rebuild-kit", "rebuild kit"),
    ("cosign attestation", "attestation"), ("sigstore", "signature"),
    ("notary", "signature"), ("signature", "signature"),
)  # fmt: skip


def find_attached(
    value: Image | Index,
    image: Image,
    referrers: Callable[[str], Iterable[Descriptor]] | None = None,
    verdicts: Callable[[str], Mapping[str, str]] = lambda _subject: {},
) -> tuple[tuple[Attached, ...], list[str]]:
    """All artifacts attached to ``image``, and what could not be read.

    verdicts: whether the signatures of a digest are valid, by artifact (``attest``)
    """
    rows: list[Attached] = []
    problems: list[str] = []
    if isinstance(value, Index):
        for child in value.children:
            if child.attests == str(image.digest):
                try:
                    rows.extend(_attestations(child.open()))
                except HomeportError as error:
                    problems.append(f"cannot read an attestation: {error.what}")
    for subject in dict.fromkeys((str(image.digest), str(value.digest))):
        if referrers is None:
            break
        try:
            rows.extend(_with_verdicts([_referrer(each) for each in referrers(subject)],
                                       subject, verdicts))  # fmt: skip
        except HomeportError as error:
            problems.append(f"cannot list the referrers of the image: {error.what}")
            break
    return tuple(rows), problems


def _with_verdicts(
    rows: list[Attached], subject: str, verdicts: Callable[[str], Mapping[str, str]]
) -> list[Attached]:
    if not rows:
        return rows
    found = verdicts(subject)
    return [msgspec.structs.replace(row, verdict=found.get(row.digest, "")) for row in rows]


def kind_of(type: str) -> str:
    """By a predicate or artifact type: SBOM, provenance, VEX, rebuild kit, signature, attestation
    (of several types, under a tag of cosign) or other.
    """
    lower = type.lower()
    return next((kind for word, kind in _KINDS if word in lower), "other")


def _attestations(value: Image | Index) -> Iterable[Attached]:
    if not isinstance(value, Image):
        return
    for layer in value.document.parsed.layers:
        type = layer.annotations.get(_PREDICATE) or _predicate(value, layer) or layer.media_type
        yield Attached(
            kind=kind_of(type), type=type, digest=layer.digest, size=layer.size,
            found_as="attestation in the index",
        )  # fmt: skip


def _predicate(image: Image, layer: Descriptor) -> str:
    """The predicate type in an in-toto statement."""
    blob = image.blobs.get(digest_of(layer))
    if blob is None or layer.size > 64 << 20:
        return ""
    raw = read_verified(blob, 64 << 20, "the attestation")
    try:
        return _STATEMENT_DECODER.decode(raw).predicate_type
    except msgspec.DecodeError:
        return ""


class _Statement(msgspec.Struct, rename={"predicate_type": "predicateType"}):
    predicate_type: str = ""


_STATEMENT_DECODER = msgspec.json.Decoder(_Statement)


def _referrer(descriptor: Descriptor) -> Attached:
    annotations = descriptor.annotations
    type = (
        annotations.get("dev.sigstore.bundle.predicateType")
        or annotations.get(_PREDICATE)
        or descriptor.artifact_type
        or descriptor.media_type
    )
    return Attached(
        kind=kind_of(type), type=type, digest=descriptor.digest, size=descriptor.size,
        found_as="referrer" if descriptor.media_type else "tag",
    )  # fmt: skip
