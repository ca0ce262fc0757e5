"""Cases of the audit corpus: a sentence, some files, and exactly what is found in them.

    A FROM names an image.
    -- Dockerfile --
    FROM debian
    -- expected --
    Dockerfile:1:6 FROM "debian" = docker.io/library/debian:latest

A finding is place, key, the expression as written, and the reference it means; certainty
only when it is not high, then what is wrong, who builds it, the rule for an implicit one. A
part ``assume`` holds versions as ``--assume`` takes them, a line each.
"""

from __future__ import annotations

import datetime
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from homeport.audit.auditing import AuditRequest, audit
from homeport.audit.implicit import parse_assumptions
from homeport.audit.model import Use

CORPUS = Path(__file__).parent.parent / "data" / "audit-corpus"
TODAY = datetime.date(2026, 11, 24)

_HEADER = re.compile(r"^-- (.+) --$", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """One file of the corpus."""

    sentence: str
    files: dict[str, str]
    expected: list[str]
    assume: tuple[str, ...] = ()


def every_case() -> list[Path]:
    """All files of the corpus."""
    return sorted(CORPUS.rglob("*.txt"))


def read_case(path: Path) -> Case:
    """Read one file of the corpus."""
    parts = _HEADER.split(path.read_text())
    files = dict(zip(parts[1::2], (body[1:] for body in parts[2::2]), strict=True))
    expected = files.pop("expected").splitlines()
    assume = tuple(files.pop("assume", "").split())
    return Case(parts[0].strip(), files, expected, assume)


def write_case(path: Path, case: Case, found: list[str]) -> None:
    """Write a case with what was found; for use by hand, then to be read and judged."""
    blocks = [case.sentence + "\n"]
    blocks += [f"-- {name} --\n{body}" for name, body in case.files.items()]
    blocks += ["-- assume --\n" + "".join(f"{line}\n" for line in case.assume)] * bool(case.assume)
    blocks.append("-- expected --\n" + "".join(f"{line}\n" for line in found))
    path.write_text("".join(blocks))


def lay_out(files: dict[str, str], folder: Path) -> None:
    """Write files below a folder, byte for byte."""
    for name, body in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body.encode("utf-8", "surrogateescape"))


def findings_of(case: Case) -> list[str]:
    """What an audit finds in a case, a line each."""
    with tempfile.TemporaryDirectory() as name:
        lay_out(case.files, Path(name))
        request = AuditRequest(
            paths=["."], root=Path(name), assumptions=parse_assumptions(case.assume), today=TODAY
        )
        audited = audit(request)
        report = audited.report
        uses = [use for image in report.images for use in image.uses]
        lines = [describe(use) for use in sorted(uses, key=lambda u: (u.place, u.rule, u.value))]
        lines += [f"dead {image} ({rule.id})" for image, rule in sorted(audited.dead.items())]
        lines += [f"mirror {m.registry} -> {m.to} ({m.engine})" for m in report.mirrors]
        lines += [
            f"{e.place.file}:{e.place.line}:{e.place.column} {e.key} external: {e.what} ({e.hint})"
            for e in report.external
        ]
        return lines + [f"{u.file}:{u.line} unread: {u.what}" for u in report.unread]


def describe(use: Use) -> str:
    """One finding as a line."""
    place = f"{use.place.file}:{use.place.line}:{use.place.column}"
    if use.rule:
        text = f"{place} implicit {use.rule} -> {use.reference or use.value}"
    else:
        text = f'{place} {use.key} "{use.expression}"'
        text += f" = {use.reference}" if use.reference else ""
    marks = [] if use.confidence == "high" else [f"confidence: {use.confidence}"]
    reasons = (("problem", use.problem), ("internal", use.internal), ("via", use.via))
    marks += [f"{name}: {value}" for name, value in reasons if value]
    return text + (f" ({'; '.join(marks)})" if marks else "")
