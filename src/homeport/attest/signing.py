"""Signing images and attesting facts about them, in both forms that verifiers read.

Each time a legacy artifact (the tag ``sha256-HEX.sig`` or ``.att``) and a bundle of version 0.3
that refers to the image: cosign 2, skopeo and podman read only the first, cosign 3 prefers the
second. Of an index every platform manifest too, because skopeo and podman look at nothing else.

All signatures are made before the first is written; what an earlier run wrote is found by
verifying it, so a second run completes the first and a third changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, Protocol

import msgspec

from homeport.attest import base64_text, bundle, dsse, simple_signing, statement
from homeport.attest.attached.base import Attached
from homeport.attest.attached.collecting import Attachment, Form, collect, legacy_tag
from homeport.attest.bundle import Bundle, KeyHint, VerificationMaterial
from homeport.attest.dsse import Envelope
from homeport.attest.errors import SigningFailed
from homeport.attest.keys.private_key import PrivateKey
from homeport.attest.verification.candidate import SignedImage
from homeport.attest.verification.image import platform_children
from homeport.attest.verification.signers import KeySigner, Signer
from homeport.attest.verification.verify import Requirement, verify_attachments
from homeport.content.blob import BytesBlob
from homeport.content.digest import Digest
from homeport.content.thread_pools import Threads, run_all
from homeport.images.artifact import artifact, artifact_layer
from homeport.images.image import Image, Index, digest_of
from homeport.oci import media_types
from homeport.oci.documents import (
    Descriptor,
    Manifest,
    written,
)

Clock = Callable[[], datetime]
_SIGNATURE = "dev.cosignproject.cosign/signature"


class SignedPayload(msgspec.Struct, frozen=True, kw_only=True):
    """A signed payload of a legacy artifact, with the annotations of its layer."""

    content: bytes
    annotations: dict[str, str]


class SigningMethod(Protocol):
    """A way to sign: with a key, or with a certificate for an identity."""

    @property
    def name(self) -> str:
        """The signer, for people: a key's fingerprint, or an identity and its issuer."""

    @property
    def signer(self) -> Signer:
        """How verification knows this signer, to find what is signed already."""

    @property
    def signs_legacy(self) -> bool:
        """Whether it can make the legacy form, too."""

    def sign_payload(self, payload: bytes) -> dict[str, str]:
        """Sign a legacy payload; the annotations of its layer."""

    def sign_statement(self, payload: bytes) -> tuple[Bundle, dict[str, str]]:
        """Sign a statement: as a bundle, and the further annotations of a legacy layer."""


class KeyMethod(msgspec.Struct, frozen=True):
    """Signs with a key."""

    key: PrivateKey

    @property
    def name(self) -> str:
        return self.key.public.fingerprint

    @property
    def signer(self) -> Signer:
        return KeySigner(name="this key", keys=(self.key.public,))

    @property
    def signs_legacy(self) -> bool:
        return True

    def sign_payload(self, payload: bytes) -> dict[str, str]:
        return {_SIGNATURE: base64_of(self.key.sign(payload))}

    def sign_statement(self, payload: bytes) -> tuple[Bundle, dict[str, str]]:
        material = VerificationMaterial(public_key=KeyHint(hint=self.key.public.hint))
        return _bundle(dsse.seal(self.key, payload), material), {}


class SignRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to sign.

    predicate_type, predicate: ``statement.SIGNATURE`` signs the image, others attest
    reference:   the name in legacy signatures; default: the repository
    annotations: further text that is signed
    platforms:   whether platform manifests are signed too (an attestation about one image is not
                 one about others)
    """

    predicate_type: str = statement.SIGNATURE
    predicate: Any = msgspec.field(default_factory=dict)
    reference: str = ""
    annotations: Mapping[str, str] = msgspec.field(default_factory=dict)
    platforms: bool = True

    @property
    def is_signature(self) -> bool:
        return self.predicate_type == statement.SIGNATURE


class SignedForm(msgspec.Struct, frozen=True, kw_only=True):
    """One form of one signature. ``state``: written now, there before, or only planned."""

    form: Form
    state: Literal["written", "present", "planned"]


class SignedSubject(msgspec.Struct, frozen=True, kw_only=True):
    """What was signed, in which forms."""

    digest: Digest
    platform: str
    forms: tuple[SignedForm, ...]


class _Target(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest to sign and the forms that it lacks."""

    descriptor: Descriptor
    raw: Callable[[], bytes]
    platform: str
    missing: tuple[Form, ...] = ()

    @property
    def digest(self) -> Digest:
        return digest_of(self.descriptor)


