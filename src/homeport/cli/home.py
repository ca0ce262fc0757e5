"""``homeport home``: the whole way home in one command: plan, copy, edit, audit again."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.audit.auditing import AuditRequest, AuditResult
from homeport.audit.changes import start_branch
from homeport.audit.report.json import report_document
from homeport.audit.report.listing import is_certain
from homeport.audit.report.text import View, plan_text, report_text
from homeport.cli.options import Session, common
from homeport.cli.recipe_options import catalog_option
from homeport.cli.registry_options import registry_options
from homeport.cli.show import tell
from homeport.cli.verification_options import source_verification, verification_options
from homeport.errors import AnswerNo, HomeportError, UsageError
from homeport.quantities import counted
from homeport.recipe.catalog import catalog_words

if TYPE_CHECKING:
    from homeport.app import App
    from homeport.attest.operations.policies import SourceVerification
    from homeport.audit.apply_plan import PlanApplied
    from homeport.audit.plan.applying import Change
    from homeport.audit.plan.planfile import Plan
    from homeport.cli.screen import Screen
    from homeport.registry.access import RegistryAccess

_PLAN = "homeport-plan.yaml"


@click.command(
    name="home",
    epilog="""\b
Examples:
  homeport home registry.example/mirror
  homeport home registry.example/mirror deploy --dry-run
  homeport home registry.example/mirror --branch images-home --yes
""",
)
@click.argument("prefix", metavar="REGISTRY/PREFIX")
@click.argument("path", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--plan", "plan_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help=f"Keep the plan in this file.  [default: {_PLAN} in PATH]",
)  # fmt: skip
@click.option("--exclude", multiple=True, metavar="GLOB", help="Skip matching paths. Repeatable.")
@click.option("--branch", metavar="NAME", help="Make the edits on a new git branch.")
@click.option("--dry-run", is_flag=True, help="Write and show the plan; copy and edit nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before copying and editing.")
@verification_options
@registry_options
@catalog_option
@common
def command(
    session: Session, *, prefix: str, path: Path, access: RegistryAccess, **given: Any
) -> None:
    """Copy public images to your registry and edit files to use them.

    PATH [default: .] is audited and a plan written, which keeps what you decided in it before.
    After your consent the images are copied, their signatures verified first; only if all were
    copied, the files are edited, all or none, and audited again. Exit code 3 if a public image
    remains; the plan says why.
    """
    root = Path(os.path.abspath(path))
    file: Path = given["plan_file"] or root / _PLAN
    verification = source_verification(
        policy=given["policy"], require_signature=given["require_signature"],
        no_verify=given["no_verify"],
    )  # fmt: skip
    request = AuditRequest(
        paths=[Path()], root=root, home=prefix, exclude=(*given["exclude"], file.name)
    )
    with session.app() as app:
        audited = app.audit(request, online=not session.settings.offline)
        plan = app.audit_plan(audited, request, file, update=True)
        if session.format == "text" and not session.quiet:
            changes = app.audit_apply(file, root=root).changes
            for line in _before(session.screen, audited, plan, file, changes):
                tell(line)
        copied = 0
        if not given["dry_run"]:
            _consent(yes=given["yes"])
            _check_built(app, plan, access)
            copied = _copy(app, file, verification, access)
            if given["branch"]:
                start_branch(root, given["branch"])
        applied = app.audit_apply(file, root=root, make_edits=not given["dry_run"])
        after = audited if given["dry_run"] else app.audit(request)
    _show(session, applied, after, copied=copied, dry_run=given["dry_run"])
    remaining = [image for image in after.report.images if is_certain(image)]
    if remaining and not given["dry_run"]:
        raise AnswerNo(
            f"{counted(len(remaining), 'foreign image')} remain" + "s" * (len(remaining) == 1),
            hint=f"{file} says why for each, and which settings name it",
        )


def _before(
    screen: Screen, audited: AuditResult, plan: Plan, file: Path, changes: Sequence[Change]
) -> list[str]:
    """The report, the plan and its diff, a line each."""
    online = any(image.lookup for image in audited.report.images)
    view = View(online=online, next_step=False, width=screen.width)
    lines = report_text(audited.report, view).splitlines()
    for change in changes:
        lines += ["", *change.diff().splitlines()]
    return [*lines, "", *plan_text(plan, str(file), steps=False).splitlines()]


def _consent(*, yes: bool) -> None:
    """Ask on a terminal; elsewhere ``--yes`` is needed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "the plan was written; copying and editing need your consent",
            hint="--yes; --dry-run only shows the plan",
        )
    if not click.confirm("Copy the images and edit the files?", err=True):
        raise AnswerNo("nothing was copied, no file was edited")


def _check_built(app: App, plan: Plan, access: RegistryAccess) -> None:
    """Raise ``AnswerNo`` unless what the plan builds is at home: no file may name it before."""
    missing = []
    for image in plan.images:
        if image.action != "build":
            continue
        try:
            app.digest(image.home, access=access)
        except HomeportError:
            recipe, place = shlex.quote(image.recipe), shlex.quote(image.home)
            missing.append(f"homeport build {recipe}{catalog_words()} --push {place}")
    if missing:
        raise AnswerNo(
            f"the plan builds {counted(len(missing), 'image')} that your registry does not have;"
            " nothing was copied, no file was edited",
            hint=f"{' && '.join(missing)}; or write action: import in the plan",
        )


def _copy(app: App, file: Path, verification: SourceVerification, access: RegistryAccess) -> int:
    """Copy what the plan lists; nothing is edited unless all of it is there."""
    outcomes = [
        app.mirror(pair, access=access, verification=verification) for pair in app.mirror_plan(file)
    ]
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    for outcome in failed:
        tell(f"error: {outcome.pair.destination}: {outcome.error.what if outcome.error else ''}")
    if failed:
        what = f"{len(failed)} of {len(outcomes)} images were not copied; no file was edited"
        hint = f"write action: leave in {file} for those that are to stay"
        if any(isinstance(outcome.error, AnswerNo) for outcome in failed):
            raise AnswerNo(what, hint=hint)
        raise HomeportError(what, hint=hint)
    return len(outcomes)


def _show(
    session: Session, applied: PlanApplied, after: AuditResult, *, copied: int, dry_run: bool
) -> None:
    images = f"{counted(copied, 'image')} copied, " if not dry_run else ""
    done = "to make" if dry_run else "made"
    files = counted(len(applied.changes), "file")
    text = f"{images}{counted(applied.edits, 'edit')} in {files} {done}"
    if not dry_run:
        screen = session.screen
        view = View(width=screen.width, paint=screen.styled, next_step=False)
        text += f"\n\nThe audit afterwards:\n\n{report_text(after.report, view)}"
    document = {
        "schema": "homeport-home/v1", "dry_run": dry_run, "copied": copied,
        "edits": applied.edits, "files": [change.path for change in applied.changes],
        "foreign": [i.name for i in after.report.images if is_certain(i)],
        "audit": report_document(after.report),
    }  # fmt: skip
    session.output.write(document, text)
