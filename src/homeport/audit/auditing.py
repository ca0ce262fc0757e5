"""An audit from end to end: read files, apply rules, judge. The Python API of this package."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import msgspec

from homeport.audit.assessment import Report, make_report
from homeport.audit.implicit import apply_rules
from homeport.audit.model import Use
from homeport.audit.plan.planfile import Plan
from homeport.audit.plan.planning import RECIPES, make_plan
from homeport.audit.reading.tree_files import read_file
from homeport.audit.rules import Rule, Tool, by_id, shipped
from homeport.audit.scan.scanning import scan
from homeport.content.digest import Digest


class AuditRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to audit and what is known beforehand.

    home:         registry and path of your own images
    assumptions:  tool → version, where no file gives it
    live:         uses from an engine or a cluster
    """

    paths: Sequence[str | Path] = ()
    root: Path = msgspec.field(default_factory=Path.cwd)
    home: str = ""
    assumptions: Mapping[str, str] = msgspec.field(default_factory=dict)
    exclude: Sequence[str] = ()
    live: Sequence[Use] = ()
    tools: Sequence[Tool] = ()
    today: datetime.date | None = None


class AuditResult(msgspec.Struct, frozen=True, kw_only=True):
    """The report, and the rules that were applied."""

    report: Report
    rules: Mapping[str, Rule]
    dead: Mapping[str, Rule]


def audit(request: AuditRequest, *, check: Callable[[], None] = lambda: None) -> AuditResult:
    """Find every image. ``check`` may raise to stop early."""
    tools = tuple(request.tools) or shipped()
    programs = [word for tool in tools for word in tool.commands]
    found = scan(
        request.paths, root=request.root, exclude=request.exclude, programs=programs, check=check
    )
    explicit = (*found.uses, *request.live)
    implicit = apply_rules(found.causes, explicit, tools, request.assumptions)
    dead = {verdict.image: verdict.rule for verdict in implicit.verdicts}
    report = make_report(
        (*explicit, *implicit.uses), causes=found.causes, unread=found.unread,
        external=found.external, files=found.files, read=found.read, home=request.home, dead=dead,
        today=request.today,
    )  # fmt: skip
    return AuditResult(report=report, rules=by_id(tools), dead=dead)


def plan(audited: AuditResult, request: AuditRequest) -> Plan:
    """The plan that brings everything home. Raises ``UsageError`` without a home."""

    def digest_of(path: str) -> str:
        return Digest.of(read_file(request.root, path)).hex

    return make_plan(
        audited.report, home=request.home, rules=audited.rules, dead=audited.dead,
        recipes=_recipes(), digest_of=digest_of,
    )  # fmt: skip


def _recipes() -> list[str]:
    """Recipes of the catalog that builds an image that is known here."""
    folder = files("homeport.catalog")
    return [name for name in RECIPES.values() if (folder / name / "homeport.yaml").is_file()]