class _Work(msgspec.Struct, frozen=True, kw_only=True):
    """What is written for one target."""

    target: _Target
    referrer: Image | None
    legacy: SignedPayload | None
    bundle: bytes = b""


def sign_image(
    value: Image | Index, attached: Attached, method: SigningMethod, request: SignRequest,
    pool: Threads, *, dry_run: bool = False, clock: Clock = lambda: datetime.now(UTC),
) -> list[SignedSubject]:  # fmt: skip
    """Sign ``value``, and of an index every platform manifest. Safe to run again.

    dry_run: find out what is missing, and write nothing
    """
    targets = run_all(
        pool,
        [partial(_with_missing, one, attached, method, request)
         for one in _targets(value, request.platforms)],
    )  # fmt: skip
    if not dry_run:
        work = [_signed(one, attached, method, request, clock) for one in targets if one.missing]
        for one in work:
            _check(one, method, request)
        _write(work, attached, request, pool)
    state: Literal["written", "planned"] = "planned" if dry_run else "written"
    return [
        SignedSubject(
            digest=one.digest, platform=one.platform,
            forms=tuple(
                SignedForm(form=form, state=state if form in one.missing else "present")
                for form in _forms(request, method)
            ),
        )
        for one in targets
    ]  # fmt: skip


def base64_of(data: bytes) -> str:
    """``data`` as the formats of signatures write it."""
    return base64_text.encode(data)


def _forms(request: SignRequest, method: SigningMethod) -> tuple[Form, ...]:
    if not method.signs_legacy:
        return ("bundle",)
    return ("legacy" if request.is_signature else "legacy-attestation", "bundle")


def _targets(value: Image | Index, platforms: bool) -> list[_Target]:
    """Platform manifests first, so that a signed index is one whose platforms are signed."""
    platform = "" if isinstance(value, Index) else str(value.platform or "")
    top = _Target(
        descriptor=value.document.descriptor(), raw=lambda: value.document.raw, platform=platform
    )
    children = [
        _Target(
            descriptor=child.descriptor, raw=partial(_raw_of, child.open),
            platform=str(child.platform or ""),
        )
        for child in (platform_children(value) if platforms else ())
    ]  # fmt: skip
    return [*children, top]


def _raw_of(opener: Callable[[], Image | Index]) -> bytes:
    return opener().document.raw


def _with_missing(
    target: _Target, attached: Attached, method: SigningMethod, request: SignRequest
) -> _Target:
    """The target with the forms in which it is not yet signed by this signer in these words."""
    found = collect(attached, target.digest, attestations=not request.is_signature)
    image = SignedImage(digest=target.digest, manifest=target.raw)
    requirement = Requirement(signers=(method.signer,))
    present = {
        one.form
        for one in verify_attachments(found, image, requirement).signatures
        if one.verdict == "valid" and one.claim is not None and _says(one.claim, request, attached)
    }
    missing = tuple(form for form in _forms(request, method) if form not in present)
    return msgspec.structs.replace(target, missing=missing)


def _says(claim: Any, request: SignRequest, attached: Attached) -> bool:
    """Whether a verified claim is the one that is to be made."""
    if claim.predicate_type != request.predicate_type:
        return False
    if claim.reference and claim.reference != _reference(request, attached):
        return False
    if not request.is_signature:
        return bool(claim.predicate == request.predicate)
    return dict(claim.annotations) == dict(request.annotations)


def _reference(request: SignRequest, attached: Attached) -> str:
    return request.reference or attached.repository or "unnamed"


def _signed(
    target: _Target, attached: Attached, method: SigningMethod, request: SignRequest, clock: Clock
) -> _Work:
    referrer, legacy, content = None, None, b""
    digest = target.digest
    if request.is_signature:
        if "legacy" in target.missing:
            payload = simple_signing.make_payload(
                _reference(request, attached), digest, request.annotations
            )
            legacy = SignedPayload(content=payload, annotations=method.sign_payload(payload))
        if "bundle" in target.missing:
            payload = statement.make_statement(
                digest, request.predicate_type, request.predicate, annotations=request.annotations
            )
            signed, _ = method.sign_statement(payload)
            content = msgspec.json.encode(signed)
            referrer = _referrer(target.descriptor, content, request.predicate_type, clock())
        return _Work(target=target, referrer=referrer, legacy=legacy, bundle=content)
    payload = statement.make_statement(digest, request.predicate_type, request.predicate)
    signed, annotations = method.sign_statement(payload)
    if "bundle" in target.missing:
        content = msgspec.json.encode(signed)
        referrer = _referrer(target.descriptor, content, request.predicate_type, clock())
    if "legacy-attestation" in target.missing:
        assert signed.dsse_envelope is not None
        legacy = SignedPayload(
            content=msgspec.json.encode(signed.dsse_envelope),
            annotations={_SIGNATURE: "", "predicateType": request.predicate_type, **annotations},
        )
    return _Work(target=target, referrer=referrer, legacy=legacy, bundle=content)


