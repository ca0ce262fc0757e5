"""The rules for images that tools pull implicitly: data files, one for each tool, read strictly.

A rule defines what causes a pull (``when``), what is pulled, by which versions, how to override
it, and where that was read. docs/audit.md explains how to add one; no code changes.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from homeport.audit.own_files import BadFile, read_own
from homeport.audit.reading.programs import PROGRAM, with_programs
from homeport.oci.reference import BadReference, parse_reference

Action = Literal["import", "upgrade", "delete", "leave"]


class When(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that causes the pull. All of it must fit.

    name:        regular expression for the whole name of the cause
    attributes:  attribute → regular expression that is found in it (a missing one is empty)
    without:     attribute → regular expression that is not found in it
    since/until: versions of the cause itself, where it has one
    """

    topic: str
    name: str = ".*"
    attributes: dict[str, str] = {}
    without: dict[str, str] = {}
    since: str = ""
    until: str = ""


class Override(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to make the tool pull another image. ``{home}`` is the image at home.

    setting:  what a person writes, and where
    input:    the input of a CI action that takes ``value``
    replace:  the input may be there already; its value is replaced
    find/put: a regular expression in the cause's text and what replaces its match
    """

    setting: str
    input: str = ""
    value: str = "{home}"
    replace: bool = False
    find: str = ""
    put: str = ""


class Older(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The image of versions before ``until``."""

    until: str
    image: str


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One image that a tool pulls implicitly.

    tool:     whose version ``since`` and ``until`` are, if not the file's
    needs:    ``assume``: reported only when a version is known, because the cause is everywhere
    once:     one find for each place, for each file, or for the whole audit
    dead:     the image is named in files, and nothing needs it any more
    upgrade_to: the image that replaces the one that the cause names, and pulls no other
    unless:   settings that, found anywhere in the audit, show that the tool pulls another image
    image:    ``{version}`` is that of ``tool``, ``{number}`` the same without v; ``{ref}`` is the
              version of the cause; ``{tag}`` is the tool's choice
    other_tools: tools that, when their version is known, do this instead
    older:    images of older versions, the newest first
    checked, up_to: as those of the tool, where they differ
    """

    id: str
    title: str
    why: str
    when: tuple[When, ...]
    source: str
    image: str = ""
    since: str = ""
    until: str = ""
    tool: str = ""
    needs: Literal["", "assume"] = ""
    once: Literal["place", "file", "tree"] = "place"
    confidence: Literal["high", "medium", "low"] = "high"
    action: Action = "import"
    dead: bool = False
    upgrade_to: str = ""
    unless: tuple[When, ...] = ()
    other_tools: tuple[str, ...] = ()
    older: tuple[Older, ...] = ()
    override: tuple[Override, ...] = ()
    checked: str = ""
    up_to: str = ""


class Tool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule file.

    programs: whose commands its rules match, if not named as the tool
    evidence: causes whose version is that of the tool: a package, an image
    checked:  the day when its rules were last compared with ``source``; ``up_to``: the newest
              version of the tool then
    """

    tool: str
    title: str
    rules: tuple[Rule, ...]
    programs: tuple[str, ...] = ()
    evidence: tuple[When, ...] = ()
    checked: str = ""
    up_to: str = ""

    @property
    def commands(self) -> tuple[str, ...]:
        """The programs whose commands must be read for these rules."""
        if any(when.topic == "command" for rule in self.rules for when in rule.when):
            return self.programs or (self.tool,)
        return ()


#: The program that the name of a command begins with, where the pattern is that plain.
_FIRST_WORD = re.compile(r"\(?([A-Za-z0-9][A-Za-z0-9_-]*)(?=[ |.(])")
_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def read_rules(data: bytes, file: str) -> Tool:
    """Read one rule file. Raises ``BadFile``, or ``Faults`` of several."""
    read = read_own(data, file, Tool)
    for number, word in enumerate(read.value.programs):
        if not PROGRAM.fullmatch(word):
            read.fault(["programs", number], f"invalid program {word!r}: use one word")
    for number, rule in enumerate(read.value.rules):
        for what in _faults(rule, read.value):
            read.fault(["rules", number], f"{rule.id}: {what}")
    return read.check()


@cache
def shipped() -> tuple[Tool, ...]:
    """The rules that come with Homeport, by tool."""
    folder = files("homeport.audit") / "data" / "rules"
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)
    return check_all(read_rules(f.read_bytes(), f.name) for f in found)


def check_all(tools: Iterable[Tool]) -> tuple[Tool, ...]:
    """The same tools, if no two rules have one id. Raises ``BadFile``."""
    kept = tuple(tools)
    seen: dict[str, str] = {}
    for tool in kept:
        for rule in tool.rules:
            if rule.id in seen:
                raise BadFile(f"duplicate rule {rule.id}, in {seen[rule.id]} and {tool.tool}")
            seen[rule.id] = tool.tool
    return kept


def by_id(tools: Iterable[Tool]) -> Mapping[str, Rule]:
    """All rules by their ids."""
    return {rule.id: rule for tool in tools for rule in tool.rules}


#: Rules that were not compared with their sources for longer are old.
OLD_AFTER = datetime.timedelta(days=180)


def old_rules(tools: Iterable[Tool], today: datetime.date) -> list[tuple[Rule, str]]:
    """Rules last checked more than ``OLD_AFTER`` ago, and the day of that (``""``: unknown)."""
    found = []
    for tool in tools:
        for rule in tool.rules:
            checked = rule.checked or tool.checked
            if not checked or datetime.date.fromisoformat(checked) < today - OLD_AFTER:
                found.append((rule, checked))
    return found


def _faults(rule: Rule, tool: Tool) -> Iterator[str]:
    if not _ID.fullmatch(rule.id):
        yield "invalid id: use lowercase letters and digits, words joined by dashes"
    if not rule.when:
        yield "a rule needs an entry in when"
    if not rule.dead and not rule.image:
        yield "a rule needs an image, unless it is about a dead one"
    for image in (rule.image, *(older.image for older in rule.older)):
        if image and "{" not in image:
            try:
                parse_reference(image)
            except BadReference as error:
                yield error.what
    yield from _bad_days(rule, tool)
    for when in rule.when:
        first = _FIRST_WORD.match(when.name)
        if when.topic == "command" and first and first[1] not in with_programs(tool.commands):
            yield f"{first[1]!r} is not among the programs of this file: add it to programs"
    patterns = [w.name for w in (*rule.when, *rule.unless, *tool.evidence)]
    for when in rule.when:
        patterns += [*when.attributes.values(), *when.without.values()]
    for pattern in [*patterns, *(o.find for o in rule.override)]:
        try:
            re.compile(pattern)
        except re.error as error:
            yield f"invalid regular expression {pattern!r}: {error}"


def _bad_days(rule: Rule, tool: Tool) -> Iterator[str]:
    for day in (rule.checked, tool.checked):
        try:
            datetime.date.fromisoformat(day or "2026-01-01")
        except ValueError:
            yield f"invalid day {day!r} in checked: use YYYY-MM-DD"
