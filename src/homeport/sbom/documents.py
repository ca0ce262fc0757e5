"""A bill in the form that was asked for."""

from __future__ import annotations

from typing import Any

import msgspec

from homeport.errors import UsageError
from homeport.sbom import cyclonedx, listing, spdx
from homeport.sbom.model import Bill, Subject

FORMS = ("spdx", "cyclonedx", "csv", "text")


def write_document(bill: Bill, subject: Subject, form: str) -> str:
    """The document as text, without a line break at its end. Raises ``UsageError``."""
    match form:
        case "spdx":
            return _json(spdx.document(bill, subject))
        case "cyclonedx":
            return _json(cyclonedx.document(bill, subject))
        case "csv":
            return listing.comma_separated(bill)
        case "text":
            return listing.text(bill, subject)
        case _:
            raise UsageError(f"unknown form {form!r}", hint=f"choose from {', '.join(FORMS)}")


def _json(document: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(document)).decode()
