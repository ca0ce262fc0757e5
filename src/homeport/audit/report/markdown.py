"""A report as Markdown, for a comment on a merge request or the summary of a job.

Values come from audited files: in a table's cells they are code or escaped, so that none is markup.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from homeport.audit.assessment import Image, Report
from homeport.audit.findings import page_of
from homeport.audit.model import LEVELS
from homeport.audit.policy import Violation
from homeport.audit.report.listing import first_risk, to_do, worst_first
from homeport.printable import printable
from homeport.quantities import counted

#: GitHub cuts comments at 65,536 characters, summaries at 1 MiB.
_MOST = 200
_MARKUP = re.compile(r"[\\`*_{}\[\]<>()#+!|~&@$-]")


def markdown_document(report: Report, violations: Sequence[Violation]) -> str:
    """Key figures, violations, then images by what to do, the worst first."""
    images = sorted((i for i in report.images if i.foreign), key=worst_first)
    levels = Counter(image.level for image in images)
    figures = ", ".join(f"{levels[level]} {level}" for level in LEVELS if levels[level])
    verdict = counted(len(violations), "violation of the policy", "violations of the policy")
    lines = [
        "## Images that this depends on",
        "",
        f"**{counted(len(images), 'foreign image')}**"
        + (f" ({figures})" if figures else "")
        + f" in {counted(report.files, 'file')}; {verdict if violations else 'no violation'}.",
    ]
    if violations:
        lines += ["", "### Violations", "", "| place | image | why |", "|---|---|---|"]
        lines += [
            f"| {_code(f'{v.result.use.place.file}:{v.result.use.place.line}')}"
            f" | {_code(v.result.image.name)} | {_escaped(v.why)} |"
            for v in violations[:_MOST]
        ]
        lines += _rest(len(violations))
    groups: dict[str, list[Image]] = defaultdict(list)
    for image in images[:_MOST]:
        groups[to_do(image)].append(image)
    for heading, found in groups.items():
        risk = first_risk(found[0])
        link = f" ([why]({page_of(risk.id)}))" if risk is not None else ""
        lines += ["", f"### {_escaped(heading)}{link}", ""]
        lines += ["| level | image | first place | more |", "|---|---|---|---|"]
        lines += [_row(image) for image in found]
    lines += _rest(len(images))
    return "\n".join(lines) + "\n"


def _row(image: Image) -> str:
    place = image.uses[0].place
    more = "; ".join(risk.brief for risk in image.risks if risk.id != "foreign")
    others = f", +{len(image.uses) - 1}" if len(image.uses) > 1 else ""
    name = image.reference.familiar if image.reference else image.name
    return (
        f"| {image.level} | {_code(name)} | {_code(f'{place.file}:{place.line}')}{others}"
        f" | {_escaped(more)} |"
    )


def _rest(count: int) -> list[str]:
    return ["", f"{count - _MOST} more are not listed here."] if count > _MOST else []


def _code(text: str) -> str:
    """As code; the marks that end code or a cell are replaced by what cannot."""
    return f"`{printable(text).replace('`', 'ˋ').replace('|', '¦')}`"


def _escaped(text: str) -> str:
    return _MARKUP.sub(lambda match: f"\\{match.group()}", printable(text))
