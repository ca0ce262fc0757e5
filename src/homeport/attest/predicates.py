"""Names of predicate types, as people write them, and what documents of these types have."""

from __future__ import annotations

from collections.abc import Mapping

from homeport.attest.statement import PREDICATE_TYPES, SIGNATURE
from homeport.errors import UsageError
from homeport.printable import shell_path


def predicate_uri(type: str) -> str:
    """The predicate type that a short name stands for. Raises ``UsageError``."""
    if type == "signature":
        return SIGNATURE
    if type in PREDICATE_TYPES:
        return PREDICATE_TYPES[type]
    if ":" not in type:
        raise UsageError(
            f"unknown predicate type {type!r}",
            hint=f"use {', '.join(PREDICATE_TYPES)}, or a URI",
        )
    return type


#: Short name → a field that documents of the type have, and how its text begins.
_MARKS = {
    "spdx": ("spdxVersion", "SPDX-"),
    "cyclonedx": ("bomFormat", "CycloneDX"),
    "slsa": ("buildDefinition", ""),
    "vex": ("@context", "https://openvex.dev/ns"),
}


def check_predicate(type: str, document: Mapping[str, object], name: str) -> None:
    """Raise ``UsageError`` if ``document`` is not of the type with this short name.

    name: of its file. What others attest under a URI is theirs.
    """
    if type not in _MARKS or _is_of(type, document):
        return
    if "predicateType" in document and "predicate" in document:
        raise UsageError(
            f"{name} is a whole statement; its predicate alone is attested",
            hint=f"jq .predicate {shell_path(name)} > predicate.json",
        )
    field, start = _MARKS[type]
    other = next((one for one in _MARKS if _is_of(one, document)), "")
    raise UsageError(
        f"{name} is not a document of type {type}: "
        + (f"{field!r} does not begin with {start!r}" if field in document else f"no {field!r}"),
        where={"file": name},
        hint=f"it looks like {other}: --type {other}"
        if other
        else "--type takes the URI of any other predicate type",
    )


def _is_of(type: str, document: Mapping[str, object]) -> bool:
    field, start = _MARKS[type]
    value = document.get(field)
    return isinstance(value, dict) if not start else str(value).startswith(start)
