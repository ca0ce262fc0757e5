"""``homeport audit``: every public image that files lean on, and the plan to bring it home."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from homeport.cli.options import Session, common
from homeport.errors import AnswerNo, HomeportError, UsageError

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
@click.option("--home", metavar="PREFIX", default="", help="Registry and path of your own images.")
@click.option("--assume", multiple=True, metavar="TOOL=VERSION", help="Where files do not say.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave these paths out.")
@click.option("--all", "everything", is_flag=True, help="Show weak finds and own images too.")
@click.option("--online", is_flag=True, help="Ask registries for digest, age and platforms.")
@click.option("--docker", is_flag=True, help="Also what containers of the local engine use.")
@click.option("--engine", multiple=True, metavar="ADDRESS", help="Ask an engine for its version.")
@click.option("--plan", "plan_file", type=_FILE, help="Write the plan that brings all home.")
@click.option("--apply", "apply_file", type=_FILE, help="Show a plan's edits; --yes makes them.")
@click.option("--yes", is_flag=True, help="With --apply: make the edits.")
@click.option("--sarif", type=_FILE, help="Write a SARIF log.")
@click.option("--html", type=_FILE, help="Write a page.")
@click.option("--code-quality", type=_FILE, help="Write GitLab's Code Quality report.")
@click.option("--deny", multiple=True, metavar="ID", help="Exit code 3 for this finding.")
@click.option("--allow-registry", multiple=True, metavar="NAME", help="Exit code 3 for all others.")
@click.option("--policy", "policy_file", type=_READ, help="Policy file (docs/audit.md).")
@click.option("--exit-code", is_flag=True, help="Exit code 3 for any foreign image.")
@click.option("--baseline", type=_READ, help="Results in this file are known and no violations.")
@click.option("--write-baseline", type=_FILE, help="Write all that is there now as a baseline.")
@common
def command(session: Session, *, paths: tuple[Path, ...], **options: Any) -> None:
    """Find every image that the files below PATHS use, said and unsaid.

    PATHS are folders or files; "-" is a list of pods on standard input. Exit code 3 if a
    policy is violated, 1 if some files could not be read.
    """
    if options["apply_file"] is not None:
        if options["plan_file"] is not None or paths:
            raise UsageError("--apply takes a plan and nothing else to audit")
        _apply(session, options["apply_file"], yes=options["yes"])
        return
    with session.app() as app:
        request = _request(app, paths, options)
        audited = _audited(app, request, online=options["online"])
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

        for engine in open_engines(options["engine"], app.cancel):
            for tool, version in engine_versions(engine, app.cancel).items():
                assumed.setdefault(tool, version)
    files = [path for path in paths if path != Path(STDIN)]
    if not files and not live:
        files = [Path()]
    return Request(
        paths=files, home=options["home"], assumptions=assumed, exclude=options["exclude"],
        live=live,
    )  # fmt: skip


def _audited(app: App, request: Request, *, online: bool) -> Audited:
    from homeport.audit.auditing import audit

    audited = audit(request, check=app.cancel.check)
    if not online:
        return audited
    from homeport.audit.registry_lookup import asker, to_ask, with_answers
    from homeport.content.thread_pools import run_all

    ask = asker(app.registries(), app.store)
    wanted = to_ask(audited.report)
    found = run_all(app.pools.network, [partial(ask, one) for one in wanted])
    answers = dict(zip(map(str, wanted), found, strict=True))
    return msgspec.structs.replace(audited, report=with_answers(audited.report, answers))


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
    from homeport.cli.main import printable

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
    session.output.write(document, printable(text))


def _finish(audited: Audited, violations: list[Violation]) -> None:
    """Exit code 3 for violations, 1 for files that could not be read."""
    if violations:
        count = len(violations)
        raise AnswerNo(f"{count} violation{'s' if count > 1 else ''} of the policy")
    if unread := audited.report.unread:
        first = unread[0]
        raise PartlyRead(
            f"{len(unread)} files could not be read, the first is {first.file}: {first.what}"
            if len(unread) > 1 else f"could not read {first.file}: {first.what}"
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
    done = "edited" if yes else "to be edited; --yes edits them"
    text = "\n".join(change.diff() for change in changes)
    session.output.write(
        {
            "schema": "homeport-audit-apply/v1", "applied": yes, "edits": edits,
            "files": [{"file": c.path, "diff": c.diff()} for c in changes],
        },
        f"{text}\n{edits} edits in {len(changes)} files {done}".lstrip("\n"),
    )  # fmt: skip
