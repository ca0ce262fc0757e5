"""``homeport lock``: a recipe's exact packages, written to its lockfile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.building.request import BuildRequest
from homeport.cli.engine_options import engine_option, showing_logs
from homeport.cli.locking_options import locking_options, parse_updates
from homeport.cli.options import Session, common
from homeport.cli.recipe_options import allow_outside_option, catalog_option
from homeport.cli.typed import typed_without
from homeport.debian.archive.state import parse_as_of
from homeport.errors import OutOfDate, UsageError
from homeport.quantities import counted
from homeport.recipe.catalog import lock_command

if TYPE_CHECKING:
    from homeport.app import App
    from homeport.locking.ensure_lock import EnsuredLock
    from homeport.locking.verification import Verification


@click.command(
    name="lock",
    epilog="""\b
Examples:
  homeport lock ./my/homeport.yaml                # writes ./my/NAME.lock if needed
  homeport lock ./my/homeport.yaml --update all   # the newest of everything
  homeport lock dockerfile-copy --update libc6 --as-of 2026-10-30
  homeport lock ./tools --keep-parts              # builds then need no engine
  homeport lock ./my/homeport.yaml --check        # exit code 4 if they disagree
  homeport lock ./my/homeport.yaml --verify       # exit code 3 unless its proof is right
  homeport lock curl --verify --online            # what was signed, from mirror or snapshot
""",
)
@click.argument("recipe", default=".")
@locking_options
@allow_outside_option
@engine_option
@click.option(
    "--check", is_flag=True, help="Write nothing; exit with 4 if recipe and lockfile disagree."
)
@click.option(
    "--verify",
    is_flag=True,
    help="Write nothing; exit with 3 unless NAME.lock.proof proves every hash of the lockfile.",
)
@click.option(
    "--online",
    is_flag=True,
    help="Fetch what was signed from mirrors or a snapshot of the archive if --verify finds no"
    " proof.",
)
@click.option(
    "--keep-parts",
    is_flag=True,
    help="Write results of parts to NAME.lock.parts, too, so that builds need no engine.",
)
@catalog_option
@common
def command(
    session: Session,
    *,
    recipe: str,
    updates: tuple[str, ...],
    check: bool,
    verify: bool,
    online: bool,
    keep_parts: bool,
    as_of: str | None,
    mirrors: tuple[str, ...],
    lockfile: Path | None,
    allow_outside: tuple[Path, ...],
    engines: tuple[str, ...],
) -> None:
    """Resolve the exact packages of RECIPE and write its lockfile.

    RECIPE is a name of the catalog, a recipe file or its directory [default: .]. Locked versions
    are kept while they are available and satisfy the recipe, unless --update names them. Every
    package is downloaded and checked against the recipe's slices.
    """
    if check and (updates or as_of):
        raise UsageError("--check cannot be combined with --update or --as-of")
    if verify and (check or updates or as_of):
        raise UsageError("--verify cannot be combined with --check, --update or --as-of")
    if online and not verify:
        raise UsageError("--online is for --verify", hint="add --verify, or leave it out")
    if online and session.settings.offline:
        raise UsageError("--online cannot be combined with --offline")
    if keep_parts and (check or verify):
        raise UsageError("--keep-parts cannot be combined with --check or --verify")
    with session.app() as app, showing_logs(session):
        if verify:
            verified = app.verify_lock(
                recipe, lockfile, allow_outside=allow_outside, online=online, mirrors=mirrors
            )
            _tell_verified(session, verified)
            return
        if check:
            _check(app, session, recipe, lockfile, allow_outside)
            return
        _, prepared = app.lock(
            BuildRequest(
                recipe=recipe,
                lockfile=lockfile,
                mirrors=mirrors,
                update=parse_updates(updates),
                as_of=parse_as_of(as_of) if as_of else None,
                engines=engines,
                keep_parts=keep_parts,
                allow_outside=allow_outside,
                command=typed_without("--as-of"),
            )
        )
        session.output.write(_document(prepared), _text(prepared), quiet_text=str(prepared.path))


def _check(
    app: App,
    session: Session,
    recipe: str,
    lockfile: Path | None,
    allow_outside: tuple[Path, ...],
) -> None:
    differences = app.check_lock(recipe, lockfile, allow_outside=allow_outside).disagreements
    document = {"schema": "homeport-lock-check/v1", "disagreements": list(differences)}
    session.output.write(document, "\n".join(differences) or "the lockfile is up to date")
    if differences:
        raise OutOfDate("recipe and lockfile disagree", hint=f"run {lock_command(Path(recipe))}")


def _tell_verified(session: Session, verified: Verification) -> None:
    """docs/formats/lockfile.md, "What homeport lock prints"."""
    document = {
        "schema": "homeport-lock-verification/v1",
        "lockfile": str(verified.lockfile),
        "packages": verified.packages,
        "ended_keys": list(verified.ended),
    }
    lines = [
        f"{verified.lockfile}: {counted(verified.packages, 'package')} verified against the "
        "signed archive",
        *(f"warning: {ended}" for ended in verified.ended),
    ]
    session.output.write(document, "\n".join(lines))


def _document(prepared: EnsuredLock) -> dict[str, Any]:
    """docs/formats/lockfile.md, "What homeport lock prints"."""
    lockfile, locked = prepared.lockfile, prepared.locked
    return {
        "schema": "homeport-lock/v1",
        "parts": {
            name: {str(platform): str(tree.digest) for platform, tree in part.outputs.items()}
            for name, part in lockfile.parts.items()
        },
        "lockfile": str(prepared.path),
        "reason": prepared.reason,
        "details": list(prepared.details),
        "epoch": lockfile.epoch,
        "accounts": {"users": lockfile.accounts.users, "groups": lockfile.accounts.groups},
        "archives": [
            {"archive": suite.archive, "suite": suite.suite, "date": suite.date}
            for suite in lockfile.archives
        ],
        "changes": [
            {
                "name": change.name,
                "old": change.old,
                "new": change.new,
                "source": change.source,
                "slices": change.slices,
                "platforms": list(map(str, change.platforms)),
            }
            for change in (locked.changes if locked else ())
        ],
        "platforms": {
            str(platform): {
                "packages": len(lockfile.platforms[platform]),
                "left_out": [f"{left.by.name}: {left.text}" for left in report.left_out],
                "higher_elsewhere": [
                    {
                        "name": each.higher.name,
                        "version": each.higher.version,
                        "archive": each.archive,
                    }
                    for each in report.higher_elsewhere
                ],
                "declared": list(report.declared),
                "without_files": list(report.empty),
                "without_copyright": list(report.without_copyright),
            }
            for platform, report in (locked.platforms.items() if locked else ())
        },
    }


def _text(prepared: EnsuredLock) -> str:
    parts = [
        f"{name}: {counted(len(part.outputs), 'result')}"
        for name, part in prepared.lockfile.parts.items()
    ]
    if prepared.locked is None and parts:
        return "\n".join([f"{prepared.path} is up to date", *parts])
    if prepared.locked is None:
        return f"{prepared.path} is up to date"
    lines = [str(change) for change in prepared.locked.changes] if prepared.locked.previous else []
    if prepared.locked.previous and not lines:
        lines.append("no package changed")
    count = len({p.file.sha256 for ps in prepared.lockfile.platforms.values() for p in ps})
    lines.append(
        f"{prepared.path}: {counted(count, 'package')} for "
        f"{counted(len(prepared.lockfile.platforms), 'platform')}"
    )
    return "\n".join([*lines, *parts])
