"""``homeport audit``: every public image that files depend on, and the plan to replace it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.audit.auditing import AuditRequest, AuditResult
from homeport.audit.changes import changed_files
from homeport.audit.implicit import parse_assumptions
from homeport.audit.policy_check import PolicyOptions
from homeport.audit.report.json import report_document
from homeport.audit.report.listing import GROUPINGS
from homeport.audit.report.text import View, plan_text, report_text, violations_text
from homeport.audit.report.writing import ReportFiles
from homeport.audit.trees import TREES, Tree
from homeport.cli import audit_explain, audit_rules
from homeport.cli.options import Session, common
from homeport.cli.recipe_options import catalog_option
from homeport.cli.subcommand import CommandWithSubcommand
from homeport.errors import AnswerNo, HomeportError, UsageError
from homeport.printable import printable
from homeport.quantities import counted

if TYPE_CHECKING:
    from homeport.app import App
    from homeport.audit.model import Use
    from homeport.audit.plan.planfile import Plan
    from homeport.audit.policy import Violation
_FILE = click.Path(dir_okay=False, path_type=Path)
_READ = click.Path(dir_okay=False, exists=True, path_type=Path)
#: The path that means pods on standard input.
_STDIN = Path("-")
_REPORTS = ("sarif", "html", "code_quality", "junit", "markdown", "write_baseline")


class PartlyRead(HomeportError):
    """Some files could not be read; everything else was (exit code 1)."""

    id = "audit-partly-read"


def _trees(context: click.Context, parameter: click.Parameter, text: str) -> frozenset[Tree]:
    """The trees of ``--include``, separated by commas."""
    wanted = {word.strip() for word in text.split(",")} - {""}
    if unknown := wanted.difference(TREES):
        raise click.BadParameter(f"{min(unknown)!r} is not one of {', '.join(TREES)}")
    return frozenset(tree for tree in TREES if tree in wanted)


@click.command(
    name="audit",
    cls=CommandWithSubcommand,
    subcommands=[audit_explain.command, audit_rules.command],
    epilog="""\b
Examples:
  homeport audit
  homeport audit --online --home registry.example/mirror --plan plan.yaml .
  homeport mirror --file plan.yaml          # copies, digests kept
  homeport audit --apply plan.yaml          # shows the edits; --yes makes them
  homeport audit --home registry.example/mirror --exit-code .
  homeport audit --deny floating --baseline .homeport-baseline.yaml --sarif out.sarif .
  homeport audit --engine unix:///var/run/docker.sock --assume k3s=1.33 .
  kubectl get pods -A -o json | homeport audit -
  homeport audit --changed-since origin/main --markdown audit.md --junit audit.xml .
  homeport audit explain redis:7            # all about an image, a finding or a rule
  homeport audit rules --check-age          # rules that are due for a check
