"""The reports of an audit for other programs, written to files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from homeport.audit.auditing import AuditResult
from homeport.audit.policy import write_baseline
from homeport.audit.policy_check import PolicyResult
from homeport.audit.report.codequality import code_quality_document
from homeport.audit.report.html import html_page
from homeport.audit.report.json import clean
from homeport.audit.report.junit import junit_document
from homeport.audit.report.markdown import markdown_document
from homeport.audit.report.sarif import sarif_document
from homeport.content.files import write_file


class ReportFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Where each report goes; ``None``: it is not written."""

    sarif: Path | None = None
    html: Path | None = None
    code_quality: Path | None = None
    junit: Path | None = None
    markdown: Path | None = None
    baseline: Path | None = None


def write_reports(audited: AuditResult, checked: PolicyResult, files: ReportFiles) -> None:
    """Write the reports that ``files`` names."""
    report, results = audited.report, checked.results
    if files.baseline:
        write_file(files.baseline, write_baseline(results))
    if files.sarif:
        write_file(files.sarif, _json(sarif_document(results, report.unread, audited.rules)))
    if files.html:
        write_file(files.html, html_page(report, checked.violations).encode("utf-8", "replace"))
    if files.junit:
        write_file(files.junit, junit_document(results, checked.violations))
    if files.markdown:
        text = markdown_document(report, checked.violations)
        write_file(files.markdown, text.encode("utf-8", "replace"))
    if files.code_quality:
        write_file(files.code_quality, _json(code_quality_document(results)))


def _json(document: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(clean(document))) + b"\n"
