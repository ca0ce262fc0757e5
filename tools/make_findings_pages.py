"""The pages of docs/findings, made from rules and findings, so that both stay in step.

    python tools/make_findings_pages.py docs/findings

A test fails when a page is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path

from homeport.audit.findings import FINDINGS, Finding
from homeport.audit.rules import Override, Rule, Tool, When, shipped

_NAMED = "`homeport audit` reports it for an image that a file names."


def pages() -> dict[str, str]:
    """Every page by its file name."""
    found = {f"{finding.id}.md": _finding_page(finding) for finding in FINDINGS.values()}
    for tool in shipped():
        found |= {f"{rule.id}.md": _rule_page(tool, rule) for rule in tool.rules}
    found["README.md"] = _index()
    return found


def _index() -> str:
    lines = ["# Findings", "", "Made by `python tools/make_findings_pages.py`; do not edit.", ""]
    lines += ["| id | what | level |", "|---|---|---|"]
    lines += [f"| [{f.id}]({f.id}.md) | {f.title} | {f.level} |" for f in FINDINGS.values()]
    lines += ["", "## Images that tools pull implicitly, rule by rule", ""]
    lines += ["| id | tool | image |", "|---|---|---|"]
    for tool in shipped():
        for rule in tool.rules:
            image = f"`{rule.image}`" if rule.image else "named in files"
            lines.append(f"| [{rule.id}]({rule.id}.md) | {tool.title} | {image} |")
    return "\n".join(lines) + "\n"


def _finding_page(finding: Finding) -> str:
    return (
        f"# {finding.id}: {finding.title}\n\n{finding.why}\n\n"
        f"Level: {finding.level}.\n\n## What helps\n\n{finding.fix}\n\n"
        f"`homeport audit --deny {finding.id}` makes it a violation (exit code 3).\n"
    )


def _rule_page(tool: Tool, rule: Rule) -> str:
    parts = [f"# {rule.id}: {rule.title}", rule.why]
    facts = [f"- Tool: {tool.title}"]
    if rule.image:
        facts.append(f"- Image: `{rule.image}`" + (" (the tool's version)" * ("{" in rule.image)))
    facts += [f"- Before {older.until}: `{older.image}`" for older in rule.older]
    if rule.since or rule.until:
        bounds = [f"from {rule.since} on" if rule.since else "", f"before {rule.until}"]
        facts.append(f"- Versions of {rule.tool or tool.tool}: "
                     + " and ".join(b for b in bounds if b and b != "before "))  # fmt: skip
    facts.append(
        f"- Confidence: {rule.confidence}" + (", only with a known version" * bool(rule.needs))
    )
    facts.append(f"- What the plan does: {rule.action}")
    facts.append(f"- Source: {rule.source}")
    parts.append("\n".join(facts))
    parts.append("## When\n\n" + "\n".join(f"- {_when(when)}" for when in rule.when))
    if rule.unless:
        parts.append("Unless the tree has:\n\n" + "\n".join(f"- {_when(w)}" for w in rule.unless))
    if rule.override:
        lines = "\n".join(f"- {_setting(override)}" for override in rule.override)
        parts.append(f"## How to use another image\n\n{lines}")
    if rule.dead:
        parts.append(_NAMED)
    return "\n\n".join(parts) + "\n"


def _when(when: When) -> str:
    text = f"`{when.topic}`" + (f" named `{when.name}`" if when.name != ".*" else "")
    for name, pattern in when.attributes.items():
        text += f", where `{name}` matches `{pattern}`"
    for name, pattern in when.without.items():
        text += f", where `{name}` does not match `{pattern}`"
    return text


def _setting(override: Override) -> str:
    return f"`{override.setting.replace('{home}', 'REGISTRY/IMAGE')}`"


def main(folder: str) -> None:
    """Write every page, and remove those that belong to nothing."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for name, text in wanted.items():
        (target / name).write_text(text, encoding="utf-8")
    for path in target.glob("*.md"):
        if path.name not in wanted:
            path.unlink()


if __name__ == "__main__":
    main(sys.argv[1])
