"""An audit from end to end: read files, apply rules, judge. The Python API of this package."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from pathlib import Path

import msgspec

from homeport.audit.assessment import Report, make_report
from homeport.audit.implicit import apply_rules
from homeport.audit.model import Use
from homeport.audit.plan.applying import EditWouldChangeMore, PlanIsForOtherFiles, proved
from homeport.audit.plan.deciding import knowledge_of
from homeport.audit.plan.guard import Spot, broken, spots
from homeport.audit.plan.places import edits_of
from homeport.audit.plan.planfile import Audited, Plan
from homeport.audit.plan.planning import Draft, make_draft
from homeport.audit.reading.tree_files import read_file
from homeport.audit.rules import Rule, Tool, by_id, shipped
from homeport.audit.scan.scanning import scan
from homeport.audit.trees import Tree, tree_of
from homeport.content.digest import Digest
from homeport.errors import HomeportError


class AuditRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to audit and what is known beforehand.

    home:         registry and path of your own images
    assumptions:  tool → version, where no file gives it
    live:         uses from an engine or a cluster
    only:         files whose uses are reported; the others are read, as they decide what is own
    """

    paths: Sequence[str | Path] = ()
    root: Path = msgspec.field(default_factory=Path.cwd)
    home: str = ""
    assumptions: Mapping[str, str] = msgspec.field(default_factory=dict)
    exclude: Sequence[str] = ()
    live: Sequence[Use] = ()
    only: Set[str] | None = None
    tools: Sequence[Tool] = ()
    today: datetime.date | None = None


class AuditResult(msgspec.Struct, frozen=True, kw_only=True):
    """The report, and the rules that were applied."""

    report: Report
    rules: Mapping[str, Rule]
    dead: Mapping[str, Rule]


def audit(
    request: AuditRequest,
    *,
    edited: Mapping[str, bytes] | None = None,
    check: Callable[[], None] = lambda: None,
) -> AuditResult:
    """Find every image.

    edited:  files as they would be, instead of those on disk
    check:   may raise to stop early
    """
    tools = tuple(request.tools) or shipped()
    programs = [word for tool in tools for word in tool.commands]
    found = scan(
        request.paths, root=request.root, exclude=request.exclude, programs=programs, edited=edited,
        check=check,
    )  # fmt: skip
    explicit = (*found.uses, *request.live)
    implicit = apply_rules(found.causes, explicit, tools, request.assumptions)
    dead = {verdict.image: verdict.rule for verdict in implicit.verdicts}
    report = make_report(
        _reported((*explicit, *implicit.uses), request), causes=found.causes, unread=found.unread,
        external=found.external, files=found.files, read=found.read, home=request.home, dead=dead,
        today=request.today,
    )  # fmt: skip
    return AuditResult(report=report, rules=by_id(tools), dead=dead)


def _reported(uses: Iterable[Use], request: AuditRequest) -> Iterable[Use]:
    """The uses that a report is about, with the kind of tree that each is in."""
    named = [os.path.relpath(os.path.normpath(request.root / p), request.root.absolute())
             for p in request.paths]  # fmt: skip
    trees: dict[str, Tree] = {}
    for use in uses:
        if (tree := trees.get(use.place.file)) is None:
            tree = trees[use.place.file] = tree_of(use.place.file, named)
        if request.only is None or use.place.file in request.only:
            yield msgspec.structs.replace(use, tree=tree) if tree else use


def plan(
    audited: AuditResult,
    request: AuditRequest,
    decisions: Plan | None = None,
    *,
    only_places: bool = False,
) -> Plan:
    """The plan that brings everything home. Raises ``UsageError`` without a home.

    Its edits are made in memory and audited: an image whose edit does not give exactly its
    reference at home, or changes another place, becomes a setting.

    decisions:   an earlier plan, whose actions and references at home are kept
    only_places: edit no place that is not in the earlier plan
    """
    content: dict[str, bytes] = {}

    def read(path: str) -> bytes:
        if path not in content:
            content[path] = read_file(request.root, path)
        return content[path]

    known = knowledge_of(audited.report, audited.rules, audited.dead)
    refused: dict[Spot, str] = {}
    for _ in range(_MOST_ROUNDS):
        draft = make_draft(
            audited.report, home=request.home, known=known, decisions=decisions,
            only_places=only_places, refused=refused,
            digest_of=lambda path: Digest.of(read(path)).hex,
        )  # fmt: skip
        wrong = _broken(draft, audited, request, read)
        if not wrong:
            break
        refused |= wrong
    else:
        spot, why = next(iter(wrong.items()))
        raise EditsRefused(
            f"no edits were found that give exactly the planned references: {why}",
            where={"file": spot.file, "field": spot.key},
            hint="exclude the file (--exclude), or write this image's change by hand",
        )
    made = draft.plan
    return msgspec.structs.replace(
        made,
        audited=Audited(
            paths=tuple(map(str, request.paths)), exclude=tuple(request.exclude),
            assume=tuple(f"{tool}={version}" for tool, version in request.assumptions.items()),
        ),
    )  # fmt: skip


#: Each round leaves out an edit that was refused; a tree that needs more gets no plan.
_MOST_ROUNDS = 20


class EditsRefused(HomeportError):
    """Edits that were left out changed what others give, again and again."""

    id = "edits-refused"


def _broken(
    draft: Draft, audited: AuditResult, request: AuditRequest, read: Callable[[str], bytes]
) -> dict[Spot, str]:
    """Places whose edits are not to be made, and why."""
    edits = {path: found for path, found in edits_of(draft.plan).items() if found}
    if not edits:
        return {}
    edited: dict[str, bytes] = {}
    wrong: dict[Spot, str] = {}
    for path, found in edits.items():
        try:
            edited[path] = proved(path, read(path), found, request.root)
        except (EditWouldChangeMore, PlanIsForOtherFiles) as error:
            wrong |= dict.fromkeys(draft.editing(path), error.what)
    if wrong:
        return wrong
    live = {use.place.file for use in request.live}
    after = audit(request, edited=edited).report
    uses = [u for image in after.images for u in image.uses if u.place.file not in live]
    return draft.blamed(broken(draft.promises, spots(uses), request.home))
