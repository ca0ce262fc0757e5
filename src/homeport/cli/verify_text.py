"""Verdicts on signatures, for people and as the document ``homeport-verify/v1``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from homeport.cli.screen import PLAIN, Column, Screen
from homeport.printable import printable

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


_REBUILT = (
    Column(name="platform"),
    Column(name="expected", drop=1),
    Column(name="built"),
    Column(name="result"),
)
_SIGNED = (Column(name="manifest"), Column(name="digest"), Column(name="signed by", least=24))


def rebuild_text(result: RebuildResult, screen: Screen = PLAIN) -> str:
    """A verdict, and a row for each platform."""
    rows = [
        (
            one.platform, one.expected, one.built or "-",
            ("same", "good") if one.same else ("DIFFERS", "bad"),
        )
        for one in result.platforms
    ]  # fmt: skip
    verdict = "reproduced, bit for bit" if result.verdict == "reproduced" else "NOT reproduced"
    if not result.packages_verified:
        verdict += ", packages not verified"
    return "\n".join(
        (
            f"{printable(result.image)}: {_coloured(screen, verdict)}",
            screen.table(_REBUILT, rows),
            f"index {result.built}",
            printable(f"packages {result.packages}"),
            *(("signed: this rebuild",) if result.signed else ()),
        )
    )


def _coloured(screen: Screen, verdict: str) -> str:
    return screen.styled(verdict, "bad" if verdict.startswith("NOT") else "good")


def verification_text(image: str, result: ImageResult, screen: Screen = PLAIN) -> str:
    """A verdict, a row for each manifest, and the reasons of signatures that do not count."""
    verdict = "verified" if result.verified else "NOT verified"
    rows = [("subject", result.digest, _cell(result.subject))]
    rows += [
        (printable(one.platform) or "-", one.result.digest, _cell(one.result))
        for one in result.platforms
    ]
    name = image if "@" in image else f"{image}@{result.digest}"
    lines = [
        f"{printable(name)}: {_coloured(screen, verdict)}",
        screen.table(_SIGNED, rows),
        *map(printable, _reasons(result.subject)),
        *map(printable, _notes(result)),
        *((f"built by {result.builders}, the publisher among them",)
          if result.builders is not None else ()),
    ]  # fmt: skip
    return "\n".join(lines)


def _cell(result: SubjectResult) -> tuple[str, str]:
    return printable(_verdict(result)), "good" if result.verified else "bad"


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
