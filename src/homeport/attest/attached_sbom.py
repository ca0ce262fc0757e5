"""The bill of materials that is attached to an image, wherever its publisher put it.

Looked for in the index beside the image, then among bundles and cosign's attestations, then
among bare referrers. Each must be about the image by digest; whether it is signed is not
asked here. Not for reading what the document says (``homeport.sbom.reading``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from homeport.attest import strict_json
from homeport.attest.attached.base import Attached
from homeport.attest.attached.collecting import ATTESTATION_SIZE, REFERRER_LIMIT, collect
from homeport.attest.errors import BadSignature
from homeport.attest.inside_index import statements_inside
from homeport.attest.statement import PREDICATE_TYPES
from homeport.attest.verification.candidate import SignedImage, read_candidate
from homeport.content.blob import verified
from homeport.content.digest import Digest
from homeport.content.reading import read_bounded
from homeport.errors import HomeportError, Interrupted
from homeport.images.image import Image, Index
from homeport.oci.documents import Descriptor, Manifest, read_manifest_or_index

#: Predicate types begin with one of these: GitHub adds the version, ``…/Document/v2.3``.
_PREDICATES = (PREDICATE_TYPES["spdx"], PREDICATE_TYPES["cyclonedx"])
#: Of bare referrers, as trivy looks for them.
_ARTIFACTS = ("application/spdx+json", "application/vnd.cyclonedx+json")

Place = Literal["index", "bundle", "tag", "referrer"]
_PLACES: dict[str, Place] = {"bundle": "bundle", "legacy-attestation": "tag"}


class AttachedSbom(msgspec.Struct, frozen=True, kw_only=True):
    """A document about one image.

    digest:   of the artifact that holds it
    document: as parsed from JSON; ``None`` if it cannot be used, then ``problem`` says why
    """

    found_as: Place
    digest: str
    document: Any = None
    problem: str = ""


def find_sbom(value: Image | Index, image: Image, attached: Attached | None) -> AttachedSbom | None:
    """The first usable document about ``image``, else the first unusable one, else ``None``.

    value:    what was opened; an index may hold attestations
    attached: ``None`` where nothing can be attached
    Raises what reading the lists raises.
    """
    unusable = None
    for found in _found(value, image, attached):
        if not found.problem:
            return found
        unusable = unusable or found
    return unusable


def _found(value: Image | Index, image: Image, attached: Attached | None) -> Iterator[AttachedSbom]:
    if isinstance(value, Index):
        for one in statements_inside(value, image.digest, _is_sbom):
            yield AttachedSbom(
                found_as="index", digest=one.artifact, document=one.predicate, problem=one.problem
            )
    if attached is not None:
        yield from _attested(image, attached)
        yield from _bare(image.digest, attached)


def _is_sbom(predicate_type: str) -> bool:
    return predicate_type.startswith(_PREDICATES)


def _attested(image: Image, attached: Attached) -> Iterator[AttachedSbom]:
    about = SignedImage(digest=image.digest, manifest=lambda: image.document.raw)
    for one in collect(attached, image.digest, attestations=True):
        if one.form == "legacy" or one.problem:
            continue
        try:
            claim = read_candidate(one, about).read_claim()
        except BadSignature as error:
            # Of which kind it is is not known: only what says that it is a bill is told.
            if _is_sbom(one.annotations.get("predicateType", "")):
                yield AttachedSbom(
                    found_as=_PLACES[one.form], digest=one.artifact, problem=error.what
                )
            continue
        if _is_sbom(claim.predicate_type):
            yield AttachedSbom(
                found_as=_PLACES[one.form], digest=one.artifact, document=claim.predicate
            )


def _bare(digest: Digest, attached: Attached) -> Iterator[AttachedSbom]:
    listed = [one for one in attached.referrers(digest) if one.artifact_type in ("", *_ARTIFACTS)]
    for one in listed[:REFERRER_LIMIT]:
        try:
            document = _bare_document(digest, one, attached)
        except Interrupted:
            raise
        except HomeportError as error:
            if one.artifact_type:
                yield AttachedSbom(found_as="referrer", digest=one.digest, problem=error.what)
            continue
        if document is not None:
            yield AttachedSbom(found_as="referrer", digest=one.digest, document=document)


def _bare_document(digest: Digest, listed: Descriptor, attached: Attached) -> Any:
    raw = attached.manifest(listed)
    parsed = read_manifest_or_index(raw, "", listed.parsed_digest).parsed
    if not isinstance(parsed, Manifest):
        return None
    layers = [one for one in parsed.layers if one.media_type in _ARTIFACTS]
    if not layers:
        return None
    if parsed.subject is None or parsed.subject.digest != str(digest):
        raise BadSignature(f"it is about another image, not {digest}")
    with verified(attached.blob(layers[0]), "the document") as stream:
        return strict_json.parse(
            read_bounded(stream, ATTESTATION_SIZE, "the document"), "the document"
        )
