"""``homeport audit``: every public image that files lean on, and the plan to bring it home."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from homeport.cli.options import Session, common
from homeport.errors import UsageError

if TYPE_CHECKING:
    from homeport.audit.auditing import Audited, Request

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(name="audit")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--home", metavar="PREFIX", default="", help="Registry and path of your own images.")
@click.option("--assume", multiple=True, metavar="TOOL=VERSION", help="Where files do not say.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave these paths out.")
@click.option("--all", "everything", is_flag=True, help="Show weak finds and own images too.")
@click.option("--plan", "plan_file", type=_FILE, help="Write the plan that brings all home.")
@click.option(
    "--apply", "apply_file", type=_FILE, help="Show the edits of a plan; --yes makes them."
)
@click.option("--yes", is_flag=True, help="With --apply: make the edits.")
@common
def command(
    session: Session,
    *,
    paths: tuple[Path, ...],
    home: str,
    assume: tuple[str, ...],
    exclude: tuple[str, ...],
    everything: bool,
    plan_file: Path | None,
    apply_file: Path | None,
    yes: bool,
) -> None:
    """Find every image that the files below PATHS use, said and unsaid."""
    if apply_file is not None:
        if plan_file is not None or paths:
            raise UsageError("--apply takes a plan and nothing else to audit")
        _apply(session, apply_file, yes=yes)
        return
    from homeport.audit.auditing import Request, audit
    from homeport.audit.documents import report_document
    from homeport.audit.text import report_text
    from homeport.audit.unsaid import parse_assumptions

    request = Request(
        paths=paths or (Path(),), home=home, assumptions=parse_assumptions(assume),
        exclude=exclude,
    )  # fmt: skip
    with session.app() as app:
        audited = audit(request, check=app.cancel.check)
        if plan_file is not None:
            _write_plan(audited, request, plan_file)
        report = audited.report
        session.output.write(report_document(report), report_text(report, everything=everything))


def _write_plan(audited: Audited, request: Request, path: Path) -> None:
    from homeport.audit.auditing import plan
    from homeport.audit.planfile import write_plan
    from homeport.content.files import write_file

    write_file(path, write_plan(plan(audited, request)))


def _apply(session: Session, path: Path, *, yes: bool) -> None:
    from homeport.audit.applying import prepare, write
    from homeport.audit.planfile import read_plan
    from homeport.audit.strictyaml import BadFile

    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadFile(
            f"cannot read the plan: {error.strerror}", where={"file": str(path)}
        ) from error
    root = Path.cwd()
    changes = prepare(read_plan(data, str(path)), root)
    if yes:
        write(changes, root)
    edits = sum(len(change.edits) for change in changes)
    done = "edited" if yes else "to be edited; --yes edits them"
    text = "\n".join(change.diff() for change in changes)
    session.output.write(
        {
            "schema": "homeport-audit-apply/v1", "applied": yes, "edits": edits,
            "files": [{"file": c.path, "diff": c.diff()} for c in changes],
        },
        f"{text}\n{edits} edits in {len(changes)} files {done}".lstrip("\n"),
    )  # fmt: skip
