"""Bills for people: aligned text, and CSV for spreadsheets."""

from __future__ import annotations

import csv
import io

from homeport.printable import printable
from homeport.sbom.model import Bill, Subject

_COLUMNS = ("package", "version", "architecture", "source", "license")


def text(bill: Bill, subject: Subject) -> str:
    """A table of packages, then what else is in the image."""
    rows = [_COLUMNS, *_rows(bill)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS) - 1)]
    lines = [f"{subject.name} {bill.platform}  {subject.digest}", ""]
    lines += [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]
    others = [file for file in bill.files if file.origin != "package"]
    if others:
        lines += ["", "files of no package:"]
        lines += [f"  {printable(file.path)}  ({file.origin})" for file in others]
    if bill.components:
        lines += ["", "inside programs:"]
        lines += [
            printable(f"  {one.kind} {one.name} {one.version}  ({one.location})")
            for one in bill.components
        ]
    return "\n".join(line.rstrip() for line in lines)


def comma_separated(bill: Bill) -> str:
    """One line a package, with a header (RFC 4180)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow((*_COLUMNS, "sha256", "platform"))
    for row, package in zip(_rows(bill), bill.packages, strict=True):
        writer.writerow((*row, package.sha256, str(bill.platform)))
    return out.getvalue().rstrip("\r\n")


def _rows(bill: Bill) -> list[tuple[str, ...]]:
    return [
        (
            printable(one.name),
            printable(one.version),
            printable(one.architecture),
            printable(f"{one.source_name} {one.source_version}"),
            one.license.expression or "-",
        )
        for one in bill.packages
    ]
