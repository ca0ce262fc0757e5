"""Results as SARIF 2.1.0, for GitHub code scanning and every viewer of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from homeport import __version__
from homeport.audit.findings import FINDINGS, Finding, page_of
from homeport.audit.model import Level, Unread
from homeport.audit.results import Result
from homeport.audit.rules import Rule

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
#: GitHub takes no more results of one run.
MOST_RESULTS = 25_000

_LEVEL: dict[Level, str] = {"high": "error", "medium": "warning", "low": "note"}
_SEVERITY: dict[Level, str] = {"high": "7.0", "medium": "5.0", "low": "2.0"}


def sarif_document(
    results: Sequence[Result], unread: Sequence[Unread], rules: Mapping[str, Rule]
) -> dict[str, Any]:
    """The log of one run."""
    used = sorted({result.id for result in results})
    position = {id: number for number, id in enumerate(used)}
    shown = [_result(result, position[result.id]) for result in results[:MOST_RESULTS]]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "homeport audit",
                        "semanticVersion": __version__,
                        "informationUri": page_of(""),
                        "rules": [_rule(id, rules) for id in used],
                    }
                },
                "automationDetails": {"id": "homeport-audit/"},
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "the audited tree"}}},
                "invocations": [
                    {
                        "executionSuccessful": not unread,
                        "toolExecutionNotifications": [_notification(u) for u in unread],
                    }
                ],
                "results": shown,
            }
        ],
    }


def _rule(id: str, rules: Mapping[str, Rule]) -> dict[str, Any]:
    if (rule := rules.get(id)) is not None:
        finding = Finding(id=id, title=rule.title, why=rule.why, level="medium")
    else:
        finding = FINDINGS[id]
    return {
        "id": id,
        "shortDescription": {"text": finding.title},
        "fullDescription": {"text": finding.why},
        "helpUri": page_of(id),
        "help": {"text": finding.why, "markdown": f"{finding.why}\n\n[More]({page_of(id)})"},
        "defaultConfiguration": {"level": _LEVEL[finding.level]},
        "properties": {
            "tags": ["supply-chain", "containers"],
            "precision": "high",
            "security-severity": _SEVERITY[finding.level],
        },
    }


def _result(result: Result, index: int) -> dict[str, Any]:
    place = result.use.place
    found: dict[str, Any] = {
        "ruleId": result.id,
        "ruleIndex": index,
        "level": _LEVEL[result.level],
        "message": {"text": result.text},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": uri_of(place.file), "uriBaseId": "%SRCROOT%"},
                    "region": {
                        "startLine": place.line,
                        "startColumn": place.column,
                        "endLine": place.end_line,
                        "endColumn": place.end_column,
                    },
                }
            }
        ],
        "partialFingerprints": {"homeportAudit/v1": result.fingerprint},
    }
    if result.known:
        found["suppressions"] = [{"kind": "external", "justification": "in the baseline"}]
    return found


def _notification(unread: Unread) -> dict[str, Any]:
    location: dict[str, Any] = {
        "artifactLocation": {"uri": uri_of(unread.file), "uriBaseId": "%SRCROOT%"}
    }
    if unread.line:
        location["region"] = {"startLine": unread.line, "startColumn": max(unread.column, 1)}
    return {
        "level": "error",
        "message": {"text": unread.what},
        "locations": [{"physicalLocation": location}],
    }


def uri_of(path: str) -> str:
    """A path as a relative URI reference."""
    return quote(path, safe="/!$&'()*+,;=@~", errors="surrogateescape")
