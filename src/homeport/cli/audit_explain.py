"""``homeport audit explain``: all that is known about one finding, one rule or one image."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import click

from homeport.audit.auditing import AuditRequest
from homeport.audit.findings import FINDINGS, page_of
from homeport.audit.report.explaining import find_rule, finding_text, image_text, rule_text
from homeport.audit.report.json import image_document
from homeport.audit.rules import shipped
from homeport.cli.options import Session, common
from homeport.cli.recipe_options import catalog_option
from homeport.errors import UsageError
from homeport.oci.reference import BadReference, parse_reference

_SCHEMA = "homeport-audit-explain/v1"


@click.command(
    name="explain",
    epilog="""\b
Examples:
  homeport audit explain floating           # a finding
  homeport audit explain buildx-builder     # a rule for an implicit image
  homeport audit explain redis:7 deploy     # an image, and where the files of deploy name it
  homeport audit ./explain                  # a directory of that name""",
)
@click.argument("subject", metavar="ID|IMAGE")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@catalog_option
@common
def command(session: Session, subject: str, paths: tuple[Path, ...]) -> None:
    """Explain a finding, a rule, or what an audit says about an image.

    An image is looked for in PATHS [default: .]; without a tag, all its tags are shown.
    """
    if found := _known(subject):
        session.output.write(*found)
        return
    with session.app() as app:
        audited = app.audit(AuditRequest(paths=paths or [Path()]))
        try:
            wanted = parse_reference(subject)
        except BadReference as error:
            raise _unknown(subject) from error
        tagged = ":" in subject.rpartition("/")[2] or "@" in subject
        images = [
            image for image in audited.report.images
            if image.reference is not None and image.reference.name == wanted.name
            and (not tagged or image.name == str(wanted))
        ]  # fmt: skip
        if not images:
            raise _unknown(subject)
        texts = [image_text(i, [audited.rules[r] for r in i.rules if r in audited.rules])
                 for i in images]  # fmt: skip
    session.output.write(
        {"schema": _SCHEMA, "kind": "image",
         "images": [image_document(image) for image in images]},
        "\n\n".join(texts),
    )  # fmt: skip


def _known(subject: str) -> tuple[dict[str, Any], str] | None:
    """The document and the text of a finding or a rule."""
    document: dict[str, Any] = {"schema": _SCHEMA, "page": page_of(subject)}
    if (finding := FINDINGS.get(subject)) is not None:
        about: dict[str, Any] = {"id": finding.id, "title": finding.title, "why": finding.why,
                 "level": finding.level, "fix": finding.fix}  # fmt: skip
        return {**document, "kind": "finding", "finding": about}, finding_text(finding)
    if (found := find_rule(shipped(), subject)) is not None:
        tool, rule = found
        about = {
            "id": rule.id, "title": rule.title, "why": rule.why, "tool": tool.tool,
            "image": rule.image, "source": rule.source, "checked": rule.checked or tool.checked,
            "settings": [override.setting for override in rule.override],
        }  # fmt: skip
        return {**document, "kind": "rule", "rule": about}, rule_text(tool, rule)
    return None


def _unknown(subject: str) -> UsageError:
    ids = [*FINDINGS, *(rule.id for tool in shipped() for rule in tool.rules)]
    near = difflib.get_close_matches(subject, ids, n=2)
    return UsageError(
        f"unknown {subject!r}: not a finding, a rule, or an image that the audited files use",
        hint=f"did you mean {' or '.join(near)}?" if near
        else "homeport audit --all lists the images, homeport audit rules the rules",
    )  # fmt: skip
