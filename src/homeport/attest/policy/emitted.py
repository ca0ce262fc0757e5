"""What every form of a policy is made from: its rules with their signers, and images by digest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import yaml

from homeport.attest.policy.model import PolicyRule, pattern_weight
from homeport.attest.sigstore.trusted_root import Period
from homeport.attest.verification.signers import IdentitySigner, KeySigner, Signer
from homeport.content.digest import Digest
from homeport.oci.reference import Reference


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """An image that was verified, and its digest."""

    reference: Reference
    digest: Digest


class EmittedPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Files by name, and what the form cannot say."""

    target: str
    files: dict[str, str]
    left_out: tuple[str, ...] = ()


class SignedRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule with the signers that it names.

    on_attestations: whether attestation manifests are signed, not the image
    exceptions:      patterns of other rules that are narrower than one of this rule
    """

    rule: PolicyRule
    signers: tuple[Signer, ...]
    on_attestations: bool
    exceptions: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return ", ".join(self.rule.match)

    @property
    def threshold(self) -> int:
        return self.rule.threshold

    @property
    def rejects(self) -> bool:
        return not self.rule.unsigned and self.rule.enforce == "reject"


def narrower(rule: PolicyRule, rules: Sequence[PolicyRule]) -> tuple[str, ...]:
    """Patterns of other rules that win over one of ``rule`` for some image."""
    return tuple(
        pattern
        for other in rules
        if other is not rule
        for pattern in other.match
        if any(
            wide.endswith("*")
            and pattern.startswith(wide[:-1])
            and pattern_weight(pattern) > pattern_weight(wide)
            for wide in rule.match
        )
    )


def unsaid(one: SignedRule) -> Iterator[str]:
    """What a rule requires besides signatures, which no other tool's form says here."""
    rule = one.rule
    if rule.unsigned:
        return
    if rule.attestations:
        yield f"{one.name}: attestations of {', '.join(rule.attestations)}"
    if rule.min_rebuilders:
        yield f"{one.name}: {rule.min_rebuilders} rebuilders"
    if any(isinstance(s, KeySigner) and s.period != Period() for s in one.signers):
        yield f"{one.name}: when its keys were in use"


def for_admission(rules: Sequence[SignedRule], left_out: list[str]) -> Iterator[SignedRule]:
    """Rules that admission controllers can check: signatures of the image itself."""
    for one in rules:
        claims = [s for s in one.signers if isinstance(s, IdentitySigner) and s.claims]
        if one.rule.unsigned:
            continue
        if one.on_attestations:
            left_out.append(f"{one.name}: signed on attestation manifests, which are not looked at")
        elif claims:
            left_out.append(f"{one.name}: what certificates say besides the name")
        else:
            yield one


def as_yaml(*documents: object) -> str:
    return yaml.safe_dump_all(documents, sort_keys=False, explicit_start=len(documents) > 1)
