"""The reports of ``outdated`` for other programs, each written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from homeport.content.files import write_file
from homeport.freshness.model import Report
from homeport.freshness.report.documents import (
    code_quality_document,
    junit_document,
    sarif_document,
)
from homeport.freshness.report.json import report_document
from homeport.freshness.report.metrics import badge, metrics_text
from homeport.freshness.report.page import outdated_page


class OutdatedFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Where each report goes; ``None``: it is not written."""

    json: Path | None = None
    code_quality: Path | None = None
    sarif: Path | None = None
    junit: Path | None = None
    metrics: Path | None = None
    badge: Path | None = None
    html: Path | None = None


def write_reports(report: Report, files: OutdatedFiles) -> None:
    """Write the reports that ``files`` names."""
    if files.json:
        write_file(files.json, _json(report_document(report)))
    if files.code_quality:
        write_file(files.code_quality, _json(code_quality_document(report)))
    if files.sarif:
        write_file(files.sarif, _json(sarif_document(report)))
    if files.junit:
        write_file(files.junit, junit_document(report))
    if files.metrics:
        write_file(files.metrics, metrics_text(report).encode())
    if files.badge:
        write_file(files.badge, badge(report).encode())
    if files.html:
        write_file(files.html, outdated_page(report).encode())


def _json(document: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document)) + b"\n"
