"""What is outdated as one HTML page of the common look (``homeport.pages``)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

import msgspec

from homeport.freshness.model import Change, Kind, Report, Subject
from homeport.freshness.report.results import update_command
from homeport.pages.page import render
from homeport.quantities import counted

#: Rows of each subject, and of what else was found; the JSON document has all.
_MOST = 2000
_SHOWN_IDS = 3
_RANKS = {kind: rank for rank, kind in enumerate(get_args(Kind))}
_TONES: dict[Kind, str] = {
    "security": "bad",
    "other-copy": "bad",
    "update": "warn",
    "gone": "warn",
    "lower": "warn",
}
_UPDATES: tuple[Kind, ...] = ("security", "update", "rebuild")
#: Only a whole id of these forms becomes a part of an address.
_PAGES = (
    (re.compile(r"(?:CVE-[0-9]{4}-[0-9]{4,19}|TEMP-[0-9]{7}-[0-9A-F]{6}|D[SL]A-[0-9]{1,6}(?:-[0-9]{1,3})?)"),
     "https://security-tracker.debian.org/tracker/"),
    (re.compile(r"GHSA(?:-[0-9a-z]{4}){3}"), "https://github.com/advisories/"),
)  # fmt: skip


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A package of the table; ``shown`` and ``folded`` are ids with their pages or nothing."""

    change: Change
    rank: int
    tone: str
    word: str
    platforms: str
    about: tuple[str, ...]
    shown: list[tuple[str, str]]
    folded: list[tuple[str, str]]


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A subject with its rows, security first."""

    subject: Subject
    about: str
    rows: list[Row]
    left: int


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Something besides a newer package; ``page`` explains it, if it is a known id."""

    tone: str
    word: str
    subject: str
    what: str
    text: str
    page: str = ""


def outdated_page(report: Report) -> str:
    """The whole page."""
    urgent = {(s.name, c.name) for s in report.subjects for c in s.changes if _urgent(c)}
    newer = {(s.name, c.name) for s in report.subjects for c in s.of(*_UPDATES)} - urgent
    ages = [max((report.checked_at - s.locked).days, 0) for s in report.subjects if s.locked]
    notes = [note for subject in report.subjects for note in _notes(subject)]
    return render(
        "homeport.freshness.report:page.html",
        {
            "report": report, "urgent": len(urgent), "newer": len(newer),
            "unchecked": sum(not subject.complete for subject in report.subjects),
            "oldest": counted(max(ages), "day") if ages else "not known",
            "verdicts": list(_verdicts(report, len(urgent), len(newer))),
            "groups": [_group(subject, report) for subject in report.subjects],
            "notes": notes[:_MOST], "notes_left": max(len(notes) - _MOST, 0),
            "updates": list(filter(None, map(update_command, report.subjects))),
            "images": [s.name for s in report.subjects if not s.wanted and s.of(*_UPDATES)],
        },
    )  # fmt: skip


def _urgent(change: Change) -> bool:
    return change.security or change.kind == "security"


def _verdicts(report: Report, urgent: int, newer: int) -> Iterator[tuple[str, str]]:
    """Of tone and text, the worst first; a report without findings may still be incomplete."""
    copies = sum(len(subject.of("other-copy")) for subject in report.subjects)
    lost = sum(len(subject.of("gone", "lower")) for subject in report.subjects)
    broken = sum(len(subject.broken_rules) for subject in report.subjects)
    if copies:
        packages = counted(copies, "package has", "packages have")
        yield "bad", f"{packages} other bytes under the same version: archives never do that"
    if urgent:
        yield "bad", counted(urgent, "security update is", "security updates are") + " not locked"
    if broken:
        yield "bad", counted(broken, "rule is broken", "rules are broken")
    if newer:
        yield "warn", counted(newer, "package is newer", "packages are newer") + " in the archive"
    if lost:
        packages = counted(lost, "package is", "packages are")
        yield "warn", f"{packages} gone from the archive, or lower there"
    if not report.complete:
        yield "warn", "Not everything could be checked"
    if not (copies or urgent or broken or newer or lost) and report.complete:
        yield "good", "Nothing is newer"


