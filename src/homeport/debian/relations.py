"""Relations between packages: the grammar of Depends, Provides, Conflicts and similar fields.

    depends := group {"," group}        group := relation {"|" relation}
    relation := name[":" qualifier] ["(" operator version ")"] ["[" arch… "]"] {"<" profile… ">"}

Debian Policy chapter 7 and deb-control(5). Not for deciding what satisfies what across
an archive (``debian.resolution.resolve``).
"""

from __future__ import annotations

import re
from typing import Literal, cast

import msgspec

from homeport.debian.version import Version, parse_version
from homeport.errors import HomeportError

Operator = Literal["<<", "<=", "=", ">=", ">>"]

# A lone < or > is obsolete and means <= or >= (deb-control(5)).
_OPERATORS = {"<<": "<<", "<=": "<=", "=": "=", ">=": ">=", ">>": ">>", "<": "<=", ">": ">="}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.\-_]*")
_QUALIFIER = re.compile(r":([A-Za-z0-9][A-Za-z0-9-]*)")
_CONSTRAINT = re.compile(r"\(\s*(<<|<=|>=|>>|=|<|>)\s*([^\s()<=>]+)\s*\)")
_ARCHITECTURES = re.compile(r"\[([^\[\]]*)\]")
_PROFILES = re.compile(r"<([^<>]*)>")
_BLANK = re.compile(r"\s*")
_LONGEST = 1 << 20  # characters of one field


class BadRelation(HomeportError):
    """An invalid dependency field; ``where`` has the column."""

    id = "bad-relation"
    exit_code = 2


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """One name with its conditions.

    qualifier:     what follows the colon: ``any``, ``native`` or an architecture
    architectures: ``[amd64 !i386]``, as written; empty means all
    profiles:      one tuple for each ``<…>``, as written
    """

    name: str
    qualifier: str = ""
    operator: Operator | None = None
    version: Version | None = None
    architectures: tuple[str, ...] = ()
    profiles: tuple[tuple[str, ...], ...] = ()

    def allows(self, version: Version) -> bool:
        """Whether this version satisfies the version condition."""
        wanted = self.version
        if wanted is None:
            return True
        match self.operator:
            case "<<":
                return version < wanted
            case "<=":
                return version <= wanted
            case ">=":
                return version >= wanted
            case ">>":
                return version > wanted
            case _:
                return version == wanted

    def __str__(self) -> str:
        text = self.name
        if self.qualifier:
            text += f":{self.qualifier}"
        if self.version is not None:
            text += f" ({self.operator} {self.version})"
        if self.architectures:
            text += f" [{' '.join(self.architectures)}]"
        for group in self.profiles:
            text += f" <{' '.join(group)}>"
        return text


#: Any one of these is enough: ``a | b``.
Alternatives = tuple[Relation, ...]
#: All of these are needed: ``a | b, c``.
Dependencies = tuple[Alternatives, ...]


def show(alternatives: Alternatives) -> str:
    """The alternatives as written in a control file."""
    return " | ".join(map(str, alternatives))


def parse_dependencies(text: str) -> Dependencies:
    """Read a field like Depends; ``BadRelation`` has the column of the error."""
    return _Reader(text).read(alternatives=True)


def parse_relations(text: str) -> tuple[Relation, ...]:
    """Read a field without alternatives: Provides, Conflicts, Breaks, Replaces."""
    return tuple(group[0] for group in _Reader(text).read(alternatives=False))


class _Reader:
    """A cursor over one field."""

    def __init__(self, text: str) -> None:
        if len(text) > _LONGEST:
            raise BadRelation(f"a dependency field is longer than {_LONGEST} characters")
        self._text = text
        self._at = 0

    def read(self, *, alternatives: bool) -> Dependencies:
        groups: list[Alternatives] = []
        while True:
            # dpkg accepts empty items between commas and at the end, and so do archives.
            while self._accept(","):
                pass
            if self._at == len(self._text):
                return tuple(groups)
            group = [self._relation()]
            while alternatives and self._accept("|"):
                group.append(self._relation())
            groups.append(tuple(group))
            if self._at < len(self._text) and not self._accept(","):
                separators = "a comma or |" if alternatives else "a comma"
                raise self._wrong(f"expected {separators} after {group[-1].name}")

    def _relation(self) -> Relation:
        name = self._match(_NAME)
        if name is None:
            raise self._wrong("expected a package name")
        qualifier = _QUALIFIER.match(self._text, self._at)
        if qualifier:
            self._at = qualifier.end()
        self._skip()
        operator, version = self._constraint(name[0])
        architectures = self._match(_ARCHITECTURES)
        profiles = []
        while profile := self._match(_PROFILES):
            profiles.append(tuple(profile[1].split()))
        return Relation(
            name=name[0],
            qualifier=qualifier[1] if qualifier else "",
            operator=operator,
            version=version,
            architectures=tuple(architectures[1].split()) if architectures else (),
            profiles=tuple(profiles),
        )

    def _constraint(self, name: str) -> tuple[Operator | None, Version | None]:
        if not self._text.startswith("(", self._at):
            return None, None
        start = self._at
        found = self._match(_CONSTRAINT)
        if found is None:
            raise self._wrong(f"expected (OPERATOR VERSION) after {name}")
        try:
            version = parse_version(found[2])
        except HomeportError as error:
            self._at = start
            raise self._wrong(error.what) from error
        return cast("Operator", _OPERATORS[found[1]]), version

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The match at the cursor; blanks after it are skipped, but not before a name's colon."""
        self._skip()
        found = pattern.match(self._text, self._at)
        if found:
            self._at = found.end()
            if pattern is not _NAME:
                self._skip()
        return found

    def _accept(self, character: str) -> bool:
        self._skip()
        if not self._text.startswith(character, self._at):
            return False
        self._at += 1
        self._skip()
        return True

    def _skip(self) -> None:
        blank = _BLANK.match(self._text, self._at)
        assert blank is not None
        self._at = blank.end()

    def _wrong(self, what: str) -> BadRelation:
        excerpt = self._text[self._at : self._at + 30]
        found = f"found {excerpt!r}" if excerpt else "the field ends"
        return BadRelation(f"{what}, {found}", where={"column": self._at + 1})
