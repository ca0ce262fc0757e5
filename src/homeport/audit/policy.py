"""What a team allows: a policy, a baseline of what was there before, and violations of both."""

from __future__ import annotations

import datetime
import difflib
import fnmatch
from collections.abc import Iterable, Sequence

import msgspec
import yaml

from homeport.attest.policy.model import POLICY_SCHEMA, Enforce, PolicyIdentity, PolicyRule
from homeport.audit.findings import FINDINGS
from homeport.audit.model import CONFIDENCE, LEVELS, Confidence, Level
from homeport.audit.own_files import check_schema, read_own
from homeport.audit.results import Result
from homeport.errors import UsageError, docs_page

BASELINE_SCHEMA = "homeport-baseline/v1"


class Exemption(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An image that may stay: a pattern for its name, why, and until when."""

    image: str
    why: str
    until: str = ""


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy file. The last four fields are for verifying signatures.

    deny:              ids of findings that are violations
    allow_registries:  when given, images of all other registries are violations
    confidence:        the lowest confidence that counts
    """

    schema: str = POLICY_SCHEMA
    deny: tuple[str, ...] = ()
    allow_registries: tuple[str, ...] = ()
    allow: tuple[Exemption, ...] = ()
    confidence: Confidence = "medium"
    identities: dict[str, PolicyIdentity] = {}
    images: tuple[PolicyRule, ...] = ()
    default: Enforce = "warn"
    bundles: tuple[str, ...] = ()


class Known(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One result that was there when the baseline was written."""

    fingerprint: str
    id: str
    file: str
    image: str


class Baseline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A baseline file."""

    schema: str
    known: tuple[Known, ...]


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """A result that the policy does not allow, and why."""

    result: Result
    why: str


def read_policy(data: bytes, file: str, rules: Iterable[str]) -> Policy:
    """Read a policy file. Raises ``BadFile``, or ``Faults`` of several."""
    read = read_own(data, file, Policy)
    policy = read.value
    check_schema(read, policy.schema, POLICY_SCHEMA)
    known = tuple(rules)
    for number, id in enumerate(policy.deny):
        try:
            check_ids([id], known)
        except UsageError as error:
            read.fault(["deny", number], error.what, error.hint)
    for number, exemption in enumerate(policy.allow):
        if exemption.until and not _is_date(exemption.until):
            read.fault(["allow", number, "until"], f"invalid date {exemption.until!r}",
                       "write it like 2026-12-31")  # fmt: skip
    return read.check()


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def check_ids(ids: Iterable[str], rules: Iterable[str]) -> None:
    """Raise ``UsageError`` for an id that no finding has."""
    known = {*FINDINGS, *rules}
    for id in ids:
        if id not in known:
            near = difflib.get_close_matches(id, sorted(known), n=3)
            raise UsageError(
                f"unknown finding {id!r}",
                hint=f"did you mean {' or '.join(near)}?" if near else docs_page("findings"),
            )


def violations(
    results: Sequence[Result], policy: Policy, today: datetime.date, fail_on: Level | None = None
) -> list[Violation]:
    """Results that break the policy and are not in the baseline."""
    found = []
    for result in results:
        if result.known or CONFIDENCE.index(result.use.confidence) > CONFIDENCE.index(
            policy.confidence
        ):
            continue
        if any(_excepts(exception, result, today) for exception in policy.allow):
            continue
        why = _why(result, policy)
        if not why and fail_on and LEVELS.index(result.level) <= LEVELS.index(fail_on):
            why = f"a finding of level {result.level}"
        if why:
            found.append(Violation(result=result, why=why))
    return found


def _why(result: Result, policy: Policy) -> str:
    ids = {result.id, *(risk.id for risk in result.image.risks)}
    if denied := [id for id in policy.deny if id in ids]:
        return f"{denied[0]} is denied"
    reference = result.image.reference
    if policy.allow_registries and reference is not None:
        name = reference.name
        if not any(name == p or name.startswith(f"{p}/") for p in policy.allow_registries):
            return f"{reference.registry} is not among the allowed registries"
    return ""


def _excepts(exception: Exemption, result: Result, today: datetime.date) -> bool:
    if exception.until and datetime.date.fromisoformat(exception.until) < today:
        return False
    reference = result.image.reference
    names = [result.image.name] + ([reference.name, reference.familiar] if reference else [])
    return any(fnmatch.fnmatchcase(name, exception.image) for name in names)


def read_baseline(data: bytes, file: str) -> Baseline:
    """Read a baseline file. Raises ``BadFile``, or ``Faults`` of several."""
    read = read_own(data, file, Baseline)
    check_schema(read, read.value.schema, BASELINE_SCHEMA)
    return read.check()


def write_baseline(results: Iterable[Result]) -> bytes:
    """Everything that is there now, as a baseline file; sorted, so that diffs are short."""
    known = sorted(
        (
            {"fingerprint": r.fingerprint, "id": r.id, "file": r.use.place.file,
             "image": r.image.name}
            for r in results
        ),
        key=lambda entry: (entry["file"], entry["image"], entry["fingerprint"]),
    )  # fmt: skip
    text: str = yaml.safe_dump(
        {"schema": BASELINE_SCHEMA, "known": known}, sort_keys=False, width=1 << 30,
        allow_unicode=True,
    )  # fmt: skip
    return text.encode()
