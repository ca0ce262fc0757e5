"""A proposal as the text of a slice file (docs/formats/slices.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from homeport.content.files import explained, write_file
from homeport.errors import UsageError
from homeport.slicing.model import ProposedNeed, ProposedPath, SliceProposal

_PLAIN = re.compile(r"[A-Za-z0-9/][A-Za-z0-9/_.+*@=-]*")


def slice_file_text(proposal: SliceProposal) -> str:
    """The whole file; what has no slice yet stands in comments at its end."""
    return "\n".join([*_lines(proposal), ""])


def _lines(proposal: SliceProposal) -> Iterator[str]:
    platforms = ", ".join(proposal.platforms)
    yield f"# Proposed from {proposal.package} {proposal.version} on {platforms}."
    yield "homeport: 1"
    yield f"package: {proposal.package}"
    yield "slices:"
    for slice in proposal.slices:
        yield f"  {slice.name}:"
        if slice.about:
            yield f"    about: {_text(slice.about)}"
        if slice.needs:
            yield "    needs:"
            yield from _items("slice", [(each.slice, each) for each in slice.needs])
        yield "    paths:"
        yield from _items("path", [(each.path, each) for each in slice.paths])
    for unsliced in proposal.unsliced:
        yield f"# No known slice of {unsliced.package} takes what is needed of it:"
        yield from (f"#   {path}" for path in unsliced.paths)


def _items(field: str, values: Sequence[tuple[str, ProposedPath | ProposedNeed]]) -> Iterator[str]:
    for text, value in values:
        if value.architectures:
            yield f"      - {field}: {_text(text)}"
            yield f"        architectures: [{', '.join(value.architectures)}]"
        else:
            yield f"      - {_text(text)}"


def _text(value: str) -> str:
    """A YAML scalar; JSON's strings are YAML's."""
    if _PLAIN.fullmatch(value) or re.fullmatch(r"[A-Za-z][A-Za-z0-9 ,.;/-]*", value):
        return value
    return msgspec.json.encode(value).decode()


def write_slice_file(path: Path, text: str) -> None:
    """Write a new file. Raises ``UsageError`` if it is there."""
    with explained(path):
        if path.exists():
            raise UsageError(
                f"{path} already exists", hint="write the proposal elsewhere and merge it by hand"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, text.encode())
