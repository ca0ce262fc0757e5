"""``homeport audit``: every public image that files lean on, and the plan to bring it home."""

from __future__ import annotations

from pathlib import Path

import click

from homeport.cli.options import Session, common


@click.command(name="audit")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--home", metavar="PREFIX", default="", help="Registry and path of your own images.")
@click.option("--all", "everything", is_flag=True, help="Show weak finds and own images too.")
@common
def command(session: Session, paths: tuple[Path, ...], home: str, everything: bool) -> None:
    """Find every image that the files below PATHS use, said and unsaid."""
    from homeport.audit.documents import report_document
    from homeport.audit.report import make_report
    from homeport.audit.scanning import scan
    from homeport.audit.text import report_text

    with session.app() as app:
        found = scan(paths or (Path(),), check=app.cancel.check)
        report = make_report(
            found.uses, unread=found.unread, files=found.files, read=found.read, home=home
        )
        session.output.write(report_document(report), report_text(report, everything=everything))
