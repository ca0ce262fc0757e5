"""Policies: for each pattern of images, who must have signed what (docs/formats/policy.md).

One file for ``audit`` and for verification: each reads its own part and checks the other's shape.
What ships with Homeport is ``shipped.yaml``, dated data that a file of the user's replaces.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Signs = Literal["image", "attestation-manifest"]
Enforce = Literal["reject", "warn"]
PolicyForm = Literal["legacy", "bundle"]

POLICY_SCHEMA = "homeport-policy/v1"


class PolicyIdentity(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}
):
    """Who may sign: keys, or an identity with its issuer.

    keys:         files (beside the policy), ``env://NAME``, or the base64 of a DER form
    since, until: dates between which the keys are used
    log:          whether signatures with these keys must be in the transparency log
    san:          names in the certificate; a ``*`` at the end makes a prefix
    build_signer, source_repository, source_ref, runner: what else it must say
    signs:        the image, or as Docker's builder does the attestation manifest of each platform
    trusted_root: a file beside the policy; sigstore's by default
    """

    keys: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    log: Literal["optional", "required"] = "optional"
    issuer: str = ""
    san: tuple[str, ...] = ()
    build_signer: str = ""
    source_repository: str = ""
    source_ref: str = ""
    runner: str = ""
    signs: Signs = "image"
    forms: tuple[PolicyForm, ...] = ()
    trusted_root: str = ""


class PolicyRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for images whose repository matches.

    match:        ``HOST/REPOSITORY``; a ``*`` at the end makes a prefix. The longest pattern wins
    identity:     names of identities, any of which may have signed
    threshold:    how many different ones must have
    repository:   the source repository that certificates must name
    floating:     tags that name no version (a ``*`` at the end makes a prefix)
    since:        the first version that is signed; older ones are not verified
    ref:          the ref that certificates must name, with ``{version}`` for that of the tag
    variants:     endings of tags and refs that must agree (``-labs``)
    strip:        endings of tags that say nothing about the version (``-rootless``)
    attestations: predicate types that must be attested too
    signed_as:    names under which the image was signed, if it is a copy
    rebuilders:   names of identities whose statement that they built it again counts
    min_rebuilders: how many must have built it, the publisher among them
    enforce:      what a failed verification means
    unsigned:     these images have no signatures
    """

    match: tuple[str, ...]
    identity: tuple[str, ...] = ()
    threshold: int = 1
    repository: str = ""
    floating: tuple[str, ...] = ()
    since: str = ""
    ref: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    strip: tuple[str, ...] = ()
    attestations: tuple[str, ...] = ()
    signed_as: tuple[str, ...] = ()
    rebuilders: tuple[str, ...] = ()
    min_rebuilders: int = 0
    enforce: Enforce = "reject"
    unsigned: bool = False


class SignaturePolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy file; the last four fields are ``audit``'s and not read here.

    default: what it means that no rule matches an image
    bundles: names of identities, any of which must have signed a bundle's list of contents
    """

    schema: str = POLICY_SCHEMA
    identities: dict[str, PolicyIdentity] = {}
    images: tuple[PolicyRule, ...] = ()
    default: Enforce = "warn"
    bundles: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    allow_registries: tuple[str, ...] = ()
    allow: tuple[dict[str, str], ...] = ()
    confidence: str = ""

    def rule_for(self, repository: str) -> PolicyRule | None:
        """The rule with the most specific pattern that matches ``HOST/REPOSITORY``."""
        found, best = None, -1
        for rule in self.images:
            for pattern in rule.match:
                exact = not pattern.endswith("*")
                fits = repository == pattern if exact else repository.startswith(pattern[:-1])
                weight = pattern_weight(pattern)
                if fits and weight > best:
                    found, best = rule, weight
        return found


def pattern_weight(pattern: str) -> int:
    """How specific a pattern is; the greatest of those that match wins."""
    return len(pattern.removesuffix("*")) * 2 + (not pattern.endswith("*"))
