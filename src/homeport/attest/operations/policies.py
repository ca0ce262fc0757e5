"""Verifying by policies: ``verify``, what is copied, policies for others, and ``inspect``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from homeport.attest.attached.base import Attached
from homeport.attest.attached.layout import LayoutAttached
from homeport.attest.attached.registry import RegistryAttached
from homeport.attest.attached.select import open_attached
from homeport.attest.errors import NotVerified
from homeport.attest.keys.sources import load_public_key
from homeport.attest.operations.access import Access
from homeport.attest.policy.checking import PolicyResult, check_image
from homeport.attest.policy.emit import emit
from homeport.attest.policy.emitted import EmittedPolicy, Pin
from homeport.attest.policy.reading import LoadedPolicy, read_policy, shipped_policy
from homeport.attest.sigstore.trusted_root import public_root
from homeport.attest.verification.description import describe
from homeport.attest.verification.image import ImageResult, verify_image
from homeport.attest.verification.signers import KeySigner, Signer
from homeport.attest.verification.verify import Requirement, SubjectResult
from homeport.content.digest import Digest
from homeport.errors import UsageError
from homeport.images.address import Address, LayoutAddress, RegistryAddress, parse_source
from homeport.images.ambiguity import require_unambiguous
from homeport.images.image import Image, Index
from homeport.oci.reference import Reference


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
        attached = RegistryAttached(access.registry(source), access.runtime)
        return verify_named(value, attached, source.reference, options, access)

    return verify


def verify_named(
    value: Image | Index, attached: Attached, name: Reference, options: SourceVerification,
    access: Access,
) -> str:  # fmt: skip
    """The policy's decision about an image under its name: ``verified`` or ``unverified``.

    Raises ``NotVerified`` if it must not be copied; warns where nothing requires a signature.
    """
    if options.skip:
        return ""
    loaded = load_policy(options.policy, access.environment)
    found = check_image(
        value, attached, loaded, access.runtime.pools.network, repository=name.name,
        tag=name.tag, require=options.require,
    )  # fmt: skip
    if found.decision == "rejected":
        raise _rejected(str(name), value, found)
    if found.decision == "unverified":
        access.runtime.progress.note(
            "verify", f"warning: {name}: signature not verified: {found.reason}"
        )
    return found.decision


def verify_bundle(
    contents: Image | None, attached: Attached, keys: Sequence[str], options: SourceVerification,
    access: Access,
) -> tuple[str, ...]:  # fmt: skip
    """Whose signatures of a bundle's list of contents are valid; ``()`` if none is required.

    contents: the list; ``None``: the bundle has none
    keys:     public keys, any of which must have signed it; else the policy says who must have
    Raises ``NotVerified``.
    """
    if options.skip:
        return ()
    signers: tuple[Signer, ...] = (
        tuple(
            KeySigner(name=place, keys=(load_public_key(place, access.environment),))
            for place in keys
        )
        or load_policy(options.policy, access.environment).bundlers()
    )
    if not signers:
        return ()
    wanted = " or ".join(one.name for one in signers)
    if contents is None:
        raise NotVerified(
            f"the bundle has no list of contents, which {wanted} must have signed",
            hint="write the bundle again: homeport bundle IMAGE -o FILE --key KEY",
        )
    result = verify_image(
        contents, attached, Requirement(signers=signers), access.runtime.pools.network
    )
    if not result.verified:
        why = "; ".join(result.subject.missing)
        raise NotVerified(f"the bundle's list of contents: {why}", where={"digest": result.digest})
    valid = [one.identity for one in result.subject.signatures if one.verdict == "valid"]
    return tuple(dict.fromkeys(valid))


def verify_by_policy(
    image: str, policy: Path | None, access: Access, *, min_rebuilders: int = 0
) -> ImageResult:
    """Verify an image by the rule that matches its name; without one the verdict is no."""
    loaded = load_policy(policy, access.environment)
    address = parse_source(image)
    if not isinstance(address, RegistryAddress):
        raise UsageError(
            f"{image} is in no registry, so that no policy names it",
            hint="verify it with --key, or --identity and --issuer",
        )
    reference = address.reference
    with open_attached(address, access.registry, access.runtime) as (value, attached):
        require_unambiguous(value)
        found = check_image(
            value, attached, loaded, access.runtime.pools.network, repository=reference.name,
            tag=reference.tag, require=True, min_rebuilders=min_rebuilders,
        )  # fmt: skip
        if found.result is not None:
            return found.result
        missing = SubjectResult(
            digest=str(value.digest), signatures=(), missing=(f"not verified: {found.reason}",),
            hint="" if found.rule else "say who must have signed it: --key cosign.pub, --identity"
            " and --issuer, or --policy FILE with a rule for it",
        )  # fmt: skip
        return ImageResult(digest=str(value.digest), subject=missing)


def describe_signatures(
    address: RegistryAddress | LayoutAddress, subject: str, access: Access
) -> dict[str, str]:
    """The verdict on everything attached to a digest, by artifact. No policy names layouts."""
    signers: tuple[Signer, ...] = ()
    attached: Attached
    if isinstance(address, RegistryAddress):
        loaded = load_policy(None, access.environment)
        rule = loaded.policy.rule_for(address.reference.name)
        signers = loaded.signers(rule) if rule is not None else ()
        attached = RegistryAttached(access.registry(address), access.runtime)
    else:
        attached = LayoutAttached(address, access.runtime)
    return describe(attached, Digest.parse(subject), signers, public_root())


def load_policy(path: Path | None, environment: Mapping[str, str]) -> LoadedPolicy:
    """The policy of the user's, else the one that ships."""
    return read_policy(path, environment) if path is not None else shipped_policy(environment)


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


def _rejected(image: str, value: Image | Index, found: PolicyResult) -> NotVerified:
    by = f" (rule {found.rule})" if found.rule else ""
    return NotVerified(
        f"{image} is not signed as the policy requires{by}: {found.reason}",
        where={"digest": str(value.digest)}, hint=found.hint or None,
    )  # fmt: skip
