"""Who signed an image, without a policy that names who should have: identities as they are found.

A certificate is verified against the trusted root and names its signer itself; a key proves
something only to those who know it, so signatures with keys are told as what they are unless a
policy names the key.
"""

from __future__ import annotations

from collections.abc import Sequence

from homeport.attest.attached.base import Attached
from homeport.attest.attached.collecting import Attachment, collect
from homeport.attest.errors import BadKey, BadSignature
from homeport.attest.sigstore.trusted_root import TrustedRoot
from homeport.attest.verification.candidate import SignedImage, read_candidate
from homeport.attest.verification.signers import IdentitySigner, KeySigner, Signer
from homeport.attest.verification.verify import Requirement, SignatureResult, verify_attachments
from homeport.content.digest import Digest


def describe(
    attached: Attached, digest: Digest, signers: Sequence[Signer], root: TrustedRoot
) -> dict[str, str]:
    """What is attached to ``digest``: digest of the artifact → its verdict in words.

    signers: those that a policy names, tried first
    """
    found: dict[str, list[str]] = {}
    image = SignedImage(
        digest=digest, manifest=lambda: _manifest(attached, digest), repositories=()
    )
    for one in collect(attached, digest, attestations=True):
        verdict = _verdict(one, image, tuple(signers), root)
        if verdict not in found.setdefault(one.artifact, []):
            found[one.artifact].append(verdict)
    return {artifact: "; ".join(verdicts) for artifact, verdicts in found.items()}


def _verdict(
    attachment: Attachment, image: SignedImage, signers: tuple[Signer, ...], root: TrustedRoot
) -> str:
    try:
        candidate = read_candidate(attachment, image)
    except (BadSignature, BadKey) as error:
        return f"not valid: {error.what}"
    certificate = candidate.certificate
    if certificate is not None:
        identity = certificate.identity
        own = IdentitySigner(
            name=identity.name, names=(identity.name,), issuer=identity.issuer, root=root
        )
        return _described(_result(attachment, image, own), f"certificate, {root.name}")
    keys = [one for one in signers if isinstance(one, KeySigner)]
    for signer in keys:
        result = _result(attachment, image, signer)
        if result.verdict == "valid":
            return _described(result, f"key of {signer.name}")
    return "signed with a key that is not known here; verify it with --key"


def _result(attachment: Attachment, image: SignedImage, signer: Signer) -> SignatureResult:
    (result,) = verify_attachments([attachment], image, Requirement(signers=(signer,))).signatures
    return result


def _described(result: SignatureResult, by: str) -> str:
    if result.verdict == "rejected":
        return f"not valid: {result.reason}"
    return f"valid: {result.identity} ({by})"


def _manifest(attached: Attached, digest: Digest) -> bytes:
    found = attached.tagged(str(digest))
    return found.raw if found is not None else b""