def _check(work: _Work, method: SigningMethod, request: SignRequest) -> None:
    """Verify what was made as its readers will, before anything of it is written.

    What a service answered may be wrong, and so may this machine's clock. Raises
    ``SigningFailed``.
    """
    made: list[tuple[Form, bytes, dict[str, str]]] = []
    if work.legacy is not None:
        form: Form = "legacy" if request.is_signature else "legacy-attestation"
        made.append((form, work.legacy.content, work.legacy.annotations))
    if work.referrer is not None:
        made.append(("bundle", work.bundle, {}))
    image = SignedImage(digest=work.target.digest, manifest=work.target.raw)
    attachments = [
        Attachment(form=kind, artifact="new", content=content, annotations=annotations)
        for kind, content, annotations in made
    ]
    result = verify_attachments(attachments, image, Requirement(signers=(method.signer,)))
    for one in result.signatures:
        if one.verdict == "rejected":
            raise SigningFailed(
                f"the new signature of {work.target.digest} is not valid: {one.reason}",
                hint="nothing was written; check the trusted root and this machine's clock",
            )


def _bundle(envelope: Envelope, material: VerificationMaterial) -> Bundle:
    return Bundle(
        media_type=bundle.MEDIA_TYPE, verification_material=material, dsse_envelope=envelope
    )


def _referrer(subject: Descriptor, raw: bytes, predicate_type: str, time: datetime) -> Image:
    """The manifest of a bundle, which refers to the image."""
    return artifact(
        bundle.MEDIA_TYPE, [artifact_layer(BytesBlob(raw), bundle.MEDIA_TYPE)], subject,
        {
            bundle.CONTENT_ANNOTATION: "dsse-envelope",
            bundle.PREDICATE_ANNOTATION: predicate_type,
            bundle.CREATED_ANNOTATION: f"{time:%Y-%m-%dT%H:%M:%SZ}",
        },
    )  # fmt: skip


def bare_referrer(subject: Descriptor, raw: bytes, media_type: str) -> Image:
    """A document that refers to an image by itself: nothing signed, the same bytes each time."""
    return artifact(media_type, [artifact_layer(BytesBlob(raw), media_type)], subject)


def _write(work: Sequence[_Work], attached: Attached, request: SignRequest, pool: Threads) -> None:
    """Write what was signed: platforms before the index, bundles before the older form."""
    attached.write_referrers([one.referrer for one in work if one.referrer is not None])
    suffix, media_type = (
        (".sig", simple_signing.MEDIA_TYPE) if request.is_signature else (".att", dsse.MEDIA_TYPE)
    )
    for one in work:
        if one.legacy is not None:
            tag = legacy_tag(one.target.digest, suffix)
            attached.change_tagged(tag, partial(_appended, one.legacy, media_type, attached))


def _appended(
    payload: SignedPayload, media_type: str, attached: Attached, current: Image | None
) -> Image:
    """A legacy artifact with one more layer; the others stay as they are."""
    content = BytesBlob(payload.content)
    old = current.document.parsed.layers if current is not None else ()
    layers = (*old, artifact_layer(content, media_type, payload.annotations)[0])
    config = BytesBlob(_config(layers))
    manifest = Manifest(
        schema_version=2,
        media_type=media_types.OCI_MANIFEST,
        config=Descriptor(
            media_type=media_types.OCI_CONFIG, digest=str(config.digest), size=config.size
        ),
        layers=layers,
        annotations=current.document.parsed.annotations if current is not None else {},
    )
    blobs = dict(current.blobs) if current is not None else {}
    return Image(
        document=written(manifest, media_types.OCI_MANIFEST),
        blobs={**blobs, config.digest: config, content.digest: content},
    )


def _config(layers: Sequence[Descriptor]) -> bytes:
    """The config that cosign writes beside signatures: a blank image of these layers."""
    created = "0001-01-01T00:00:00Z"
    return msgspec.json.encode(
        {
            "architecture": "", "created": created,
            "history": [{"created": created} for _ in layers], "os": "",
            "rootfs": {"type": "layers", "diff_ids": [one.digest for one in layers]},
            "config": {},
        }
    )  # fmt: skip
