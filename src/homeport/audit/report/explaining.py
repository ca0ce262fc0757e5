"""``audit explain``: all that is known about one finding, one rule or one image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from homeport.audit.assessment import Image
from homeport.audit.findings import FINDINGS, Finding, page_of
from homeport.audit.plan.catalog_images import recipe_for
from homeport.audit.report.listing import place_text
from homeport.audit.rules import Rule, Tool
from homeport.printable import printable
from homeport.recipe.catalog import catalog_words


def find_rule(tools: Iterable[Tool], id: str) -> tuple[Tool, Rule] | None:
    """The rule of this id, with its tool."""
    return next(((tool, rule) for tool in tools for rule in tool.rules if rule.id == id), None)


def finding_text(finding: Finding) -> str:
    """A kind of finding: what, why, what helps."""
    return (
        f"{finding.id}: {finding.title}\nlevel {finding.level}\n\n{finding.why}\n\n"
        f"What helps: {finding.fix}\n{page_of(finding.id)}"
    )


def rule_text(tool: Tool, rule: Rule) -> str:
    """A rule: what pulls which image, in which versions, and how to name another."""
    lines = [f"{rule.id}: {rule.title}", f"tool: {tool.title}"]
    if rule.image:
        lines.append(f"image: {rule.image}")
    lines += [f"before {older.until}: {older.image}" for older in rule.older]
    if rule.since or rule.until:
        since = f" from {rule.since}" if rule.since else ""
        until = f" before {rule.until}" if rule.until else ""
        lines.append(f"versions of {rule.tool or tool.tool}:{since}{until}")
    lines += ["", rule.why]
    if rule.override:
        lines += ["", "To pull another image:", *(f"  {o.setting}" for o in rule.override)]
    checked = rule.checked or tool.checked
    up_to = rule.up_to or tool.up_to
    lines += ["", f"read in: {rule.source}", f"checked: {checked or 'never'}"
              + (f", up to version {up_to}" if up_to else ""), page_of(rule.id)]  # fmt: skip
    return "\n".join(lines)


def image_text(image: Image, rules: Sequence[Rule] = ()) -> str:
    """An image: what is known, why it is listed, every place, how to bring it home."""
    lines = [printable(image.name), f"level {image.level}, {image.confidence} confidence"]
    if image.internal:
        lines.append(f"your own: {printable(image.internal)}")
    if image.tree:
        lines.append(f"only in {image.tree}")
    if image.end_of_life is not None:
        ends = image.end_of_life
        lines.append(f"{ends.title} {ends.release} ends {ends.ends} ({ends.source})")
    if image.risks:
        lines += ["", "Why it is listed:"]
        lines += [f"  {risk.id} ({risk.level}): {printable(risk.text)}" for risk in image.risks]
        fixes = dict.fromkeys(FINDINGS[r.id].fix for r in image.risks if r.id in FINDINGS)
        lines += ["", "What helps:", *(f"  {fix}" for fix in fixes if fix)]
    lines += [f"  {override.setting}" for rule in rules for override in rule.override]
    if image.reference is not None and (recipe := recipe_for(image.reference)):
        lines.append(f"  homeport build {recipe}{catalog_words()}   # the catalog's recipe for it")
    lines += ["", "Where:", *(f"  {place_text(use)}{_said(use.note)}" for use in image.uses)]
    return "\n".join(lines)


def _said(note: str) -> str:
    return f"  ({printable(note)})" if note else ""
