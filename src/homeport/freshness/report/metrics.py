"""The report as metrics for Prometheus, and as a badge.

The classic text format that node_exporter's textfile collector reads: it drops a whole file in
which one sample has a time stamp. Times are values, never ages; no label holds an id, which
would make a series of its own for every vulnerability.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time
from html import escape

from homeport.freshness.model import Report, security_ids

_HELP = {
    "homeport_outdated_packages": "Packages of which the archive has something else, by class.",
    "homeport_vulnerabilities_fixed_upstream": "Vulnerabilities that updates of the archive fix.",
    "homeport_check_timestamp_seconds": "When everything was last checked in full.",
    "homeport_lock_timestamp_seconds": "The archive state of the lockfile or image.",
    "homeport_archive_timestamp_seconds": "The newest state of a suite that was seen.",
    "homeport_support_end_timestamp_seconds": "When security support ends.",
}
_KINDS = ("security", "update", "rebuild", "other-copy", "gone", "lower", "held")


def metrics_text(report: Report) -> str:
    """All metrics; a subject that was not checked in full has no time of check."""
    samples: dict[str, list[str]] = {name: [] for name in _HELP}
    for name, labels, value in _samples(report):
        text = ",".join(f'{key}="{_label(value)}"' for key, value in labels.items())
        line = f"{name}{{{text}}} {value:g}" if value < 1e6 else f"{name}{{{text}}} {value:.0f}"
        samples[name].append(line)
    lines: list[str] = []
    for name, found in samples.items():
        if found:
            lines += [f"# HELP {name} {_HELP[name]}", f"# TYPE {name} gauge", *dict.fromkeys(found)]
    return "\n".join(lines) + "\n"


def _samples(report: Report) -> Iterator[tuple[str, dict[str, str], float]]:
    for subject in report.subjects:
        recipe = {"recipe": subject.name}
        for platform in subject.platforms:
            for kind in _KINDS:
                names = {c.name for c in subject.changes if c.kind == kind
                         and platform in c.platforms}  # fmt: skip
                labels = {**recipe, "platform": platform, "class": kind}
                yield "homeport_outdated_packages", labels, len(names)
        yield "homeport_vulnerabilities_fixed_upstream", recipe, len(security_ids(subject))
        if subject.complete:
            yield "homeport_check_timestamp_seconds", recipe, report.checked_at.timestamp()
        if subject.locked is not None:
            yield "homeport_lock_timestamp_seconds", recipe, subject.locked.timestamp()
        for support in subject.support:
            if support.ends is not None:
                end = datetime.combine(support.ends, time(), UTC).timestamp()
                yield "homeport_support_end_timestamp_seconds", {"suite": support.what}, end
    for seen in report.archives:
        labels = {"archive": seen.archive, "suite": seen.suite}
        yield "homeport_archive_timestamp_seconds", labels, seen.date.timestamp()


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def badge(report: Report) -> str:
    """A static SVG: how many packages are newer, in a colour."""
    newer = {(s.name, c.name) for s in report.subjects
             for c in s.of("security", "update", "rebuild")}  # fmt: skip
    urgent = any(change.security for subject in report.subjects for change in subject.changes)
    if newer:
        value, colour = f"{len(newer)} newer", "#e05d44" if urgent else "#dfb317"
    elif not report.complete:
        value, colour = "not known", "#9f9f9f"
    else:
        value, colour = "fresh", "#4c1"
    left, right = 62, 12 + 7 * len(value)
    title = escape(f"packages: {value}, checked {report.checked_at:%Y-%m-%d}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img">'
        f"<title>{title}</title>"
        f'<rect width="{left}" height="20" fill="#555"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,sans-serif" font-size="11">'
        f'<text x="6" y="14">packages</text><text x="{left + 6}" y="14">{escape(value)}</text>'
        "</g></svg>\n"
    )
