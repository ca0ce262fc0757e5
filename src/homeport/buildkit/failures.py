"""Why a build failed, in the user's terms: the reason, the Dockerfile's lines, the step's log.

New engines say in an error's details which lines of which file; old ones name a line in
their text, or only the step, whose name is the instruction's text. What is found becomes
``where`` (file, line) and a quotation with a caret for the terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from grpclib.exceptions import GRPCError

from homeport.buildkit.protocol.errors import BuildFailed, details
from homeport.buildkit.status import Step, Steps
from homeport.errors import HomeportError

_WRAPPINGS = (
    re.compile(r"failed to solve(?: with frontend [\w.\-]+)?: "),
    re.compile(r"failed to (?:create|build) LLB(?: definition)?: "),
    re.compile(r"rpc error: code = \w+ desc = "),
)
_LINE = re.compile(r"(?:parse error (?:on )?line |on line |Dockerfile:)(\d{1,9})")
_STAGE = re.compile(r"^\[[^\]]*\]\s+")
_AROUND = 2  # lines quoted before and after


class Sources(msgspec.Struct, frozen=True):
    """Texts that failures may quote, by the name that users know them by."""

    texts: Mapping[str, str] = msgspec.field(default_factory=dict)


def build_failure(error: GRPCError, steps: Steps, sources: Sources) -> HomeportError:
    """The one error for a failed build."""
    step = steps.failed
    what = _reason(error.message or "the build failed", step)
    where: dict[str, str | int] = {}
    quotation = ""
    place = _from_details(error.details) or _from_text(error.message or "", sources)
    place = place or _from_step(step, sources)
    if place is not None:
        file, first, last = place
        where = {"file": file, "line": first}
        if text := _text_of(file, sources):
            quotation = quote(text, first, last)
    if step is not None:
        where["step"] = _STAGE.sub("", step.vertex.name)
    found = BuildFailed(what, status=error.status.name.lower(), where=where)
    found.quotation = quotation
    found.log = tuple(step.lines) if step is not None else ()
    return found


def quote(text: str, first: int, last: int) -> str:
    """Lines ``first`` to ``last`` with some around them, marked and with a caret below."""
    lines = text.splitlines()
    last = max(first, min(last, len(lines)))
    begin, end = max(1, first - _AROUND), min(len(lines), last + _AROUND)
    shown = []
    for number in range(begin, end + 1):
        mark = ">" if first <= number <= last else " "
        shown.append(f"{mark}{number:>4} | {lines[number - 1]}".rstrip())
        if number == last:
            content = lines[number - 1]
            indent = len(content) - len(content.lstrip())
            shown.append(f"      | {' ' * indent}{'^' * max(1, len(content.strip()))}")
    return "\n".join(shown)


def _reason(message: str, step: Step | None) -> str:
    """The engine's text without its wrappings; the step's own error if it says more."""
    text = message.strip()
    changed = True
    while changed:
        changed = False
        for pattern in _WRAPPINGS:
            if found := pattern.match(text):
                text, changed = text[found.end() :], True
    if step is not None and step.vertex.error and "context canceled" in text:
        text = step.vertex.error
    return text or "the build failed"


def _from_details(data: Any) -> tuple[str, int, int] | None:
    if not isinstance(data, bytes):
        return None
    for name, value in details(data):
        if name.endswith("errdefs.Source") and isinstance(value, dict):
            info, ranges = value.get("info"), value.get("ranges")
            if isinstance(info, dict) and isinstance(ranges, list) and ranges:
                lines = list(_line_numbers(ranges))
                if lines:
                    return str(info.get("filename") or "Dockerfile"), min(lines), max(lines)
    return None


def _line_numbers(ranges: list[Any]) -> Iterator[int]:
    for each in ranges:
        for end in ("start", "end"):
            position = each.get(end) if isinstance(each, dict) else None
            line = position.get("line") if isinstance(position, dict) else None
            if isinstance(line, int) and line > 0:
                yield line


def _from_text(message: str, sources: Sources) -> tuple[str, int, int] | None:
    found = _LINE.search(message)
    if found is None or not sources.texts:
        return None
    line = int(found.group(1))
    return next(iter(sources.texts)), line, line


def _from_step(step: Step | None, sources: Sources) -> tuple[str, int, int] | None:
    """The instruction whose text is the step's name, variables aside."""
    if step is None:
        return None
    from homeport.dockerfile.lines import parse_dockerfile  # 16 ms that other builds save

    name = " ".join(_STAGE.sub("", step.vertex.name).split())
    for file, text in sources.texts.items():
        best: tuple[int, tuple[int, int]] | None = None
        for instruction in parse_dockerfile(text).instructions:
            words = " ".join(instruction.text.split())
            common = _common(words.lower(), name.lower())
            if words.split(" ", 1)[0].lower() != name.split(" ", 1)[0].lower():
                continue
            if best is None or common > best[0]:
                best = (common, instruction.lines)
        if best is not None:
            return file, *best[1]
    return None


def _common(one: str, other: str) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _text_of(file: str, sources: Sources) -> str:
    if file in sources.texts:
        return sources.texts[file]
    return next((t for name, t in sources.texts.items() if name.endswith("/" + file)), "")
