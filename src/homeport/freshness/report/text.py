"""The report for people: one line a change, unknowns last, then the command to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from homeport.fitting import wrapped
from homeport.freshness.model import Change, OwnVersion, Report, Subject, security_ids
from homeport.freshness.own_version import is_newer
from homeport.freshness.report.results import update_command
from homeport.printable import printable
from homeport.quantities import counted

_SHOWN_IDS = 3
_SHOWN_FILES = 5
_WORDS = {
    "security": "security",
    "update": "update",
    "rebuild": "rebuild",
    "other-copy": "ALARM",
    "gone": "gone",
    "lower": "lower",
    "held": "held",
    "unknown": "unknown",
}

#: What a terminal shows in colour, of the words that begin a line.
_STYLES = {
    "security": "critical", "ALARM": "critical", "update": "changed", "rebuild": "changed",
    "unknown": "medium", "rule": "high", "lower": "low", "held": "low", "gone": "high",
    "run:": "hint",
}  # fmt: skip
_RUN = "  run: "
_HANGING, _MORE = 10, 4
#: Writes a text in a style.
Paint = Callable[[str, str], str]


def _plain(text: str, style: str) -> str:
    return text


def report_text(
    report: Report, *, verbose: bool = False, width: int | None = None, paint: Paint = _plain
) -> str:
    """The whole report.

    verbose: shows the entries of changelogs too
    width:   of the terminal: longer lines are broken at spaces; ``None``: of any length
    paint:   writes a text in a style, for terminals with colours
    """
    lines: list[str] = []
    for number, subject in enumerate(report.subjects):
        if number and width is not None:
            lines.append("")
        lines += _subject(subject, report, verbose)
    if report.tracker is not None and report.tracker.note:
        lines.append(f"note: {report.tracker.source}: {report.tracker.note}")
    lines += _own(report.homeport)
    if len(report.subjects) > 1:
        lines.append(_total(report))
    return "\n".join(_fitted(printable(line), width, paint) for line in lines)


def _fitted(line: str, width: int | None, paint: Paint) -> str:
    """A line within the width, its first word in the colour of its kind; commands stay whole."""
    if not line.startswith(_RUN):
        is_row = line.startswith("  ") and not line.startswith("   ")
        line = wrapped(line, width, hanging=_HANGING if is_row else _MORE)
    if not line.startswith(" "):
        name, colon, rest = line.partition(": ")
        return paint(name, "title") + colon + rest
    word = line[2:].split(" ", 1)[0] if line[2:3] != " " else ""
    return f"  {paint(word, _STYLES[word])}{line[2 + len(word) :]}" if word in _STYLES else line


def _own(own: OwnVersion | None) -> Iterator[str]:
    if own is not None and own.why:
        yield f"unknown: whether Homeport {own.version} is the newest: {own.why}"
    elif own is not None and is_newer(own.newest, own.version):
        yield f"note: Homeport {own.newest} is newer than this one, {own.version}"


def _subject(subject: Subject, report: Report, verbose: bool) -> Iterator[str]:
    yield _head(subject, report)
    names = max((len(change.name) for change in subject.changes), default=0)
    versions = max((len(_versions(change)) for change in subject.changes), default=0)
    for change in subject.changes:
        what = f"{change.name.ljust(names)}  {_versions(change).ljust(versions)}"
        more = _more(change, subject)
        yield f"  {_WORDS[change.kind]:8}  {what}  {more}".rstrip()
        if verbose:
            yield from _entries(change)
    for issue in subject.open:
        fixed = f", fixed in {issue.fixed}" if issue.fixed else ""
        urgency = f" ({issue.urgency})" if issue.urgency else ""
        yield f"  {issue.status:8}  {issue.id}{urgency} in {issue.source} {issue.version}{fixed}"
    for support in subject.support:
        yield f"  {support.level:8}  {support.what}: {support.text}"
    for given in subject.inputs:
        yield f"  {'input':8}  {given.what} {given.text}"
    for text in subject.disagrees:
        yield f"  {'recipe':8}  {text}: homeport lock comes first"
    yield from _effective(subject)
    for each in subject.unknown:
        where = f" ({', '.join(each.platforms)})" if each.platforms else ""
        yield f"  {'unknown':8}  {each.what}{where}: {each.why}"
    for text in subject.broken_rules:
        yield f"  {'rule':8}  {text}"
    if command := update_command(subject):
        yield f"{_RUN}{command}"


def _head(subject: Subject, report: Report) -> str:
    age = ""
    if subject.locked is not None:
        days = (report.checked_at - subject.locked).days
        verb = "made" if subject.kind == "image" else "locked"
        age = f", {verb} {subject.locked:%Y-%m-%d} ({counted(max(days, 0), 'day')} ago)"
    newer = len({c.name for c in subject.of("security", "update", "rebuild") if not c.part})
    if newer:
        state = f"{newer} of {counted(subject.packages, 'package')} newer"
        ids = security_ids(subject)
        state += f", {counted(len(ids), 'security fix', 'security fixes')}" if ids else ""
    elif subject.complete:
        state = f"{counted(subject.packages, 'package')}, nothing newer"
    elif subject.platforms:
        state = f"{counted(subject.packages, 'package')}, not all could be checked"
    else:
        state = "could not be checked"
    return f"{subject.name}: {state}{age}"


def _versions(change: Change) -> str:
    return f"{change.old} → {change.new}" if change.new is not None else change.old


def _more(change: Change, subject: Subject) -> str:
    """What else is known of a change: ids, since when, where."""
    more: list[str] = []
    if change.ids:
        rest = len(change.ids) - _SHOWN_IDS
        more.append(", ".join(change.ids[:_SHOWN_IDS]) + (f" and {rest} more" if rest > 0 else ""))
    elif change.bugs and change.kind == "update":
        more.append(f"closes {counted(len(change.bugs), 'bug')}")
    if change.since is not None:
        more.append(f"since {change.since:%Y-%m-%d}")
    if change.suite:
        more.append(change.suite)
    if change.note:
        more.append(change.note)
    if change.kind == "held" and change.security:
        more.append("A SECURITY FIX")
    if change.part:
        more.append(f"build root of {change.part}: rebuild the part")
    if set(change.platforms) != set(subject.platforms):
        more.append(f"only {', '.join(change.platforms)}")
    return f"[{'; '.join(more)}]" if more else ""


def _entries(change: Change) -> Iterator[str]:
    for entry in change.entries:
        urgency = f"; urgency={entry.urgency}" if entry.urgency else ""
        yield f"            {entry.version} {entry.distribution}{urgency}"
        for line in entry.text.split("\n"):
            if line.strip():
                yield f"            {line}"


def _effective(subject: Subject) -> Iterator[str]:
    effective = subject.effective
    if effective is None or effective.error:
        return
    if not effective.changes and not effective.files:
        return
    for change in effective.changes:
        yield f"  {'would':8}  {change}"
    if not effective.files:
        yield f"  {'files':8}  no file of the image changes besides its package database"
        return
    yield f"  {'files':8}  {counted(len(effective.files), 'file')} of the image would change"
    for file in effective.files[:_SHOWN_FILES]:
        yield f"            {file.how} {file.path} ({file.package})"
    if len(effective.files) > _SHOWN_FILES:
        yield f"            and {len(effective.files) - _SHOWN_FILES} more"


def _total(report: Report) -> str:
    outdated = [s for s in report.subjects if s.of("security", "update", "rebuild")]
    ids = {id for subject in report.subjects for id in security_ids(subject)}
    unknown = [s for s in report.subjects if not s.complete]
    text = f"{counted(len(report.subjects), 'image')}: {len(outdated)} outdated"
    text += f", {counted(len(ids), 'security fix', 'security fixes')}" if ids else ""
    return text + (f", {len(unknown)} not checked in full" if unknown else "")
