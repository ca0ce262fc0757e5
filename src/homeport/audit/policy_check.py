"""An audit judged by a team's policy: its results, and those that the policy does not allow."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

import msgspec

from homeport.audit.auditing import AuditResult
from homeport.audit.model import Level
from homeport.audit.policy import (
    Policy,
    Violation,
    check_ids,
    read_baseline,
    read_policy,
    violations,
)
from homeport.audit.results import Result, results
from homeport.content.files import read_input

_LARGEST = 16 << 20  # bytes of a baseline or a policy
#: What ``deny_foreign`` denies where nothing else is denied or allowed.
_FOREIGN = ("foreign", "unresolved")


class PolicyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """A policy file, and what is added to it.

    deny:             ids of findings
    allow_registries: images of all others are violations
    deny_foreign:     deny any foreign image, unless something else is denied or allowed
    baseline:         results that this file records are not violations
    fail_on:          results of this level or a higher one are violations
    """

    policy: Path | None = None
    deny: Sequence[str] = ()
    allow_registries: Sequence[str] = ()
    deny_foreign: bool = False
    baseline: Path | None = None
    fail_on: Level | None = None


class PolicyResult(msgspec.Struct, frozen=True, kw_only=True):
    """Every result of an audit, and the violations among them."""

    results: tuple[Result, ...]
    violations: tuple[Violation, ...]


def check_policy(
    audited: AuditResult, options: PolicyOptions, today: datetime.date | None = None
) -> PolicyResult:
    """Judge the results of an audit. Raises ``UsageError``, ``BadFile``."""
    known: list[str] = []
    if path := options.baseline:
        known = [k.fingerprint for k in read_baseline(read_input(path, _LARGEST), str(path)).known]
    found = tuple(results(audited.report, known))
    today = today or datetime.datetime.now(datetime.UTC).date()
    broken = violations(found, _policy(audited, options), today, options.fail_on)
    return PolicyResult(results=found, violations=tuple(broken))


def _policy(audited: AuditResult, options: PolicyOptions) -> Policy:
    policy = Policy()
    if path := options.policy:
        policy = read_policy(read_input(path, _LARGEST), str(path), audited.rules)
    check_ids(options.deny, audited.rules)
    deny = (*policy.deny, *options.deny)
    allowed = (*policy.allow_registries, *options.allow_registries)
    if options.deny_foreign and not deny and not allowed:
        deny = _FOREIGN
    return Policy(
        deny=deny, allow_registries=allowed, allow=policy.allow, confidence=policy.confidence
    )