""",
)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--home",
    metavar="PREFIX",
    default="",
    help="Registry and path of your own images.  [default: none]",
)
@click.option(
    "--assume",
    multiple=True,
    metavar="TOOL=VERSION",
    help="Assume this version of a tool. Repeatable.",
)
@click.option("--exclude", multiple=True, metavar="GLOB", help="Skip matching paths. Repeatable.")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="List all images, not only the 20 worst: uncertain uses, your own, and all trees, too.",
)
@click.option(
    "--group-by",
    type=click.Choice(GROUPINGS),
    default="action",
    show_default=True,
    help="Group the list by what to do, by registry, by file or by level.",
)
@click.option(
    "--include",
    metavar="TREES",
    default="",
    callback=_trees,
    help="List images of these trees too: tests, examples, docs, vendored.  [default: none]",
)
@click.option("--online", is_flag=True, help="Query registries for digest, age and platforms.")
@click.option(
    "--docker", is_flag=True, help="Include images that containers of the local engine use."
)
@click.option(
    "--engine",
    multiple=True,
    metavar="ADDRESS",
    help="Query the version of this engine. Repeatable.",
)
@click.option("--plan", "plan_file", type=_FILE, help="Write a home plan to this file.")
@click.option(
    "--update-plan",
    "update_file",
    type=_FILE,
    help="Write the plan again; keep the decisions in it.",
)
@click.option(
    "--write-config",
    "config_folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write mirror configuration and policies to this directory instead of the plan.",
)
@click.option(
    "--apply", "apply_file", type=_FILE, help="Show the edits of this plan; --yes makes them."
)
@click.option("--yes", is_flag=True, help="Make the edits that --apply shows.")
@click.option("--sarif", type=_FILE, help="Write a SARIF log to this file.")
@click.option("--html", type=_FILE, help="Write an HTML page to this file.")
@click.option("--code-quality", type=_FILE, help="Write GitLab's Code Quality report to this file.")
@click.option("--junit", type=_FILE, help="Write results as JUnit XML; violations are failures.")
@click.option("--markdown", type=_FILE, help="Write a Markdown report to this file.")
@click.option(
    "--changed-since",
    metavar="REF",
    help="Report only on files that differ from this git commit.  [default: none]",
)
@click.option(
    "--deny", multiple=True, metavar="ID", help="Exit with 3 on this finding. Repeatable."
)
@click.option(
    "--allow-registry",
    multiple=True,
    metavar="NAME",
    help="Exit with 3 on images of other registries. Repeatable.",
)
@click.option("--policy", "policy_file", type=_READ, help="Apply this policy file.")
@click.option(
    "--fail-on",
    type=click.Choice(["high", "medium", "low"]),
    help="Exit with 3 on findings of this level or a higher one.  [default: none]",
)
@click.option("--exit-code", is_flag=True, help="Exit with 3 on any foreign image.")
@click.option(
    "--baseline", type=_READ, help="Exclude findings that this file records from violations."
)
@click.option("--write-baseline", type=_FILE, help="Record all current findings in this file.")
@catalog_option
@common
def command(session: Session, *, paths: tuple[Path, ...], **options: Any) -> None:
    """Find every public image your files depend on.

    Both explicit uses, where a file names the image, and implicit ones, where a tool pulls it.
    PATHS are files and directories [default: .]; "-" is a list of pods on standard input. Exit
    code 3 if a policy is violated, 1 if a file could not be read.
    """
    if options["apply_file"] is not None:
        if options["plan_file"] or options["update_file"] or len(paths) > 1:
            raise UsageError("--apply cannot be combined with --plan, or with several PATHS")
        _apply(session, options["apply_file"], paths, yes=options["yes"])
        return
    if options["yes"]:
        raise UsageError("--yes requires --apply", hint="name a plan: --apply FILE")
    if options["config_folder"] and not (options["plan_file"] or options["update_file"]):
        raise UsageError("--write-config needs a plan", hint="--plan FILE")
    if options["changed_since"] and (options["plan_file"] or options["update_file"]):
        raise UsageError("a plan is for a whole tree", hint="leave out --changed-since")
    with session.app() as app:
        request = _request(app, paths, options)
        audited = app.audit(request, online=options["online"])
        checked = app.audit_policy(audited, _policy_options(options))
        plan = None
        if file := options["update_file"] or options["plan_file"]:
            plan = app.audit_plan(
                audited, request, file, update=bool(options["update_file"]),
                config=options["config_folder"],
            )  # fmt: skip
        if any(options[name] for name in _REPORTS):
            app.audit_reports(audited, checked, _report_files(options))
    _show(session, audited, checked.violations, plan, options)
    _finish(audited, checked.violations)


def _request(app: App, paths: Sequence[Path], options: dict[str, Any]) -> AuditRequest:
    assumed = parse_assumptions(options["assume"])
    live: Sequence[Use] = ()
    pods = sys.stdin.buffer if _STDIN in paths else None
    if pods or options["docker"] or options["engine"]:
        found = app.audit_live(pods=pods, docker=options["docker"], engines=options["engine"])
        live, assumed = found.uses, {**found.versions, **assumed}
    files = [path for path in paths if path != _STDIN]
    if missing := [path for path in files if not os.path.lexists(path)]:
        raise UsageError(
            f"no such file or directory: {printable(', '.join(map(str, missing)))}",
            hint="homeport audit reads the files of a directory, as in: homeport audit .",
        )
    if not files and not live:
        files = [Path()]
    root, files = _rooted(files)
    only = changed_files(root, since) if (since := options["changed_since"]) else None
    return AuditRequest(
        paths=files, root=root, home=options["home"], assumptions=assumed,
        exclude=options["exclude"], live=live, only=only,
    )  # fmt: skip


def _rooted(paths: list[Path]) -> tuple[Path, list[Path]]:
    """The directory that file names are shown below: the working one, or what holds all paths."""
    here = Path.cwd()
    absolute = [Path(os.path.abspath(path)) for path in paths]
    if all(path.is_relative_to(here) for path in absolute):
        return here, paths
    folders = [str(path if path.is_dir() else path.parent) for path in absolute]
    root = Path(os.path.commonpath(folders))
    return root, [path.relative_to(root) for path in absolute]


def _policy_options(options: dict[str, Any]) -> PolicyOptions:
    return PolicyOptions(
        policy=options["policy_file"],
        deny=options["deny"],
        allow_registries=options["allow_registry"],
        deny_foreign=options["exit_code"],
        fail_on=options["fail_on"],
        baseline=options["baseline"],
    )


def _report_files(options: dict[str, Any]) -> ReportFiles:
    return ReportFiles(
        sarif=options["sarif"],
        html=options["html"],
        code_quality=options["code_quality"],
        junit=options["junit"],
        markdown=options["markdown"],
        baseline=options["write_baseline"],
    )


def _show(
    session: Session,
    audited: AuditResult,
    violations: Sequence[Violation],
    plan: Plan | None,
    options: dict[str, Any],
) -> None:
    report = audited.report
    document = report_document(report)
    document["violations"] = [
        {"id": v.result.id, "why": v.why, "image": v.result.image.name,
         "file": v.result.use.place.file, "line": v.result.use.place.line,
         "fingerprint": v.result.fingerprint} for v in violations
    ]  # fmt: skip
    broken = violations_text(violations, session.screen.width) if violations else ""
    if options["baseline"]:
        text = broken or "no violation beside those that the baseline records"
    else:
        text = report_text(report, _view(session, options))
        text += f"\n\n{broken}" if broken else ""
    if plan:
        file = options["update_file"] or options["plan_file"]
        text += "\n\n" + plan_text(plan, str(file))
    session.output.write(document, text, quiet_text=broken)


def _view(session: Session, options: dict[str, Any]) -> View:
    """How the report is shown: within the width of a terminal, in full elsewhere."""
    return View(
        everything=options["everything"], include=options["include"], by=options["group_by"],
        width=session.screen.width, online=options["online"], home=options["home"],
        paint=session.screen.styled,
    )  # fmt: skip


def _finish(audited: AuditResult, violations: Sequence[Violation]) -> None:
    """Exit code 3 for violations, 1 for files that could not be read."""
    if violations:
        raise AnswerNo(f"{counted(len(violations), 'violation')} of the policy")
    if unread := audited.report.unread:
        first = printable(f"{unread[0].file}: {unread[0].what}")
        more = f"{len(unread)} files; the first is " if len(unread) > 1 else ""
        raise PartlyRead(f"cannot read {more}{first}")


def _apply(session: Session, path: Path, paths: Sequence[Path], *, yes: bool) -> None:
    with session.app() as app:
        root = Path(os.path.abspath(paths[0])) if paths else None
        applied = app.audit_apply(path, root=root, make_edits=yes)
    changes = applied.changes
    done = "made" if yes else "to make; --yes makes them"
    text = "\n".join(change.diff() for change in changes)
    counts = f"{counted(applied.edits, 'edit')} in {counted(len(changes), 'file')} {done}"
    if applied.already:
        counts = "already applied: every place of the plan names the image at home"
    session.output.write(
        {
            "schema": "homeport-audit-apply/v1", "applied": yes, "edits": applied.edits,
            "already": applied.already,
            "files": [{"file": c.path, "diff": c.diff()} for c in changes],
        },
        f"{text}\n{counts}".lstrip("\n"),
    )  # fmt: skip
