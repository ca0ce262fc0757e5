"""The report as a flat list: what Code Quality, SARIF and JUnit have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal

import msgspec

from homeport.freshness.model import Change, Level, Report, Subject
from homeport.printable import printable, shell_path

Severity = Literal["high", "medium", "low"]
_SEVERITY: dict[str, Severity] = {
    "security": "high",
    "other-copy": "high",
    "update": "medium",
    "lower": "medium",
    "gone": "medium",
    "rebuild": "low",
    "held": "low",
}
_LEVELS: dict[Level, Severity] = {"error": "high", "warning": "medium", "note": "low"}
#: Title and reason of each rule, for reports that list them.
RULES: dict[str, tuple[str, str]] = {
    "security": ("A security fix is not locked", "The archive has an update that fixes it."),
    "update": ("A newer version is not locked", "The archive has a newer version."),
    "rebuild": ("A rebuild is not locked", "The archive has the same source, built again."),
    "other-copy": ("Other bytes under the same version", "Archives never do that."),
    "gone": ("A package is gone", "No suite of the recipe has this name any more."),
    "lower": ("The archive went back", "Its highest version is lower than the locked one."),
    "held": ("A newer version is held back", "The recipe's pin or version keeps it out."),
    "support": ("Security support ends", "Debian publishes no security updates after that day."),
    "input": ("An input moved", "What the recipe names by digest is not what its tag is now."),
    "rule": ("A rule is broken", "A limit that was given on the command line is passed."),
    "open": ("A known vulnerability", "The security tracker lists it for the locked version."),
}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One finding with the line of the lockfile that it is about."""

    rule: str
    severity: Severity
    text: str
    file: str
    line: int
    fingerprint: str


def findings(report: Report) -> Iterator[Finding]:
    """Everything that is wrong; what could not be checked is not a finding."""
    for subject in report.subjects:
        for change in subject.changes:
            severity: Severity = "high" if change.security else _SEVERITY[change.kind]
            line = subject.lines.get(change.name, 1)
            yield _finding(
                subject, change.kind, severity, change_text(change), line=line,
                key=f"{change.name} {change.new} {change.part}",
            )  # fmt: skip
        for support in subject.support:
            level = _LEVELS[support.level]
            yield _finding(subject, "support", level, f"{support.what}: {support.text}")
        for given in subject.inputs:
            yield _finding(subject, "input", "medium", f"{given.what} {given.text}")
        for issue in subject.open:
            text = f"{issue.id} is {issue.status} in {issue.source} {issue.version}"
            yield _finding(subject, "open", "medium", text)
        for text in subject.broken_rules:
            yield _finding(subject, "rule", "high", text)


def change_text(change: Change) -> str:
    """``libc6 2.41-12 → 2.41-12+deb13u3: CVE-…``."""
    new = f" → {change.new}" if change.new is not None else ""
    ids = f": {', '.join(change.ids)}" if change.ids else ""
    note = f" ({change.note})" if change.note else ""
    return f"{change.name} {change.old}{new}{ids}{note}"


def update_word(subject: Subject) -> str:
    """What ``homeport update`` is given; empty if nothing is newer, or there is no recipe."""
    if not subject.wanted or not subject.of("security", "update", "rebuild"):
        return ""
    return shell_path(printable(subject.wanted))


def update_command(subject: Subject) -> str:
    """The command that locks what is newer; empty if there is none."""
    word = update_word(subject)
    return word and f"homeport update {word}"


def _finding(
    subject: Subject, rule: str, severity: Severity, text: str, *, line: int = 1, key: str = ""
) -> Finding:
    seed = f"{subject.name}\0{rule}\0{key or text}"
    return Finding(
        rule=rule,
        severity=severity,
        text=f"{subject.name}: {text}",
        file=subject.file or subject.name,
        line=line,
        fingerprint=hashlib.sha256(seed.encode("utf-8", "replace")).hexdigest(),
    )