def _group(subject: Subject, report: Report) -> Group:
    about = [subject.kind, counted(subject.packages, "package")]
    if subject.locked is not None:
        days = max((report.checked_at - subject.locked).days, 0)
        verb = "made" if subject.kind == "image" else "locked"
        about.append(f"{verb} {subject.locked:%Y-%m-%d} ({counted(days, 'day')} ago)")
    if subject.platforms:
        about.append(", ".join(subject.platforms))
    rows = sorted(
        (_row(change, subject) for change in subject.changes),
        key=lambda row: (row.rank, row.change.name, row.change.part),
    )
    return Group(
        subject=subject, about="; ".join(about), rows=rows[:_MOST], left=max(len(rows) - _MOST, 0)
    )


def _row(change: Change, subject: Subject) -> Row:
    urgent = _urgent(change)
    about = [change.suite, change.note, f"urgency {change.urgency}" if change.urgency else ""]
    if change.source not in ("", change.name):
        about.append(f"source {change.source}")
    if change.part:
        about.append(f"build root of {change.part}: rebuild the part")
    ids = [(id, page_of_id(id)) for id in dict.fromkeys(change.ids)]
    return Row(
        change=change,
        # A security fix that is held back comes with the others.
        rank=0 if urgent else 1 + _RANKS[change.kind],
        tone="bad" if urgent else _TONES.get(change.kind, "calm"),
        word="security fix held back" if urgent and change.kind == "held" else change.kind,
        platforms="all" if set(change.platforms) == set(subject.platforms)
        else ", ".join(change.platforms),
        about=tuple(filter(None, about)),
        shown=ids[:_SHOWN_IDS],
        folded=ids[_SHOWN_IDS:],
    )  # fmt: skip


def page_of_id(id: str) -> str:
    """The address of what is known about a vulnerability; empty for any other text."""
    return next((base + id for form, base in _PAGES if form.fullmatch(id)), "")


def _notes(subject: Subject) -> Iterator[Note]:
    name = subject.name
    for text in subject.broken_rules:
        yield Note(tone="bad", word="rule", subject=name, what="", text=text)
    for each in subject.unknown:
        where = f" ({', '.join(each.platforms)})" if each.platforms else ""
        yield Note(tone="warn", word="not checked", subject=name, what=each.what + where,
                   text=each.why)  # fmt: skip
    for support in subject.support:
        tone = {"error": "bad", "warning": "warn"}.get(support.level, "calm")
        yield Note(tone=tone, word="support", subject=name, what=support.what, text=support.text)
    for given in subject.inputs:
        tone = {"error": "bad", "warning": "warn"}.get(given.level, "calm")
        yield Note(tone=tone, word="input", subject=name, what=given.what, text=given.text)
    for text in subject.disagrees:
        yield Note(tone="warn", word="recipe", subject=name, what="",
                   text=f"{text}: homeport lock comes first")  # fmt: skip
    for issue in subject.open:
        fixed = f", fixed in {issue.fixed}" if issue.fixed else ""
        urgency = f" ({issue.urgency})" if issue.urgency else ""
        yield Note(tone="warn", word=issue.status, subject=name, what=issue.id,
                   text=f"{issue.source} {issue.version}{urgency}{fixed}",
                   page=page_of_id(issue.id))  # fmt: skip
    if subject.effective is not None:
        if subject.effective.error:
            yield Note(tone="warn", word="not checked", subject=name, what="effect of an update",
                       text=subject.effective.error)  # fmt: skip
        for text in subject.effective.changes:
            yield Note(tone="calm", word="would change", subject=name, what="", text=text)
        for file in subject.effective.files:
            yield Note(tone="calm", word=f"file {file.how}", subject=name, what=file.path,
                       text=f"of {file.package}; {', '.join(file.platforms)}")  # fmt: skip
