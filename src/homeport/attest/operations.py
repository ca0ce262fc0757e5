"""What the commands for signatures do: sign, attest and verify, with typed results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from homeport.attest.attached.registry import RegistryAttached
from homeport.attest.attached.select import RegistryMaker, open_attached
from homeport.attest.errors import NotVerified
from homeport.attest.keyless import open_keyless
from homeport.attest.keys.private_key import AskPassword
from homeport.attest.keys.sources import load_private_key, load_public_key
from homeport.attest.policy.checking import PolicyResult, check_image
from homeport.attest.policy.emit import EmittedPolicy, Pin, emit
from homeport.attest.policy.reading import LoadedPolicy, read_policy, shipped_policy
from homeport.attest.signing import (
    KeyMethod,
    SignedSubject,
    SigningMethod,
    SignRequest,
    sign_image,
)
from homeport.attest.sigstore.signing_config import public_signing_config, read_signing_config
from homeport.attest.sigstore.trusted_root import TrustedRoot, public_root, read_trusted_root
from homeport.attest.statement import PREDICATE_TYPES, SIGNATURE
from homeport.attest.verification.description import describe
from homeport.attest.verification.image import ImageResult, verify_image
from homeport.attest.verification.signers import IdentitySigner, KeySigner, Signer
from homeport.attest.verification.verify import Requirement, SubjectResult
from homeport.content.digest import Digest
from homeport.content.files import explained
from homeport.content.reading import read_bounded
from homeport.errors import UsageError
from homeport.images.address import Address, RegistryAddress, parse_source
from homeport.images.image import Image, Index
from homeport.net.client import Client
from homeport.runtime import Runtime

#: Bytes of a predicate: as much as BuildKit takes for a statement.
PREDICATE_LIMIT = 40 << 20


class SignOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to sign.

    key:         file or ``env://NAME``; empty: an identity token is used (``keyless``)
    identity_token: or ``env://NAME``; by default that of the CI system
    signing_config, trusted_root: of a Sigstore of one's own; by default the public-good instance
    reference:   the name in legacy signatures, instead of the repository
    annotations: further text that is signed
    dry_run:     find out what is missing, and write nothing
    """

    key: str = ""
    identity_token: str = ""
    signing_config: Path | None = None
    trusted_root: Path | None = None
    reference: str = ""
    annotations: Mapping[str, str] = msgspec.field(default_factory=dict)
    dry_run: bool = False


class SignResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was signed by whom; ``dry_run``: what would be."""

    image: str
    digest: str
    signer: str
    subjects: tuple[SignedSubject, ...]
    dry_run: bool = False


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


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What operations need from ``homeport.app``."""

    registry: RegistryMaker
    runtime: Runtime
    environment: Mapping[str, str]
    client: Callable[[], Client]


def sign(
    image: str, options: SignOptions, access: Access, ask_password: AskPassword | None
) -> SignResult:
    """Sign an image: index and platforms, in both forms."""
    request = SignRequest(reference=options.reference, annotations=options.annotations)
    return _sign(image, options, request, access, ask_password)


def attest(
    image: str, predicate_type: str, predicate: Path, options: SignOptions, *, access: Access,
    ask_password: AskPassword | None,
) -> SignResult:  # fmt: skip
    """Attest the predicate in a file about the digest that an address leads to."""
    request = SignRequest(
        predicate_type=predicate_uri(predicate_type), predicate=read_predicate(predicate),
        platforms=False,
    )  # fmt: skip
    return _sign(image, options, request, access, ask_password)


def verify(image: str, options: VerifyOptions, access: Access) -> ImageResult:
    """Verify the signatures of an image. A verdict of no is a result, not an error."""
    if not options.keys and not options.identities and not options.issuer:
        return _verify_by_policy(image, options, access)
    if options.policy is not None:
        raise UsageError("--policy cannot be combined with --key, --identity and --issuer")
    requirement = make_requirement(options, access.environment)
    with open_attached(parse_source(image), access.registry, access.runtime) as (value, attached):
        return verify_image(
            value, attached, requirement, access.runtime.pools.network,
            signed_as=options.signed_as, every_platform=options.every_platform,
        )  # fmt: skip


class SourceVerification(msgspec.Struct, frozen=True, kw_only=True):
    """How an image is verified before it is copied.

    policy:  the policy that ships by default
    require: an image that the policy requires no signature of is not copied, either
    skip:    verify nothing
    """

    policy: Path | None = None
    require: bool = False
    skip: bool = False


def source_verifier(
    source: Address, options: SourceVerification, access: Access
) -> Callable[[Image | Index], str]:
    """What verifies the image at ``source``; raises ``NotVerified`` if it must not be copied.

    Its verdict is ``verified``, ``unverified`` or empty. A layout of the user's own is verified
    only if signatures are required, for a policy names images of registries.
    """

    def verify(value: Image | Index) -> str:
        if options.skip:
            return ""
        if not isinstance(source, RegistryAddress):
            if options.require:
                raise NotVerified(f"{source} is in no registry, so that no policy names it")
            return ""
        loaded = load_policy(options.policy, access.environment)
        attached = RegistryAttached(access.registry(source), access.runtime)
        reference = source.reference
        found = check_image(
            value, attached, loaded, access.runtime.pools.network, repository=reference.name,
            tag=reference.tag, require=options.require,
        )  # fmt: skip
        if found.decision == "rejected":
            raise _rejected(str(source), value, found)
        if found.decision == "unverified":
            access.runtime.progress.note(
                "verify", f"warning: {reference}: signature not verified: {found.reason}"
            )
        return found.decision

    return verify


