"""Verdicts on signatures, for people and as the document ``homeport-verify/v1``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from homeport.cli.show import table
from homeport.printable import output_text

if TYPE_CHECKING:
    from homeport.attest.verification.image import ImageResult
    from homeport.attest.verification.verify import SignatureResult, SubjectResult
    from homeport.building.rebuild import RebuildResult


def verification_document(image: str, result: ImageResult) -> dict[str, Any]:
    """docs/formats/prove.md."""
    return {
        "schema": "homeport-verify/v1", "image": image, "digest": result.digest,
        "verified": result.verified, "builders": result.builders,
        "subjects": [
            _subject("", result.subject, required=True),
            *(
                _subject(one.platform, one.result, required=result.every_platform)
                for one in result.platforms
            ),
        ],
    }  # fmt: skip


def rebuild_text(result: RebuildResult) -> str:
    """A verdict, and a row for each platform."""
    rows = [
        (one.platform, one.expected[:19], one.built[:19] or "-", "same" if one.same else "DIFFERS")
        for one in result.platforms
    ]
    verdict = "reproduced, bit for bit" if result.verdict == "reproduced" else "NOT reproduced"
    if not result.packages_verified:
        verdict += ", packages not verified"
    return "\n".join(
        (
            f"{result.image}: {verdict}",
            table(("PLATFORM", "EXPECTED", "BUILT", ""), rows),
            f"index {result.built}",
            output_text(f"packages {result.packages}"),
            *(("signed: this rebuild",) if result.signed else ()),
        )
    )


def verification_text(image: str, result: ImageResult) -> str:
    """A verdict, a row for each manifest, and the reasons of signatures that do not count."""
    verdict = "verified" if result.verified else "NOT verified"
    rows = [("subject", result.digest[:19], _verdict(result.subject))]
    rows += [
        (one.platform or "-", one.result.digest[:19], _verdict(one.result))
        for one in result.platforms
    ]
    lines = [
        f"{image}@{result.digest}: {verdict}" if "@" not in image else f"{image}: {verdict}",
        table(("MANIFEST", "DIGEST", "SIGNED BY"), rows),
        *_reasons(result.subject),
        *_notes(result),
        *((f"built by {result.builders}, the publisher among them",)
          if result.builders is not None else ()),
    ]  # fmt: skip
    return output_text("\n".join(lines))


def _subject(platform: str, result: SubjectResult, *, required: bool) -> dict[str, Any]:
    return {
        "digest": result.digest, "platform": platform, "required": required,
        "verified": result.verified, "missing": list(result.missing),
        "signatures": [_signature(one) for one in result.signatures],
    }  # fmt: skip


def _signature(one: SignatureResult) -> dict[str, Any]:
    row: dict[str, Any] = {
        "form": one.form, "artifact": one.artifact, "verdict": one.verdict,
        "predicate_type": one.predicate_type, "signer": one.signer, "identity": one.identity,
        "checked": list(one.checked), "not_checked": list(one.not_checked),
    }  # fmt: skip
    if one.reason:
        row["reason"] = one.reason
    if one.time is not None:
        row["time"] = f"{one.time:%Y-%m-%dT%H:%M:%SZ}"
    if one.claim is not None and one.claim.reference:
        row["reference"] = one.claim.reference
    if one.claim is not None and one.claim.annotations:
        row["annotations"] = one.claim.annotations
    return row


def _verdict(result: SubjectResult) -> str:
    if not result.verified:
        return "; ".join(result.missing)
    forms: dict[str, list[str]] = {}
    for one in result.signatures:
        if one.verdict == "valid" and one.form not in forms.setdefault(one.identity, []):
            forms[one.identity].append(one.form)
    return ", ".join(f"{_short(name)} ({', '.join(found)})" for name, found in forms.items())


def _short(identity: str) -> str:
    """An identity for a row: of a key's fingerprint the first digits."""
    return identity[:19] if identity.startswith("sha256:") else identity


def _reasons(result: SubjectResult) -> list[str]:
    """Why signatures of the subject were rejected, where that decides."""
    if result.verified:
        return []
    return [
        f"rejected: {one.form} in {one.artifact[:19]}: {one.reason}"
        + (f" (signed by {one.identity})" if one.identity else "")
        for one in result.signatures
        if one.verdict == "rejected"
    ]


def _notes(result: ImageResult) -> list[str]:
    if not result.platforms or not result.unsigned or not result.subject.verified:
        return []
    return [
        f"note: not signed themselves: {', '.join(result.unsigned)}; skopeo and podman look only "
        "at these"
    ]
