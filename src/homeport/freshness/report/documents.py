"""The report for GitLab's Code Quality, for SARIF viewers, and for test reports (JUnit)."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from homeport import __version__
from homeport.audit.findings import page_of
from homeport.audit.report.sarif import SCHEMA, uri_of
from homeport.freshness.model import Change, Report, Subject
from homeport.freshness.report.results import RULES, Finding, change_text, findings
from homeport.printable import printable

_QUALITY = {"high": "major", "medium": "minor", "low": "info"}
_LEVEL = {"high": "error", "medium": "warning", "low": "note"}


def code_quality_document(report: Report) -> list[dict[str, Any]]:
    """One entry a finding, at its line of the lockfile."""
    return [
        {
            "description": found.text,
            "check_name": f"outdated-{found.rule}",
            "fingerprint": found.fingerprint,
            "severity": _QUALITY[found.severity],
            "location": {"path": found.file, "lines": {"begin": found.line}},
        }
        for found in findings(report)
    ]


def sarif_document(report: Report) -> dict[str, Any]:
    """SARIF 2.1.0; without ``security-severity``, which no source gives."""
    results = list(findings(report))
    used = sorted({found.rule for found in results})
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "homeport outdated",
                        "semanticVersion": __version__,
                        "informationUri": page_of(""),
                        "rules": [_rule(rule) for rule in used],
                    }
                },
                "automationDetails": {"id": "homeport-outdated/"},
                "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "the repository"}}},
                "invocations": [
                    {
                        "executionSuccessful": report.complete,
                        "toolExecutionNotifications": [
                            {"level": "warning", "message": {"text": f"{u.what}: {u.why}"}}
                            for subject in report.subjects
                            for u in subject.unknown
                        ],
                    }
                ],
                "results": [_result(found, used.index(found.rule)) for found in results],
            }
        ],
    }


def _rule(rule: str) -> dict[str, Any]:
    title, why = RULES[rule]
    return {
        "id": f"outdated-{rule}",
        "shortDescription": {"text": title},
        "fullDescription": {"text": why},
        "helpUri": page_of(""),
        "properties": {"tags": ["supply-chain", "containers"]},
    }


def _result(found: Finding, index: int) -> dict[str, Any]:
    place = {"uri": uri_of(found.file), "uriBaseId": "%SRCROOT%"}
    region = {"startLine": found.line}
    return {
        "ruleId": f"outdated-{found.rule}",
        "ruleIndex": index,
        "level": _LEVEL[found.severity],
        "message": {"text": found.text},
        "locations": [{"physicalLocation": {"artifactLocation": place, "region": region}}],
        "partialFingerprints": {"homeportOutdated/v1": found.fingerprint},
    }


def junit_document(report: Report) -> bytes:
    """One test case for each subject and platform: failed if outdated, skipped if not known."""
    suite = ElementTree.Element("testsuite", name="homeport outdated")
    counts = {"tests": 0, "failures": 0, "skipped": 0}
    for subject in report.subjects:
        for platform in subject.platforms or ("",):
            counts["tests"] += 1
            case = ElementTree.SubElement(
                suite, "testcase", classname=printable(subject.name), name=platform or "all"
            )
            changes = [c for c in subject.changes if platform in c.platforms and _counts(c)]
            unknown = [u for u in subject.unknown if not u.platforms or platform in u.platforms]
            if changes or subject.broken_rules:
                counts["failures"] += 1
                _failure(case, subject, changes)
            elif unknown:
                counts["skipped"] += 1
                text = "; ".join(f"{u.what}: {u.why}" for u in unknown)
                ElementTree.SubElement(case, "skipped", message=printable(text))
    for name, number in counts.items():
        suite.set(name, str(number))
    encoded: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return encoded + b"\n"


def _counts(change: Change) -> bool:
    return change.kind != "held" or change.security


def _failure(case: ElementTree.Element, subject: Subject, changes: list[Change]) -> None:
    lines = [*map(change_text, changes), *subject.broken_rules]
    message = printable(lines[0] if len(lines) == 1 else f"{len(lines)} findings")
    failure = ElementTree.SubElement(case, "failure", message=message)
    failure.text = printable("\n".join(lines))
