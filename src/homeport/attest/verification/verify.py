"""The rules: which signatures of an image are valid, and whether they satisfy what is required.

Ours, over ``cryptography``, because no library verifies signatures with keys and legacy
signatures too (docs/decisions/verifier.md). Stricter than cosign in what is named here; every
rule has its case in tests/attest/test_faults.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from homeport.attest import statement
from homeport.attest.attached.collecting import Attachment, Form
from homeport.attest.errors import BadKey, BadSignature
from homeport.attest.keys.public_key import PublicKey
from homeport.attest.sigstore.certificate import check_certificate
from homeport.attest.sigstore.log_entry import (
    Logged,
    Signed,
    check_entry,
    check_legacy_entry,
)
from homeport.attest.sigstore.timestamps import timestamp_of
from homeport.attest.sigstore.trusted_root import TrustedRoot
from homeport.attest.verification.candidate import (
    Candidate,
    Claim,
    SignedImage,
    read_candidate,
)
from homeport.attest.verification.signers import (
    IdentitySigner,
    KeySigner,
    Signer,
    in_period,
)

Clock = Callable[[], datetime]


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """Who must have signed what.

    signers:    any of them, unless ``threshold`` is higher
    threshold:  how many different signers there must be
    predicates: predicate types of which each must be attested, besides the signature
    signature:  whether a signature is required at all, or only attestations
    forms:      forms of signatures that count; empty: all
    """

    signers: tuple[Signer, ...]
    threshold: int = 1
    predicates: tuple[str, ...] = ()
    signature: bool = True
    forms: tuple[Form, ...] = ()


class SignatureResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one signature or attestation.

    verdict:     ``valid`` (by a signer that was asked for), or ``rejected`` with a ``reason``
    signer:      the name under which it was asked for
    identity:    the key's fingerprint, or name and issuer in the certificate
    checked:     what was verified
    not_checked: what could have been and was not, with the reason
    """

    form: Form
    artifact: str
    verdict: Literal["valid", "rejected"]
    reason: str = ""
    hint: str = ""
    predicate_type: str = ""
    signer: str = ""
    identity: str = ""
    time: datetime | None = None
    checked: tuple[str, ...] = ()
    not_checked: tuple[str, ...] = ()
    claim: Claim | None = None

    @property
    def is_signature(self) -> bool:
        return self.predicate_type == statement.SIGNATURE


