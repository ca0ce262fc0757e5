"""Reading deb822 text: Release files, index stanzas, apt's ``.sources`` files.

Strict and bounded, with the line number in every error. Does not interpret fields.
Not for ``Packages`` indexes as a whole: those are cut into stanzas by
``debian.index`` and only the wanted ones are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from homeport.errors import HomeportError, TooLarge

MAX_FIELDS = 1000
MAX_PARAGRAPHS = 100_000
_NAME = re.compile(r"[!-,.-9;-~][!-9;-~]*")  # Debian Policy 5.1; not starting with "-"


class Malformed(HomeportError):
    """Text is not valid deb822; the line is named."""

    id = "malformed-control"


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field as written. Continuation lines follow the first, each without its first blank."""

    name: str
    value: str
    line: int


class Paragraph(msgspec.Struct, frozen=True, kw_only=True):
    """Fields by lower-case name, in their order in the text."""

    fields: Mapping[str, Field]
    line: int

    def get(self, name: str, default: str = "") -> str:
        """The value of a field, or ``default``; names are case-insensitive."""
        field = self.fields.get(name.lower())
        return default if field is None else field.value

    def line_of(self, name: str) -> int:
        """The line of a field; the paragraph's own line if it is absent."""
        field = self.fields.get(name.lower())
        return self.line if field is None else field.line

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self.fields


def parse_paragraphs(data: bytes, *, comments: bool = False) -> Iterator[Paragraph]:
    """Every paragraph of ``data``.

    With ``comments`` lines that start with ``#`` are left out, also inside a field
    (apt's own files; nothing that an archive publishes). Raises ``Malformed``.
    """
    fields: dict[str, Field] = {}
    value: list[str] = []
    name, begun, paragraphs = "", 0, 0

    def finish_field() -> None:
        if name:
            fields[name.lower()] = Field(name=name, value="\n".join(value), line=begun)

    for number, line in enumerate(_lines(data), 1):
        if comments and line.startswith("#"):
            continue
        if not line.strip(" \t"):
            finish_field()
            name = ""
            if fields:
                paragraphs += 1
                if paragraphs > MAX_PARAGRAPHS:
                    raise TooLarge(f"more than {MAX_PARAGRAPHS} paragraphs", where={"line": number})
                yield _paragraph(fields)
                fields = {}
        elif line[0] in " \t":
            if not name:
                raise Malformed("a continuation line follows no field", where={"line": number})
            value.append(line[1:].rstrip())
        else:
            finish_field()
            name, text = _split_field(line, number, fields)
            value, begun = [text], number
    finish_field()
    if fields:
        yield _paragraph(fields)


def parse_paragraph(data: bytes, *, comments: bool = False) -> Paragraph:
    """The one paragraph that ``data`` holds; none or more is ``Malformed``."""
    paragraphs = parse_paragraphs(data, comments=comments)
    first = next(paragraphs, None)
    if first is None:
        raise Malformed("the text is empty", where={"line": 1})
    second = next(paragraphs, None)
    if second is not None:
        raise Malformed("a second paragraph follows the first", where={"line": second.line})
    return first


def _lines(data: bytes) -> list[str]:
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise Malformed("the text contains a NUL byte", where={"line": line})
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Malformed("the text is not UTF-8", where={"line": line}) from error
    return [line.removesuffix("\r") for line in text.split("\n")]


def _split_field(line: str, number: int, known: Mapping[str, Field]) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not _NAME.fullmatch(name):
        raise Malformed("expected a line of the form 'Field: value'", where={"line": number})
    if (first := known.get(name.lower())) is not None:
        raise Malformed(
            f"the field was given before, on line {first.line}",
            where={"line": number, "field": name},
        )
    if len(known) >= MAX_FIELDS:
        raise TooLarge(f"a paragraph has more than {MAX_FIELDS} fields", where={"line": number})
    return name, value.strip()


def _paragraph(fields: dict[str, Field]) -> Paragraph:
    return Paragraph(fields=fields, line=min(field.line for field in fields.values()))
