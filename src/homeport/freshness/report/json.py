"""The report as ``homeport-outdated/v1`` (docs/formats/outdated.md)."""

from __future__ import annotations

from typing import Any

import msgspec

from homeport.freshness.model import Report, Subject, security_ids


def report_document(report: Report) -> dict[str, Any]:
    """The document of a report."""
    return {
        "schema": "homeport-outdated/v1",
        "checked_at": report.checked_at,
        "complete": report.complete,
        "tracker": _plain(report.tracker),
        "homeport": _plain(report.homeport),
        "archives": [_plain(seen) for seen in report.archives],
        "subjects": [_subject(subject) for subject in report.subjects],
    }


def _subject(subject: Subject) -> dict[str, Any]:
    return {
        "name": subject.name,
        "kind": subject.kind,
        "file": subject.file,
        "digest": subject.digest,
        "locked": subject.locked,
        "complete": subject.complete,
        "packages": subject.packages,
        "platforms": list(subject.platforms),
        "ids": list(security_ids(subject)),
        "changes": [_plain(change) for change in subject.changes],
        "unknown": [_plain(each) for each in subject.unknown],
        "support": [_plain(each) for each in subject.support],
        "inputs": [_plain(each) for each in subject.inputs],
        "open": [_plain(each) for each in subject.open],
        "disagrees": list(subject.disagrees),
        "broken_rules": list(subject.broken_rules),
        "effective": _plain(subject.effective),
    }


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)
