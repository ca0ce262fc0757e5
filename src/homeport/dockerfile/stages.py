"""What a Dockerfile takes from elsewhere: its stages, and every image that it names.

ARG scope, stages against images, ``--from``, ``--mount=from`` and ONBUILD by BuildKit's
rules. Nothing is dropped: what cannot be resolved is there with the reason. Not for named
contexts given from outside, nor for the triggers inside a base image's config.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from homeport.dockerfile.expand import CannotExpand, Expansion, expand
from homeport.dockerfile.lines import Dockerfile, Instruction, Span
from homeport.dockerfile.syntax import BUILT_IN, find_syntax

How = Literal["syntax", "from", "copy-from", "mount-from"]

#: Variables that one expression may depend on, through others.
MOST_FEEDS = 16
_STAGE = re.compile(r"[a-z][a-z0-9\-_.]*")
_NUMBER = re.compile(r"[+-]?[0-9]+")

#: What BuildKit sets before the first FROM; the values are those of a plain build.
PLATFORM_ARGS: dict[str, str] = {
    f"{side}{name}": value
    for side in ("TARGET", "BUILD")
    for name, value in (
        ("PLATFORM", "linux/amd64"), ("OS", "linux"), ("ARCH", "amd64"), ("VARIANT", ""),
    )
} | {"TARGETSTAGE": "default"}  # fmt: skip


class ArgDefault(msgspec.Struct, frozen=True, kw_only=True):
    """The default of an ARG before the first FROM. ``span``: its value, quotes included."""

    name: str
    text: str
    value: str | None
    span: Span
    feeds: tuple[str, ...] = ()


class ImageUse(msgspec.Struct, frozen=True, kw_only=True):
    """An image, at the place that names it.

    value:    after expansion; ``None`` when that was not possible, and ``problem`` gives the reason
    missing:  variables without a default; BuildKit takes them for empty
    feeds:    the defaults that flow into ``value``, first the direct ones
    onbuild:  pulled when a child is built, not here
    """

    how: How
    expression: str
    span: Span
    line: int
    value: str | None
    problem: str = ""
    feeds: tuple[ArgDefault, ...] = ()
    missing: tuple[str, ...] = ()
    platform_args: tuple[str, ...] = ()
    onbuild: bool = False
    stage: int = -1


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One FROM. ``base`` is the index of the stage it builds on, else ``None``."""

    index: int
    name: str
    platform: str
    base: int | None
    instruction: Instruction
    instructions: tuple[Instruction, ...] = ()


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """A whole Dockerfile, understood."""

    stages: tuple[Stage, ...]
    images: tuple[ImageUse, ...]
    args: Mapping[str, ArgDefault] = msgspec.field(default_factory=dict)


def analyse(
    dockerfile: Dockerfile,
    build_args: Mapping[str, str] | None = None,
    platform_args: Mapping[str, str] = PLATFORM_ARGS,
) -> Build:
    """Find stages and images; ``build_args`` override the defaults of ARG."""
    return _Analysis(dockerfile, build_args or {}, platform_args).run()


