"""Results as GitLab's Code Quality report, which merge requests show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from homeport.audit.model import Level
from homeport.audit.results import Result

_SEVERITY: dict[Level, str] = {"high": "major", "medium": "minor", "low": "info"}


def code_quality_document(results: Sequence[Result]) -> list[dict[str, Any]]:
    """One entry for each result that is not in the baseline."""
    return [
        {
            "description": result.text,
            "check_name": result.id,
            "fingerprint": result.fingerprint,
            "severity": _SEVERITY[result.level],
            "location": {
                "path": result.use.place.file,
                "lines": {"begin": result.use.place.line},
            },
        }
        for result in results
        if not result.known
    ]
