"""``homeport audit``: every public image that files depend on, and the plan to replace it."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.options import Session, common
from homeport.cli.show import counted
from homeport.errors import AnswerNo, HomeportError, UsageError
from homeport.printable import printable

if TYPE_CHECKING:
    from homeport.app import App
    from homeport.audit.auditing import Audited, Request
    from homeport.audit.policy import Policy, Violation
    from homeport.audit.results import Result

_FILE = click.Path(dir_okay=False, path_type=Path)
_READ = click.Path(dir_okay=False, exists=True, path_type=Path)
_REPORTS = ("sarif", "html", "code_quality")


class PartlyRead(HomeportError):
    """Some files could not be read; everything else was (exit code 1)."""

    id = "audit-partly-read"


@click.command(
    name="audit",
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
    "--all", "everything", is_flag=True, help="Show uncertain uses and your own images too."
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
    "--apply", "apply_file", type=_FILE, help="Show the edits of this plan; --yes makes them."
)
@click.option("--yes", is_flag=True, help="Make the edits that --apply shows.")
@click.option("--sarif", type=_FILE, help="Write a SARIF log to this file.")
@click.option("--html", type=_FILE, help="Write an HTML page to this file.")
@click.option("--code-quality", type=_FILE, help="Write GitLab's Code Quality report to this file.")
@click.option(
    "--deny", multiple=True, metavar="ID", help="Exit with 3 on this finding. Repeatable."
)
@click.option(
    "--allow-registry",
    multiple=True,
    metavar="NAME",
    help="Exit with 3 on images of other registries. Repeatable.",
)
@click.option("--policy", "policy_file", type=_READ, help="Apply this policy file (docs/audit.md).")
@click.option("--exit-code", is_flag=True, help="Exit with 3 on any foreign image.")
@click.option(
    "--baseline", type=_READ, help="Exclude findings that this file records from violations."
)
@click.option("--write-baseline", type=_FILE, help="Record all current findings in this file.")
@common
def command(session: Session, *, paths: tuple[Path, ...], **options: Any) -> None:
    """Find every public image your files depend on.

    Both explicit uses, where a file names the image, and implicit ones, where a tool pulls it.
    PATHS are files and directories [default: .]; "-" is a list of pods on standard input. Exit
    code 3 if a policy is violated, 1 if a file could not be read.
    """
    if options["apply_file"] is not None:
        if options["plan_file"] is not None or paths:
            raise UsageError("--apply cannot be combined with --plan or PATHS")
        _apply(session, options["apply_file"], yes=options["yes"])
        return
    with session.app() as app:
        request = _request(app, paths, options)
        audited = app.audit(request, online=options["online"])
        results, violations = _judged(audited, options)
        written = _write_files(audited, request, results, options)
        _show(session, audited, violations, written, everything=options["everything"])
    _finish(audited, violations)


def _request(app: App, paths: Sequence[Path], options: dict[str, Any]) -> Request:
    from homeport.audit.auditing import Request
    from homeport.audit.implicit import parse_assumptions
    from homeport.audit.running import STDIN

    assumed = parse_assumptions(options["assume"])
    live = []
    if Path(STDIN) in paths:
        from homeport.audit.running import pod_uses, read_stdin

        live += pod_uses(read_stdin(sys.stdin.buffer))
    if options["docker"]:
        from homeport.audit.running import docker_uses, docker_version
        from homeport.images.transports.docker_api import request as ask

        live += docker_uses(lambda path: ask("GET", path))
        assumed.setdefault("docker", docker_version(lambda path: ask("GET", path)))
    if options["engine"]:
        from homeport.audit.engineversion import engine_versions
        from homeport.cli.engine_options import open_engines

        for engine in open_engines(options["engine"], app.runtime.cancel):
            for tool, version in engine_versions(engine, app.runtime.cancel).items():
                assumed.setdefault(tool, version)
    files = [path for path in paths if path != Path(STDIN)]
    if not files and not live:
        files = [Path()]
    return Request(
        paths=files, home=options["home"], assumptions=assumed, exclude=options["exclude"],
        live=live,
    )  # fmt: skip


def _judged(audited: Audited, options: dict[str, Any]) -> tuple[list[Result], list[Violation]]:
    from homeport.audit.policy import read_baseline, violations
    from homeport.audit.results import results

    known: list[str] = []
    if options["baseline"]:
        path = options["baseline"]
        known = [k.fingerprint for k in read_baseline(path.read_bytes(), str(path)).known]
    found = list(results(audited.report, known))
    today = datetime.datetime.now(datetime.UTC).date()
    return found, violations(found, _policy(audited, options), today)


def _policy(audited: Audited, options: dict[str, Any]) -> Policy:
    """The policy file, and what the options add to it."""
    from homeport.audit.policy import Policy, check_ids, read_policy

    policy = Policy()
    if path := options["policy_file"]:
        policy = read_policy(path.read_bytes(), str(path), audited.rules)
    check_ids(options["deny"], audited.rules)
    deny = (*policy.deny, *options["deny"])
    allowed = (*policy.allow_registries, *options["allow_registry"])
    if options["exit_code"] and not deny and not allowed:
        deny = ("foreign", "unresolved")
    return Policy(deny=deny, allow_registries=allowed, allow=policy.allow, sure=policy.sure)


def _write_files(
    audited: Audited, request: Request, results: list[Result], options: dict[str, Any]
) -> str:
    """Write what was asked for; what a person does next with it."""
    from homeport.content.files import write_file

    said = ""
    if path := options["plan_file"]:
        from homeport.audit.auditing import plan
        from homeport.audit.plan.planfile import write_plan
        from homeport.audit.report.text import plan_text

        made = plan(audited, request)
        write_file(path, write_plan(made))
        said = plan_text(made, str(path))
    if path := options["write_baseline"]:
        from homeport.audit.policy import write_baseline

        write_file(path, write_baseline(results))
    for name in _REPORTS:
        if path := options[name]:
            write_file(path, _rendered(name, audited, results))
    return said


def _rendered(name: str, audited: Audited, results: list[Result]) -> bytes:
    import msgspec

    if name == "html":
        from homeport.audit.report.html import html_page

        return html_page(audited.report).encode("utf-8", "replace")
    if name == "sarif":
        from homeport.audit.report.sarif import sarif_document

        document: Any = sarif_document(results, audited.report.unread, audited.rules)
    else:
        from homeport.audit.report.codequality import code_quality_document

        document = code_quality_document(results)
    from homeport.audit.report.json import clean

    return msgspec.json.format(msgspec.json.encode(clean(document))) + b"\n"


def _show(
    session: Session,
    audited: Audited,
    violations: list[Violation],
    written: str,
    *,
    everything: bool,
) -> None:
    from homeport.audit.report.json import report_document
    from homeport.audit.report.text import report_text, violations_text

    report = audited.report
    document = report_document(report)
    document["violations"] = [
        {"id": v.result.id, "why": v.why, "image": v.result.image.name,
         "file": v.result.use.place.file, "line": v.result.use.place.line,
         "fingerprint": v.result.fingerprint} for v in violations
    ]  # fmt: skip
    text = report_text(report, everything=everything)
    if violations:
        text += "\n\n" + violations_text(violations)
    if written:
        text += f"\n\n{written}"
    session.output.write(document, printable(text, lines=True))


def _finish(audited: Audited, violations: list[Violation]) -> None:
    """Exit code 3 for violations, 1 for files that could not be read."""
    if violations:
        raise AnswerNo(f"{counted(len(violations), 'violation')} of the policy")
    if unread := audited.report.unread:
        first = unread[0]
        raise PartlyRead(
            f"cannot read {len(unread)} files; the first is {first.file}: {first.what}"
            if len(unread) > 1 else f"cannot read {first.file}: {first.what}"
        )  # fmt: skip


def _apply(session: Session, path: Path, *, yes: bool) -> None:
    from homeport.audit.own_files import BadFile
    from homeport.audit.plan.applying import prepare, write
    from homeport.audit.plan.planfile import read_plan

    try:
        data = path.read_bytes()
    except OSError as error:
        where = {"file": str(path)}
        raise BadFile(f"cannot read the plan: {error.strerror}", where=where) from error
    root = Path.cwd()
    changes = prepare(read_plan(data, str(path)), root)
    if yes:
        write(changes, root)
    edits = sum(len(change.edits) for change in changes)
    done = "made" if yes else "to make; --yes makes them"
    text = "\n".join(change.diff() for change in changes)
    session.output.write(
        {
            "schema": "homeport-audit-apply/v1", "applied": yes, "edits": edits,
            "files": [{"file": c.path, "diff": c.diff()} for c in changes],
        },
        f"{text}\n{counted(edits, 'edit')} in {counted(len(changes), 'file')} {done}".lstrip("\n"),
    )  # fmt: skip