class _Analysis:
    def __init__(
        self,
        dockerfile: Dockerfile,
        build_args: Mapping[str, str],
        platform_args: Mapping[str, str],
    ) -> None:
        self._file = dockerfile
        self._build_args = build_args
        self._variables = dict(platform_args)
        self._defaults: dict[str, ArgDefault] = {}
        self._stages: list[Stage] = []
        # Named stages, the last of a name; and those that are finished.
        self._named: dict[str, int] = {}
        self._finished: set[str] = set()
        self._body: list[Instruction] = []
        self._images: list[ImageUse] = []
        # Names of all stages, for those that are used before they exist.
        self._all_names = {
            words[2].text.lower()
            for words in (i.fields() for i in dockerfile.instructions if i.keyword == "from")
            if len(words) == 3 and words[1].text.lower() == "as"
        }

    def run(self) -> Build:
        self._syntax()
        for instruction in self._file.instructions:
            if instruction.keyword == "from":
                self._close_stage()
                self._from(instruction)
            elif not self._stages:
                if instruction.keyword == "arg":
                    self._arg(instruction)
            else:
                self._body.append(instruction)
                self._inside(instruction)
        self._close_stage()
        return Build(
            stages=tuple(self._stages), images=tuple(self._images), args=dict(self._defaults)
        )

    def _syntax(self) -> None:
        found = find_syntax(self._file.text)
        syntax = self._build_args.get("BUILDKIT_SYNTAX", found.value if found else "")
        if not found or syntax == BUILT_IN:
            return
        self._images.append(
            ImageUse(
                how="syntax", expression=found.value, span=Span(found.start, found.end),
                line=self._file.text.count("\n", 0, found.start) + 1, value=syntax,
            )
        )  # fmt: skip

    def _arg(self, instruction: Instruction) -> None:
        for word in instruction.words(self._file.escape):
            name, equals, text = word.text.partition("=")
            value: str | None = None
            used: tuple[str, ...] = ()
            if equals:
                try:
                    expansion = expand(text, self._variables, self._file.escape)
                    value, used = expansion.value, expansion.used
                except CannotExpand:
                    value = None
            start = word.start + len(name) + len(equals)
            self._defaults[name] = ArgDefault(
                name=name, text=text, value=value, span=instruction.span(start, word.end),
                feeds=used,
            )  # fmt: skip
            if name in self._build_args:
                value = self._build_args[name]
            if value is not None:
                self._variables[name] = value
            elif name not in PLATFORM_ARGS:
                self._variables.pop(name, None)

    def _from(self, instruction: Instruction) -> None:
        words = instruction.fields()
        name = ""
        if len(words) == 3 and words[1].text.lower() == "as":
            name = words[2].text.lower()
        base = self._base(instruction) if words else None
        platform = next(
            (f.text[11:] for f in instruction.flags if f.text.startswith("--platform=")), ""
        )
        if self._stages and self._stages[-1].name:
            self._finished.add(self._stages[-1].name)
        if name:
            self._named[name] = len(self._stages)
        self._stages.append(
            Stage(
                index=len(self._stages), name=name, platform=platform, base=base,
                instruction=instruction,
            )
        )  # fmt: skip

    def _base(self, instruction: Instruction) -> int | None:
        """Note the image, unless FROM names an earlier stage; that one's index."""
        words = instruction.fields()
        word = words[0]
        problem = ""
        try:
            expansion = expand(word.text, self._variables, self._file.escape)
        except CannotExpand as error:
            expansion, problem = Expansion(value=""), error.what
        if not problem and not expansion.value:
            missing = ", ".join(expansion.missing)
            problem = f"no default for {missing}" if missing else "the name is empty"
        if not problem and expansion.value in self._named:
            return self._named[expansion.value]
        if expansion.value == "scratch" and not problem:
            return None
        if len(words) not in (1, 3) or (len(words) == 3 and words[1].text.lower() != "as"):
            problem = problem or "FROM takes one name, or a name, AS and a stage"
        elif len(words) == 3 and not _STAGE.fullmatch(words[2].text.lower()):
            problem = problem or f"invalid stage name {words[2].text!r}"
        self._images.append(
            ImageUse(
                how="from", expression=word.text, span=instruction.span(word.start, word.end),
                line=instruction.lines[0], value=expansion.value or None, problem=problem,
                feeds=self._feeds(expansion.used), missing=expansion.missing,
                stage=len(self._stages),
                platform_args=tuple(
                    n for n in expansion.used if n in PLATFORM_ARGS and n not in self._defaults
                ),
            )
        )  # fmt: skip
        return None

    def _feeds(self, names: tuple[str, ...]) -> tuple[ArgDefault, ...]:
        found: dict[str, ArgDefault] = {}
        queue = list(names)
        while queue and len(found) < MOST_FEEDS:
            name = queue.pop(0)
            default = self._defaults.get(name)
            if default is not None and name not in found:
                found[name] = default
                queue.extend(default.feeds)
        return tuple(found.values())

    def _inside(self, instruction: Instruction) -> None:
        inner = instruction.inner()
        for how, word, start, end in _from_options(inner or instruction):
            self._option(how, word, (inner or instruction).span(start, end), instruction)

    def _option(self, how: How, value: str, span: Span, instruction: Instruction) -> None:
        problem = ""
        onbuild = instruction.keyword == "onbuild"
        if "$" in value:
            problem = "variables are not expanded here"
        elif _NUMBER.fullmatch(value) or self._is_stage(value):
            return
        elif value.lower() in self._all_names and not onbuild:
            problem = f"the stage {value} does not come before this one"
        self._images.append(
            ImageUse(
                how=how, expression=value, span=span, line=instruction.lines[0],
                value=None if problem else value, problem=problem, onbuild=onbuild,
                stage=len(self._stages) - 1,
            )
        )  # fmt: skip

    def _is_stage(self, value: str) -> bool:
        return value.lower() in self._finished

    def _close_stage(self) -> None:
        if self._stages:
            self._stages[-1] = msgspec.structs.replace(
                self._stages[-1], instructions=tuple(self._body)
            )
        self._body = []


def _from_options(instruction: Instruction) -> Iterator[tuple[How, str, int, int]]:
    """Values of ``--from`` and of ``from`` in ``--mount``, and their place in the text."""
    for flag in instruction.flags:
        raw = instruction.text[flag.start : flag.end]
        if instruction.keyword == "copy" and flag.text.startswith("--from="):
            value = flag.text[7:]
            how: How = "copy-from"
        elif instruction.keyword == "run" and flag.text.startswith("--mount="):
            value = _mount_from(flag.text[8:])
            how = "mount-from"
        else:
            continue
        if value:
            marker = re.search(r"from=[\"']?(?=" + re.escape(value) + ")", raw, re.IGNORECASE)
            at = marker.end() if marker else max(raw.find(value), 0)
            yield how, value, flag.start + at, flag.start + at + len(value)


def _mount_from(text: str) -> str:
    """``from`` of a bind or cache mount, else nothing."""
    try:
        fields = next(csv.reader([text], strict=True), [])
    except csv.Error:
        return ""
    found = {}
    for item in fields:
        key, equals, value = item.partition("=")
        if equals:
            found[key.lower()] = value
    return found.get("from", "") if found.get("type", "bind").lower() in ("bind", "cache") else ""
