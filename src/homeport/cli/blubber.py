"""``homeport blubber``: check Blubber configurations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from homeport.cli.options import Session, common
from homeport.cli.subcommand import CommandGroup
from homeport.errors import AnswerNo, UsageError
from homeport.quantities import counted

if TYPE_CHECKING:
    from homeport.blubber.check import Checked, Note


@click.group(cls=CommandGroup, name="blubber")
def command() -> None:
    """Check Blubber configurations; homeport solve builds them."""


@command.command(
    epilog="""\b
Examples:
  homeport blubber check .pipeline/blubber.yaml
  homeport blubber check .pipeline/blubber.yaml --variant production
  homeport blubber check .pipeline/blubber.yaml --policy policy.yaml
"""
)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--policy", metavar="POLICY", type=click.Path(path_type=Path),
    help="Check the rules of this policy file, too.",
)  # fmt: skip
@click.option("--variant", metavar="NAME", help="Print this variant with what it inherits.")
@common
def check(session: Session, file: Path, policy: Path | None, variant: str | None) -> None:
    """Check a Blubber configuration and expand its variants.

    FILE is a file of schema v4. Every fault of it is reported with its place. The output lists
    the variants with their base, files taken from other variants and images, what Blubber would
    do otherwise than the file says, and how an old frontend could make an engine run a helper
    image. Exit code 3 if the policy is violated.
    """
    with session.app() as app:
        found = app.check_blubber(file, policy)
    known = [each.name for each in found.variants]
    if variant is not None and variant not in known:
        raise UsageError(f"no variant {variant!r} in {file}", hint=f"it has {', '.join(known)}")
    session.output.write(msgspec.to_builtins(found), _text(found, variant))
    if found.violations:
        raise AnswerNo(f"the policy is violated: {counted(len(found.violations), 'rule')}")


def _text(found: Checked, chosen: str | None) -> str:
    lines = [f"{found.file}: valid, {counted(len(found.variants), 'variant')}"]
    lines.append(f"frontend  {found.frontend or 'none'}")
    for variant in found.variants:
        if chosen in (None, variant.name):
            lines += ["", f"[{variant.name}]"]
            lines += [f"  built first  {stage}" for stage in variant.stages]
            lines += [f"  image        {image}" for image in variant.images or ("scratch",)]
            if chosen is not None:
                lines += [f"  {line}" for line in _tree(variant.config)]
    for title, notes in (("notes", found.notes), ("helper images", found.helpers)):
        if notes:
            lines += ["", f"{title}:", *(f"  {_note(note)}" for note in notes)]
    lines += [f"violation: {each}" for each in found.violations]
    return "\n".join(lines)


def _note(note: Note) -> str:
    place = f"line {note.line}: " if note.line else ""
    return f"{place}{note.what}; {note.fix}"


def _tree(value: Any, indent: str = "") -> list[str]:
    """Mappings and lists as indented lines, as the file would write them."""
    if isinstance(value, dict):
        items = [(f"{key}:", each) for key, each in value.items()]
    else:
        items = [("-", each) for each in value]
    lines = []
    for head, each in items:
        if isinstance(each, (dict, list)) and each:
            lines += [indent + head, *_tree(each, indent + "  ")]
        else:
            shown = str(each).lower() if isinstance(each, bool) else str(each)
            lines.append(f"{indent}{head} {shown}".rstrip())
    return lines
