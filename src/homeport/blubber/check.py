"""Check a Blubber configuration: its schema, what variants inherit, rules between keys, policy.

Nothing is built, and no Dockerfile is made: Blubber's own frontend does that
(``homeport solve -f FILE``).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from homeport.blubber.expansion import IncludeLoop, Values, expand, plain
from homeport.blubber.policy import read_policy
from homeport.blubber.schema import LOCAL, BadBlubber, read_configuration
from homeport.budget import Budget
from homeport.content.files import open_input
from homeport.content.reading import read_bounded
from homeport.dockerfile.syntax import find_syntax
from homeport.errors import Faults, HomeportError, UsageError
from homeport.oci.reference import BadReference, parse_reference
from homeport.yamlfile.parse import LARGEST
from homeport.yamlfile.shapes import FieldValues

SCHEMA = "homeport-blubber-check/v1"
_SINGLE = ("node", "php", "python", "builder")
_FRONTEND_NAME = "blubber"
_VARIANT = 20  # steps to look at one
_NATIVE = (0, 24)  # the first frontend that makes LLB itself
_RAISE = "raise the # syntax= line to v0.24.0 or later"
#: Blubber expands these before the shell sees them, to nothing (facts of its instruction package).
_LOST = re.compile(r"\$(?:[?$!#*@0-9-]|\{[A-Za-z_][A-Za-z0-9_]*[:\-+?=][^}]*\})")


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Something that Blubber accepts and that will surprise. ``line`` is 0 for the whole file."""

    line: int
    field: str
    what: str
    fix: str


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One variant.

    stages: other variants that are built first, because it takes files from them
    images: the base, and images that files come from
    config: its keys, with everything that it inherits
    """

    name: str
    stages: tuple[str, ...]
    images: tuple[str, ...]
    config: Values


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """``homeport-blubber-check/v1``.

    frontend:   the image of the ``# syntax=`` line
    notes:      what is valid and still wrong
    helpers:    how a build of this file can make an engine run a helper image
    violations: of the policy
    """

    schema: str = SCHEMA
    file: str
    frontend: str
    variants: tuple[Variant, ...]
    notes: tuple[Note, ...]
    helpers: tuple[Note, ...]
    violations: tuple[str, ...]


def check(file: Path, policy: Path | None = None) -> Checked:
    """Raises ``Faults`` with every fault of the file, ``BadBlubber``, ``UsageError``.

    Raises ``TooLarge`` for one whose variants inherit too much.
    """
    data = _read(file)
    read, reader = read_configuration(data, str(file))
    faults = list(reader.faults)
    checking = _Checking(str(file), read)
    faults += checking.faults
    if faults or read is None:
        raise Faults(faults, what=f"{file} is not a valid Blubber configuration")
    variants = tuple(checking.variant(name) for name in checking.expanded)
    document = {"variants": dict(checking.expanded)}
    rules = read_policy(_read(policy), str(policy)) if policy is not None else ()
    text = data.decode("utf-8", "replace")
    found = find_syntax(text)
    frontend = found.value if found else ""
    return Checked(
        file=str(file),
        frontend=frontend,
        variants=variants,
        notes=tuple(checking.notes()),
        helpers=tuple(_helpers(frontend)),
        violations=tuple(filter(None, (rule.violation(document) for rule in rules))),
    )


class _Checking:
    """A file whose values are good each by itself."""

    def __init__(self, file: str, read: FieldValues | None) -> None:
        self.file = file
        self.faults: list[HomeportError] = []
        self.expanded: dict[str, Values] = {}
        self._budget = Budget(file)
        self._read: dict[str, FieldValues] = read.get("variants") or {} if read else {}
        own = {name: plain(each) for name, each in self._read.items()}
        common = {
            key: plain(value)
            for key, value in (read.values if read else {}).items()
            if key not in ("version", "variants")
        }
        loops: list[frozenset[str]] = []
        for name, each in own.items():
            for included in each.get("includes", ()):
                if included not in own:
                    self._fault(name, "includes", f"includes the unknown variant {included!r}")
            try:
                self.expanded[name] = expand(name, common, own, self._budget)
            except IncludeLoop as loop:
                if loop.members not in loops:
                    loops.append(loop.members)
                    self._fault(name, "includes", loop.what)
        for name, values in self.expanded.items():
            self._relations(name, values)

    def _fault(self, name: str, field: str, what: str, hint: str | None = None) -> None:
        where = self._read[name].at(field).where()
        self.faults.append(BadBlubber(f"variant {name}: {what}", where=where, hint=hint))

    def _relations(self, name: str, values: Values) -> None:
        """Rules between keys, which hold for what is inherited too."""
        builders = values.get("builders") or []
        single = [key for key in _SINGLE if key in values]
        if builders and single:
            what = f"builders and {' and '.join(single)} cannot be combined, also through includes"
            self._fault(name, "builders", what, "make entries of builders of them")
        kinds = [kind for each in builders for kind in each]
        for kind in ("node", "php", "python"):
            if kinds.count(kind) > 1:
                self._fault(name, "builders", f"more than one {kind} in builders")
        if any(len(each) != 1 for each in builders):
            self._fault(name, "builders", "an entry of builders has exactly one kind")
        for each in _customs(values):
            if ("command" in each) == ("script" in each):
                self._fault(name, "builder", "a builder has either command or script")
        for each in _artifacts(values):
            source = each.get("source", "")
            outside = posixpath.normpath(source).startswith("..") or source.startswith("/")
            if each.get("from", LOCAL) == LOCAL and source and outside:
                what = f"the local source {source!r} must be a path inside of the context"
                self._fault(name, "copies", what)
        for image in self._sources(values):
            try:
                parse_reference(image)
            except BadReference as error:
                what = f"{image!r} is neither a variant nor an image: {error.what}"
                self._fault(name, "copies", what)

    def _sources(self, values: Values) -> list[str]:
        """What files and mounts come from, besides the context and variants."""
        taken = [each.get("from", LOCAL) for each in _artifacts(values)]
        taken += [each.get("from", LOCAL) for each in _mounts(values)]
        others = [each for each in taken if each != LOCAL and each not in self._read]
        return list(dict.fromkeys(others))

    def variant(self, name: str) -> Variant:
        """One variant, which is known to be good."""
        stages: dict[str, None] = {}
        images: dict[str, None] = {}
        pending = [name]
        while pending:
            values = self.expanded[pending.pop()]
            self._budget.steps(_VARIANT)
            if values.get("base"):
                images.setdefault(values["base"])
            images.update(dict.fromkeys(self._sources(values)))
            for each in (*_artifacts(values), *_mounts(values)):
                self._budget.steps(1)
                stage = each.get("from", LOCAL)
                if stage in self.expanded and stage != name and stage not in stages:
                    stages[stage] = None
                    pending.append(stage)
        return Variant(
            name=name, stages=tuple(stages), images=tuple(images),
            config=self.expanded[name],
        )  # fmt: skip

    def notes(self) -> Iterator[Note]:
        """Places where Blubber does something else than the file says."""
        for name, values in self.expanded.items():
            own = self._read[name]
            if "base" in own.values and own.values["base"] is None and values.get("base"):
                yield self._note(
                    name, "base", f"base: null does not undo the inherited {values['base']}",
                    "give the base in the variants that have one",
                )  # fmt: skip
            for each in _mounts(values):
                if each.get("from") == LOCAL:
                    what = "a mount from local mounts the image docker.io/library/local"
                    fix = "copy the files, or mount a variant that has them"
                    yield self._note(name, "builder", what, fix)
            python = values.get("python") or {}
            if python and ("version" in python) != ("requirements" in python):
                yield self._note(
                    name, "python", "python does nothing without both version and requirements",
                    "give both; requirements may be []",
                )  # fmt: skip
            yield from self._commands(name, values)

    def _commands(self, name: str, values: Values) -> Iterator[Note]:
        for each in _customs(values):
            command = each.get("command", "")
            text = command if isinstance(command, str) else (command or [""])[0]
            if "%" in text:
                yield self._note(
                    name, "builder", "Blubber takes % in a command for a format and fails",
                    "use script instead of command",
                )  # fmt: skip
            if lost := _LOST.search(text):
                what = f"Blubber expands {lost[0]!r} before the shell does, to nothing"
                yield self._note(name, "builder", what, "use script instead of command")

    def _note(self, name: str, field: str, what: str, fix: str) -> Note:
        place = self._read[name].at(field)
        return Note(line=place.line, field=f"variants.{name}.{field}", what=what, fix=fix)


def _customs(values: Values) -> list[Values]:
    """The custom builders, in either form."""
    found = [each["custom"] for each in values.get("builders") or () if "custom" in each]
    return [values["builder"], *found] if "builder" in values else found


def _artifacts(values: Values) -> Iterator[Values]:
    """Copies and requirements of everything."""
    yield from values.get("copies") or ()
    tools = [values.get(key) or {} for key in _SINGLE]
    tools += [tool for each in values.get("builders") or () for tool in each.values()]
    for tool in tools:
        yield from tool.get("requirements") or ()


def _mounts(values: Values) -> Iterator[Values]:
    for each in _customs(values):
        yield from each.get("mounts") or ()


def _helpers(frontend: str) -> Iterator[Note]:
    """Old frontends build a Dockerfile, whose COPY may run a helper image."""
    if not frontend:
        yield Note(
            line=0, field="", fix="begin the file with a # syntax= line for v0.24.0 or later",
            what="no # syntax= line: Blubber up to 0.11 makes a Dockerfile of this file, and its"
            " COPY runs docker/dockerfile-copy on Docker 18.09",
        )  # fmt: skip
        return
    version = _version(frontend)
    if version is not None and version < _NATIVE:
        yield Note(
            line=1, field="syntax", fix=_RAISE,
            what=f"Blubber {version[0]}.{version[1]} makes a Dockerfile of this file, and its COPY"
            " runs docker/dockerfile-copy where BuildKit has no file operations"
            " (BUILDKIT_DISABLE_FILEOP)",
        )  # fmt: skip


def _version(frontend: str) -> tuple[int, int] | None:
    """The version of a Blubber frontend, from its tag."""
    try:
        reference = parse_reference(frontend, default_tag="")
    except BadReference:
        return None
    found = re.match(r"v?([0-9]{1,9})\.([0-9]{1,9})", reference.tag)
    if _FRONTEND_NAME not in reference.repository or found is None:
        return None
    return int(found[1]), int(found[2])


def _read(path: Path) -> bytes:
    try:
        with open_input(path) as stream:
            return read_bounded(stream, LARGEST, str(path))
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}", where={"file": str(path)}
        ) from error
