"""What ``homeport verify`` does, with typed results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from homeport.attest.attached.select import open_attached
from homeport.attest.errors import NotVerified
from homeport.attest.keys.sources import load_public_key
from homeport.attest.operations.access import Access
from homeport.attest.predicates import predicate_uri
from homeport.attest.sigstore.trusted_root import find_trusted_root
from homeport.attest.statement import SIGNATURE
from homeport.attest.verification.image import ImageResult, verify_image
from homeport.attest.verification.signers import IdentitySigner, KeySigner, Signer
from homeport.attest.verification.verify import Requirement
from homeport.errors import UsageError
from homeport.images.address import parse_source
from homeport.images.ambiguity import require_unambiguous


class VerifyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Who must have signed what.

    keys:           public keys, each a file or ``env://NAME``; any of them
    identities:     subject alternative names; a ``*`` at the end makes a prefix
    issuer:         of these identities
    trusted_root:   default: sigstore's public-good instance
    types:          short names or URIs of predicates that must be attested
    policy:         a policy, if neither keys nor identities are given; else the one that ships
    threshold:      how many different signers there must be
    signed_as:      names under which the image may have been signed
    every_platform: each platform manifest must be signed too
    min_rebuilders: how many must have built the image, the publisher among them; by a policy
    """

    keys: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    issuer: str = ""
    trusted_root: Path | None = None
    types: tuple[str, ...] = ()
    policy: Path | None = None
    threshold: int = 1
    signed_as: tuple[str, ...] = ()
    every_platform: bool = False
    min_rebuilders: int = 0


def verify(image: str, options: VerifyOptions, access: Access) -> ImageResult:
    """Verify the signatures of an image. A verdict of no is a result, not an error."""
    if not options.keys and not options.identities and not options.issuer:
        # 60 ms that verifying with keys saves
        from homeport.attest.operations.policies import verify_by_policy

        return verify_by_policy(
            image, options.policy, access, min_rebuilders=options.min_rebuilders
        )
    if options.min_rebuilders:
        raise UsageError(
            "--min-rebuilders requires a policy, which names the rebuilders",
            hint="name it with --policy FILE, in place of --key, --identity and --issuer",
        )
    if options.policy is not None:
        raise UsageError("--policy cannot be combined with --key, --identity and --issuer")
    requirement = make_requirement(options, access.environment)
    with open_attached(parse_source(image), access.registry, access.runtime, archives=True) as (
        value,
        attached,
    ):
        require_unambiguous(value)
        return verify_image(
            value, attached, requirement, access.runtime.pools.network,
            signed_as=options.signed_as, every_platform=options.every_platform,
        )  # fmt: skip


def refuse_unverified(image: str, result: ImageResult) -> None:
    """Raise ``NotVerified``, with what is missing, if the verdict is no."""
    if result.verified:
        return
    missing = list(result.subject.missing)
    if result.unsigned_required:
        missing.append(f"not signed: {', '.join(result.unsigned_required)}")
    rejected = [one for one in result.subject.signatures if one.verdict == "rejected"]
    if rejected:
        missing.append(rejected[0].reason)
    hint = next((one.hint for one in rejected if one.hint), None) or result.subject.hint or None
    raise NotVerified(f"{image}: {'; '.join(missing)}", where={"digest": result.digest}, hint=hint)


def make_requirement(options: VerifyOptions, environment: Mapping[str, str]) -> Requirement:
    """What the options require. Raises ``UsageError``, ``BadKey``, ``BadTrustedRoot``."""
    signers: list[Signer] = [
        KeySigner(name=place, keys=(load_public_key(place, environment),)) for place in options.keys
    ]
    if bool(options.identities) != bool(options.issuer):
        raise UsageError(
            "--identity and --issuer are required together",
            hint="--identity is the name in the certificate, --issuer who vouches for it, such as"
            " https://token.actions.githubusercontent.com",
        )
    if options.identities:
        signers.append(
            IdentitySigner(
                name=" or ".join(options.identities), names=options.identities,
                issuer=options.issuer, root=find_trusted_root(options.trusted_root),
            )
        )  # fmt: skip
    return Requirement(
        signers=tuple(signers),
        threshold=options.threshold,
        predicates=tuple(one for one in map(predicate_uri, options.types) if one != SIGNATURE),
        signature=not options.types or "signature" in options.types,
    )