class SubjectResult(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one image (manifest or index) is signed as required.

    missing: what is required and was not found, in words; empty: verified
    hint:    what to do about that
    """

    digest: str
    signatures: tuple[SignatureResult, ...]
    missing: tuple[str, ...]
    hint: str = ""

    @property
    def verified(self) -> bool:
        return not self.missing


def verify_attachments(
    attachments: Sequence[Attachment], image: SignedImage, requirement: Requirement, *,
    clock: Clock = lambda: datetime.now(UTC),
) -> SubjectResult:  # fmt: skip
    """Verify everything attached to ``image`` and decide."""
    results = tuple(_verify_one(one, image, requirement, clock) for one in attachments)
    return SubjectResult(
        digest=str(image.digest), signatures=results, missing=_missing(results, requirement)
    )


def _verify_one(
    attachment: Attachment, image: SignedImage, requirement: Requirement, clock: Clock
) -> SignatureResult:
    reasons: list[BadSignature | BadKey] = []
    identity = ""
    try:
        candidate = read_candidate(attachment, image)
        identity = _identity_of(candidate)
        if requirement.forms and candidate.form not in requirement.forms:
            raise BadSignature(f"a signature of the form {candidate.form} is not accepted here")
    except (BadSignature, BadKey) as error:
        reasons.append(error)
    else:
        for signer in requirement.signers:
            try:
                return _valid(attachment, candidate, signer, clock)
            except (BadSignature, BadKey) as error:
                reasons.append(error)
    reason = _most_telling(reasons)
    return SignatureResult(
        form=attachment.form, artifact=attachment.artifact, verdict="rejected",
        reason=reason.what, hint=reason.hint or "", identity=identity,
    )  # fmt: skip


class _OtherSigner(BadSignature):
    """The signature is of another signer: less telling than a fault of one that should count."""


def _most_telling(reasons: Sequence[BadSignature | BadKey]) -> BadSignature | BadKey:
    telling = [one for one in reasons if not isinstance(one, _OtherSigner)]
    if telling:
        return telling[0]
    return reasons[0] if reasons else BadSignature("no signer is required")


def _identity_of(candidate: Candidate) -> str:
    """Whom the certificate names, before it is verified; empty for a signature with a key."""
    if candidate.certificate is None:
        return ""
    identity = candidate.certificate.identity
    return f"{identity.name} ({identity.issuer})"


def _valid(
    attachment: Attachment, candidate: Candidate, signer: Signer, clock: Clock
) -> SignatureResult:
    """The result for a signature that ``signer`` made. Raises ``BadSignature`` if not."""
    if isinstance(signer, KeySigner):
        proof = _verify_with_key(candidate, signer, clock)
    else:
        proof = _verify_with_certificate(candidate, signer)
    claim = candidate.read_claim()
    return SignatureResult(
        form=attachment.form, artifact=attachment.artifact, verdict="valid",
        predicate_type=claim.predicate_type, signer=signer.name, claim=claim,
        checked=(*proof.pop("checked"), "subject"), **proof,
    )  # fmt: skip


def _verify_with_key(candidate: Candidate, signer: KeySigner, clock: Clock) -> dict[str, Any]:
    key = _signing_key(candidate, signer)
    checked, not_checked, time = ["signature"], [], None
    if signer.root is None:
        not_checked.append("transparency log (not required of this key)")
    else:
        signed = Signed(
            signature=candidate.signature, verifier=key.spki, message=candidate.message,
            payload=candidate.payload,
        )  # fmt: skip
        logged = _check_log(candidate, signed, signer.root)
        times = _times(candidate, logged, signer.root)
        time = min(times)
        checked += ["log inclusion" if candidate.entries else "log promise", "time"]
    if not in_period(signer.period, time, clock()):
        when = f"at {time:%Y-%m-%dT%H:%M:%SZ}" if time else "today"
        raise BadSignature(f"the key of {signer.name} is not valid {when}")
    if time is None and not (signer.period.start or signer.period.end):
        not_checked.append("time of signing (the key has no period)")
    return {
        "identity": key.fingerprint, "time": time, "checked": tuple(checked),
        "not_checked": tuple(not_checked),
    }  # fmt: skip


def _times(candidate: Candidate, logged: Logged, root: TrustedRoot) -> list[datetime]:
    """Proved times of signing, at least one, all while the log was trusted."""
    times = [timestamp_of(one, candidate.signature, root) for one in candidate.timestamps]
    if logged.time is not None:
        times.append(logged.time)
    if not times:
        raise BadSignature(
            "the time of signing is not proved: no time stamp, and the log signed no time"
        )
    for time in times:
        if not logged.log.period.covers(time):
            raise BadSignature(f"the log was not trusted at {time:%Y-%m-%dT%H:%M:%SZ}")
    return times


def _signing_key(candidate: Candidate, signer: KeySigner) -> PublicKey:
    if candidate.certificate is not None:
        raise _OtherSigner("it is signed with a certificate, not with a key")
    for key in signer.keys:
        if key.has_signed(candidate.signature, candidate.message):
            return key
    raise _OtherSigner(f"it is not signed with the key of {signer.name}")


def _verify_with_certificate(candidate: Candidate, signer: IdentitySigner) -> dict[str, Any]:
    """Facts on the order: time, chain, log entry, what the entry names, signature, identity."""
    leaf, root = candidate.certificate, signer.root
    if leaf is None:
        raise _OtherSigner("it is signed with a key, not with a certificate")
    mismatch = signer.mismatch(leaf.identity)
    if mismatch:
        raise _OtherSigner(mismatch)
    signed = Signed(
        signature=candidate.signature, verifier=leaf.der, message=candidate.message,
        payload=candidate.payload,
    )  # fmt: skip
    logged = _check_log(candidate, signed, root)
    times = _times(candidate, logged, root)
    for time in times:
        check_certificate(leaf, root, time)
    if not leaf.key.has_signed(candidate.signature, candidate.message):
        raise BadSignature("the signature was not made with the certificate's key")
    is_legacy = not candidate.entries
    return {
        "identity": f"{leaf.identity.name} ({leaf.identity.issuer})",
        "time": min(times),
        "checked": (
            "signature", "certificate", "certificate transparency", "identity",
            "log promise" if is_legacy else "log inclusion", "time",
        ),
        "not_checked": ("log inclusion (a legacy signature has none)",) if is_legacy else (),
    }  # fmt: skip


def _check_log(candidate: Candidate, signed: Signed, root: TrustedRoot) -> Logged:
    if candidate.form == "bundle":
        if len(candidate.entries) != 1:
            raise BadSignature(f"it has {len(candidate.entries)} log entries, expected 1")
        logged = check_entry(candidate.entries[0], signed, root)
        if logged.is_v2 and not candidate.timestamps:
            raise BadSignature("it has no time stamp, which this log requires")
        return logged
    if not candidate.legacy_entry:
        raise BadSignature("it has no log entry")
    return check_legacy_entry(candidate.legacy_entry, signed, root)


def _missing(results: Sequence[SignatureResult], requirement: Requirement) -> tuple[str, ...]:
    """What is required and not there. Signers count by who they are, not by statements."""
    missing = []
    valid = [one for one in results if one.verdict == "valid"]
    wanted = (statement.SIGNATURE,) if requirement.signature else ()
    for predicate in (*wanted, *requirement.predicates):
        found = _signers([one for one in valid if one.predicate_type == predicate])
        if found < requirement.threshold:
            what = "signature" if predicate == statement.SIGNATURE else f"attestation {predicate}"
            missing.append(_shortfall(what, found, requirement))
    return tuple(missing)


def _signers(results: Sequence[SignatureResult]) -> int:
    """How many signed. A signer with two keys is one, and so are two names for one key."""
    by_key = [one for one in results if one.identity.startswith("sha256:")]
    names = {one.signer for one in by_key}
    keys = {one.identity for one in by_key}
    return min(len(names), len(keys)) + len({one.identity for one in results} - keys)


def _shortfall(what: str, found: int, requirement: Requirement) -> str:
    names = ", ".join(dict.fromkeys(one.name for one in requirement.signers))
    if requirement.threshold == 1:
        return f"no valid {what} of {names}"
    return f"{what}: {found} of {requirement.threshold} required signers ({names})"
