"""Verifying an image by a policy: which rule holds, and what its verdict means."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Literal

import msgspec

from homeport.attest.attached.base import Attached
from homeport.attest.attached.collecting import Form
from homeport.attest.policy.chain import verify_chain
from homeport.attest.policy.model import PolicyRule
from homeport.attest.policy.reading import LoadedPolicy
from homeport.attest.policy.rebuilders import rebuilders_of
from homeport.attest.policy.versions import is_before, ref_mismatch
from homeport.attest.statement import PREDICATE_TYPES
from homeport.attest.verification.image import ImageResult, verify_image
from homeport.attest.verification.signers import IdentitySigner
from homeport.attest.verification.verify import Clock, Requirement
from homeport.content.thread_pools import Threads
from homeport.images.image import Image, Index

Decision = Literal["verified", "unverified", "rejected"]
_FORMS: dict[str, tuple[Form, ...]] = {
    "legacy": ("legacy", "legacy-attestation"), "bundle": ("bundle",)
}  # fmt: skip


class PolicyResult(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of a policy on an image.

    decision: ``unverified``: the policy does not require signatures here, ``reason`` says why
    rule:     the patterns of the rule that held; empty if none did
    result:   what was verified, if anything was
    """

    decision: Decision
    reason: str = ""
    hint: str = ""
    rule: str = ""
    result: ImageResult | None = None


def check_image(
    value: Image | Index, attached: Attached, loaded: LoadedPolicy, pool: Threads, *,
    repository: str, tag: str = "", require: bool = False, min_rebuilders: int = 0,
    clock: Clock = lambda: datetime.now(UTC),
) -> PolicyResult:  # fmt: skip
    """Verify ``value``, which ``repository`` has under ``tag``, by the rule that matches.

    require: an image that the policy requires no signature of is rejected, too
    min_rebuilders: how many must have built it, if that is more than the rule says
    """
    rule = loaded.policy.rule_for(repository)
    if rule is None or rule.unsigned or is_before(tag, rule):
        reject = require or (rule is None and loaded.policy.default == "reject")
        return PolicyResult(
            decision="rejected" if reject else "unverified",
            reason=_why_unverified(rule, tag, loaded),
            hint=""
            if rule
            else f"say who signs {repository} in a policy, and name it: --policy FILE",
            rule=_name(rule),
        )
    result = _verify(value, attached, loaded, rule, pool, tag=tag, clock=clock)
    if result.verified:
        wanted = max(rule.min_rebuilders, min_rebuilders)
        count = partial(rebuilders_of, value, attached, loaded.rebuilders(rule), pool, clock=clock)
        result = _with_rebuilders(result, rule, wanted, count) if wanted else result
    if result.verified:
        return PolicyResult(decision="verified", rule=_name(rule), result=result)
    rejected = [one for one in result.subject.signatures if one.verdict == "rejected"]
    reasons = dict.fromkeys([*result.subject.missing[:3], *(one.reason for one in rejected[:1])])
    reject = require or rule.enforce == "reject"
    return PolicyResult(
        decision="rejected" if reject else "unverified",
        reason="; ".join(reasons), rule=_name(rule), result=result,
        hint=next((one.hint for one in rejected if one.hint), ""),
    )  # fmt: skip


def _verify(
    value: Image | Index, attached: Attached, loaded: LoadedPolicy, rule: PolicyRule,
    pool: Threads, *, tag: str, clock: Clock,
) -> ImageResult:  # fmt: skip
    identities = [loaded.policy.identities[name] for name in rule.identity]
    signers = tuple(
        msgspec.structs.replace(one, accepts_ref=lambda ref: ref_mismatch(tag, ref, rule))
        if isinstance(one, IdentitySigner)
        else one
        for one in loaded.signers(rule)
    )
    forms = tuple(form for one in identities for name in one.forms for form in _FORMS[name])
    requirement = Requirement(
        signers=signers, threshold=rule.threshold, forms=forms,
        predicates=tuple(PREDICATE_TYPES.get(one, one) for one in rule.attestations),
    )  # fmt: skip
    if any(one.signs == "attestation-manifest" for one in identities):
        subject = verify_chain(value, attached, requirement, pool, clock=clock)
        return ImageResult(digest=str(value.digest), subject=subject)
    return verify_image(
        value, attached, requirement, pool, signed_as=rule.signed_as, clock=clock, platforms=False
    )


def _with_rebuilders(
    result: ImageResult, rule: PolicyRule, wanted: int, count: Callable[..., int]
) -> ImageResult:
    """``result`` with what is missing if too few have built the image."""
    publisher = [one.identity for one in result.subject.signatures if one.verdict == "valid"]
    found = 1 + count(publisher=publisher)
    subject = result.subject
    if found < wanted:
        names = ", ".join(rule.rebuilders) or "the rule names none"
        lacks = f"built by {found} of {wanted} required, the publisher among them ({names})"
        subject = msgspec.structs.replace(subject, missing=(lacks,))
    return msgspec.structs.replace(result, subject=subject, builders=found)


def _why_unverified(rule: PolicyRule | None, tag: str, loaded: LoadedPolicy) -> str:
    if rule is None:
        return f"no rule of {loaded.name} matches it"
    if rule.unsigned:
        return "its publisher does not sign it"
    return f"{tag} is older than {rule.since}, the first version that is signed"


def _name(rule: PolicyRule | None) -> str:
    return ", ".join(rule.match) if rule is not None else ""
