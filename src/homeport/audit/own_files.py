"""The error of audit's own files: rules, facts, policies, baselines and plans.

``homeport.yamlfile`` reads them; ``audit.formats`` reads the files of other tools.
"""

from __future__ import annotations

from typing import TypeVar

from homeport.yamlfile.parse import BadYaml
from homeport.yamlfile.typed import TypedFile, read_typed

T = TypeVar("T")


class BadFile(BadYaml):
    """A rule, policy, baseline or plan is not usable; file, line and field are in ``where``."""

    id = "audit-file"


def read_own(data: bytes, file: str, type: type[T]) -> TypedFile[T]:
    """Read one document as ``type``. Raises ``BadFile``, or ``Faults`` of several."""
    return read_typed(data, file, type, BadFile)


def check_schema(read: TypedFile[T], found: str, expected: str) -> None:
    """Note a fault if the file names another schema."""
    if found != expected:
        read.fault(["schema"], f"unknown schema {found!r}, expected {expected!r}")
