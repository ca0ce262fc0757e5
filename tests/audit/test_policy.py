"""Policies, exemptions and baselines."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.audit import TODAY, lay_out
from homeport.attest.policy.reading import parse_policy
from homeport.audit.auditing import AuditRequest, audit
from homeport.audit.own_files import BadFile
from homeport.audit.policy import (
    Policy,
    check_ids,
    read_baseline,
    read_policy,
    violations,
    write_baseline,
)
from homeport.audit.results import results
from homeport.errors import Faults, HomeportError, UsageError

FILES = {
    "Dockerfile": "FROM debian:13\nFROM registry.example/a:1.2.3\nRUN docker pull alpine\n",
    ".github/workflows/a.yml": "jobs: {a: {steps: [{uses: docker/setup-qemu-action@v3}]}}\n",
}


def broken(root: Path, policy: Policy, known: bytes = b"") -> list[tuple[str, str]]:
    lay_out(FILES, root)
    report = audit(AuditRequest(paths=["."], root=root, today=TODAY)).report
    fingerprints = [k.fingerprint for k in read_baseline(known, "b").known] if known else []
    found = violations(list(results(report, fingerprints)), policy, TODAY)
    return [(v.result.image.name, v.why) for v in found]


def test_a_denied_finding_is_a_violation(tmp_path: Path) -> None:
    assert broken(tmp_path, Policy(deny=("floating",))) == [
        ("docker.io/tonistiigi/binfmt:latest", "floating is denied"),
        ("docker.io/library/debian:13", "floating is denied"),
    ]


def test_a_rule_can_be_denied_by_its_id(tmp_path: Path) -> None:
    assert broken(tmp_path, Policy(deny=("setup-qemu-binfmt",))) == [
        ("docker.io/tonistiigi/binfmt:latest", "setup-qemu-binfmt is denied")
    ]


def test_registries_that_are_not_allowed_are_violations(tmp_path: Path) -> None:
    policy = Policy(allow_registries=("docker.io/library",))
    assert [name for name, _ in broken(tmp_path, policy)] == [
        "docker.io/tonistiigi/binfmt:latest",
        "registry.example/a:1.2.3",
    ]


def test_weak_finds_count_only_if_the_policy_says_so(tmp_path: Path) -> None:
    weak = broken(tmp_path, Policy(deny=("floating",), confidence="low"))
    assert "docker.io/library/alpine:latest" in [name for name, _ in weak]


def test_an_exemption_holds_until_its_day(tmp_path: Path) -> None:
    text = (
        "schema: homeport-policy/v1\ndeny: [floating]\nallow:\n"
        "  - {image: 'docker.io/tonistiigi/*', why: x}\n"
        "  - {image: 'debian:13', why: y, until: 2026-11-23}\n"
    )
    policy = read_policy(text.encode(), "policy.yaml", [])
    assert [name for name, _ in broken(tmp_path, policy)] == ["docker.io/library/debian:13"]


def test_one_file_is_the_policy_of_the_audit_and_of_signatures(tmp_path: Path) -> None:
    text = (
        b"schema: homeport-policy/v1\ndeny: [floating]\nallow_registries: [docker.io/library]\n"
        b"allow: [{image: 'debian:13', why: y}]\nconfidence: low\ndefault: reject\n"
        b"identities: {us: {issuer: 'https://i.example', san: [me@example.org]}}\n"
        b"images: [{match: [docker.io/library/*], identity: [us], rebuilders: [us]}]\n"
    )
    of_audit = read_policy(text, "policy.yaml", [])
    of_signatures = parse_policy(text, "policy.yaml", {}).policy
    assert ("docker.io/library/alpine:latest", "floating is denied") in broken(tmp_path, of_audit)
    assert of_signatures.default == "reject"
    assert of_signatures.rule_for("docker.io/library/alpine") is not None
    for wrong in (b"images: 1", b"identities: []", b"default: maybe"):
        both = b"schema: homeport-policy/v1\n" + wrong
        with pytest.raises((BadFile, Faults)):
            read_policy(both, "policy.yaml", [])
        with pytest.raises((HomeportError, Faults)):
            parse_policy(both, "policy.yaml", {})


def test_what_the_baseline_knows_is_no_violation(tmp_path: Path) -> None:
    lay_out(FILES, tmp_path)
    report = audit(AuditRequest(paths=["."], root=tmp_path, today=TODAY)).report
    known = write_baseline(results(report))
    assert broken(tmp_path, Policy(deny=("floating",)), known) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            "schema: homeport-policy/v2\n",
            "unknown schema 'homeport-policy/v2', expected 'homeport-policy/v1'",
        ),
        ("deny: [flaoting]\n", "unknown finding 'flaoting'"),
        ("deny: floating\n", "expected a list, found the string 'floating'"),
        ("denied: []\n", "unknown field 'denied'"),
        ("allow: [{image: a}]\n", "missing field 'why'"),
        ("allow: [{image: a, why: b, until: soon}]\n", "invalid date 'soon'"),
        ("deny: []\ndeny: []\n", "duplicate key 'deny', first in line 1"),
        ("<<: {deny: []}\n", "merge keys (<<) are not supported"),
        ("- a\n", "expected a mapping, found a list"),
        ("", "the file is empty"),
        ("a: [\n", "invalid YAML"),
    ],
)
def test_a_wrong_policy_is_named_with_its_place(text: str, what: str) -> None:
    with pytest.raises(BadFile) as raised:
        read_policy(text.encode(), "policy.yaml", [])
    assert what.lower() in raised.value.what.lower()
    assert raised.value.where["file"] == "policy.yaml"


def test_all_faults_of_a_policy_come_at_once_with_their_lines() -> None:
    text = "deny:\n  - flaoting\nallow:\n  - {image: a}\n  - {image: b, why: c, until: soon}\n"
    with pytest.raises(BadFile) as raised:
        read_policy(text.encode(), "policy.yaml", [])
    assert raised.value.where == {
        "file": "policy.yaml", "line": 4, "column": 5, "field": "allow[0]",
    }  # fmt: skip
    with pytest.raises(Faults) as several:
        read_policy(text.replace("{image: a}", "{image: a, why: b}").encode(), "policy.yaml", [])
    assert [(fault.where["line"], fault.where["field"]) for fault in several.value.faults] == [
        (2, "deny[0]"),
        (5, "allow[1].until"),
    ]


def test_a_value_is_the_text_that_was_written() -> None:
    policy = read_policy(b"allow: [{image: 1.10, why: no}]\n", "policy.yaml", [])
    assert (policy.allow[0].image, policy.allow[0].why) == ("1.10", "no")


def test_a_finding_that_is_almost_right_is_suggested() -> None:
    with pytest.raises(UsageError) as raised:
        check_ids(["flaoting"], [])
    assert raised.value.hint == "did you mean floating?"