def describe_signatures(address: RegistryAddress, subject: str, access: Access) -> dict[str, str]:
    """The verdict on everything attached to a digest in a repository, by artifact."""
    loaded = load_policy(None, access.environment)
    rule = loaded.policy.rule_for(address.reference.name)
    signers = loaded.signers(rule) if rule is not None else ()
    attached = RegistryAttached(access.registry(address), access.runtime)
    return describe(attached, Digest.parse(subject), signers, public_root())


def load_policy(path: Path | None, environment: Mapping[str, str]) -> LoadedPolicy:
    """The policy of the user's, else the one that ships."""
    return read_policy(path, environment) if path is not None else shipped_policy(environment)


def _rejected(image: str, value: Image | Index, found: PolicyResult) -> NotVerified:
    by = f" (rule {found.rule})" if found.rule else ""
    return NotVerified(
        f"{image} is not signed as the policy requires{by}: {found.reason}",
        where={"digest": str(value.digest)}, hint=found.hint or None,
    )  # fmt: skip


def emit_policy(
    target: str, policy: Path | None, images: Sequence[str], access: Access
) -> EmittedPolicy:
    """A policy in another tool's form. Raises ``NotVerified`` for an image that is not signed."""
    loaded = load_policy(policy, access.environment)
    pins = []
    for image in images:
        address = parse_source(image)
        if not isinstance(address, RegistryAddress):
            raise UsageError(f"{image} is in no registry, so that no policy names it")
        reference = address.reference
        with open_attached(address, access.registry, access.runtime) as (value, attached):
            found = check_image(
                value, attached, loaded, access.runtime.pools.network, repository=reference.name,
                tag=reference.tag, require=True,
            )  # fmt: skip
            if found.decision != "verified":
                raise _rejected(image, value, found)
            pins.append(Pin(reference=reference, digest=value.digest))
    return emit(target, loaded, pins)


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
    raise NotVerified(
        f"{image}: {'; '.join(missing)}", where={"digest": result.digest},
        hint=next((one.hint for one in rejected if one.hint), None),
    )  # fmt: skip


def make_requirement(options: VerifyOptions, environment: Mapping[str, str]) -> Requirement:
    """What the options require. Raises ``UsageError``, ``BadKey``, ``BadTrustedRoot``."""
    signers: list[Signer] = [
        KeySigner(name=place, keys=(load_public_key(place, environment),)) for place in options.keys
    ]
    if bool(options.identities) != bool(options.issuer):
        raise UsageError("--identity and --issuer are required together")
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


def find_trusted_root(path: Path | None) -> TrustedRoot:
    """The trusted root of the user's, else sigstore's."""
    return read_trusted_root(path) if path is not None else public_root()


def predicate_uri(type: str) -> str:
    """The predicate type that a short name stands for. Raises ``UsageError``."""
    if type == "signature":
        return SIGNATURE
    if type in PREDICATE_TYPES:
        return PREDICATE_TYPES[type]
    if ":" not in type:
        raise UsageError(
            f"unknown predicate type {type!r}",
            hint=f"use {', '.join(PREDICATE_TYPES)}, or a URI",
        )
    return type


def read_predicate(path: Path) -> Any:
    """A predicate: a JSON object. Raises ``UsageError``."""
    with explained(path, "read"), path.open("rb") as stream:
        raw = read_bounded(stream, PREDICATE_LIMIT, str(path))
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid JSON: {error}", where={"file": str(path)}) from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} is not a JSON object", where={"file": str(path)})
    return found


def _verify_by_policy(image: str, options: VerifyOptions, access: Access) -> ImageResult:
    loaded = load_policy(options.policy, access.environment)
    address = parse_source(image)
    if not isinstance(address, RegistryAddress):
        raise UsageError(
            f"{image} is in no registry, so that no policy names it",
            hint="verify it with --key, or --identity and --issuer",
        )
    reference = address.reference
    with open_attached(address, access.registry, access.runtime) as (value, attached):
        found = check_image(
            value, attached, loaded, access.runtime.pools.network, repository=reference.name,
            tag=reference.tag, require=True,
        )  # fmt: skip
        if found.result is not None:
            return found.result
        missing = SubjectResult(
            digest=str(value.digest), signatures=(), missing=(f"not verified: {found.reason}",)
        )
        return ImageResult(digest=str(value.digest), subject=missing)


def _sign(
    image: str, options: SignOptions, request: SignRequest, access: Access,
    ask_password: AskPassword | None,
) -> SignResult:  # fmt: skip
    method = _method(options, access, ask_password)
    with open_attached(parse_source(image), access.registry, access.runtime) as (value, attached):
        subjects = sign_image(
            value, attached, method, request, access.runtime.pools.network,
            dry_run=options.dry_run,
        )  # fmt: skip
    return SignResult(
        image=image, digest=str(value.digest), signer=method.name, subjects=tuple(subjects),
        dry_run=options.dry_run,
    )  # fmt: skip


def _method(
    options: SignOptions, access: Access, ask_password: AskPassword | None
) -> SigningMethod:
    if not options.key:
        config = (
            read_signing_config(options.signing_config)
            if options.signing_config is not None
            else public_signing_config()
        )
        return open_keyless(
            config, find_trusted_root(options.trusted_root), options.identity_token,
            access.environment, client=access.client, now=datetime.now(UTC),
        )  # fmt: skip
    if options.identity_token or options.signing_config or options.trusted_root:
        raise UsageError(
            "--key cannot be combined with --identity-token, --signing-config or --trusted-root"
        )
    key = load_private_key(options.key, access.environment, ask_password)
    return KeyMethod(key)
