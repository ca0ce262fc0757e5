"""A plan's edits, made in place: byte-exact, all or nothing, proved before anything is written.

Files must be those that the plan was made for. Every edited file is read again in memory:
apart from the references that were edited its content must be the same. See "Applying" in
docs/formats/plan.md.
"""

from __future__ import annotations

import contextlib
import difflib
import itertools
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from homeport.audit.plan.places import edits_of
from homeport.audit.plan.planfile import Edit, Plan
from homeport.audit.plan.structure import Piece, lines_of, skeleton
from homeport.audit.reading.context import Context
from homeport.audit.reading.tree_files import NotReadable, read_file
from homeport.audit.scan.scanning import read_source
from homeport.audit.source import Source
from homeport.content.digest import Digest
from homeport.content.files import atomic_write
from homeport.errors import AnswerNo, Faults, HomeportError
from homeport.printable import printable


class PlanIsForOtherFiles(AnswerNo):
    """A file is not as it was when the plan was made; nothing was written."""

    id = "plan-other-files"


class EditWouldChangeMore(AnswerNo):
    """An edit would change more than a reference; nothing was written."""

    id = "edit-changes-more"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One file, before and after."""

    path: str
    before: bytes
    after: bytes
    mode: int
    edits: tuple[Edit, ...]

    def diff(self) -> str:
        """The change as a unified diff."""
        old, new = (_lines(data) for data in (self.before, self.after))
        path = printable(self.path)
        lines = difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", n=1)
        return "".join(_shown(line) for line in lines)


def check_files(plan: Plan, root: Path) -> None:
    """Raise ``Faults``, or the one fault, unless every file is as it was for the plan."""
    faults: list[HomeportError] = []
    for entry in plan.files:
        try:
            data, _ = _read(root, entry.path)
            _check_digest(entry.path, data, entry.sha256)
        except HomeportError as error:
            faults.append(error.at(file=entry.path))
    _raise_all(faults)


def prepare(plan: Plan, root: Path) -> list[Change]:
    """Make and prove every edit in memory. Raises ``Faults`` with all that is wrong."""
    digests = {entry.path: entry.sha256 for entry in plan.files}
    changes: list[Change] = []
    faults: list[HomeportError] = []
    for path, edits in sorted(edits_of(plan).items()):
        if not edits:
            continue
        try:
            changes.append(_change(root, path, edits, digests.get(path, "")))
        except HomeportError as error:
            faults.append(error.at(file=path))
    _raise_all(faults)
    return changes


def _raise_all(faults: list[HomeportError]) -> None:
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise _Refused(faults, what=f"{len(faults)} files do not match the plan; wrote nothing")


class _Refused(Faults):
    id = "plan-refused"
    exit_code = 3


def write(changes: Sequence[Change], root: Path) -> None:
    """Replace the files; if one cannot be written, those before it get their old bytes back."""
    done: list[Change] = []
    try:
        for change in changes:
            _replace(root / change.path, change.after, change.mode)
            done.append(change)
    except BaseException:
        for change in reversed(done):
            with contextlib.suppress(HomeportError):
                _replace(root / change.path, change.before, change.mode)
        raise


def apply_edits(data: bytes, edits: Sequence[Edit]) -> bytes:
    """``data`` with edits made from its end to its start. Raises ``PlanIsForOtherFiles``."""
    last = len(data)
    for edit in sorted(edits, key=lambda e: (e.start, e.end), reverse=True):
        if not 0 <= edit.start <= edit.end <= last:
            raise PlanIsForOtherFiles(
                f"an edit at byte {edit.start} overlaps another or is past the end"
            )
        if data[edit.start : edit.end] != edit.old.encode():
            raise PlanIsForOtherFiles(f"the bytes at {edit.start} are not {edit.old!r}")
        data = data[: edit.start] + edit.new.encode() + data[edit.end :]
        last = edit.start
    return data


def _change(root: Path, path: str, edits: Sequence[Edit], digest: str) -> Change:
    data, mode = _read(root, path)
    _check_digest(path, data, digest)
    after = proved(path, data, edits, root)
    return Change(path=path, before=data, after=after, mode=mode, edits=tuple(edits))


def _check_digest(path: str, data: bytes, digest: str) -> None:
    if Digest.of(data).hex != digest:
        raise PlanIsForOtherFiles(
            f"{path} has changed since the plan was made",
            hint="keep its decisions in a new plan: homeport audit --update-plan",
        )


def proved(path: str, data: bytes, edits: Sequence[Edit], root: Path) -> bytes:
    """The file after its edits. Raises ``EditWouldChangeMore``, ``PlanIsForOtherFiles``."""
    after = apply_edits(data, edits)
    _prove(Source(path, data), Source(path, after), edits, Context(root))
    return after


def _read(root: Path, path: str) -> tuple[bytes, int]:
    full = root / path
    try:
        info = full.lstat()
        if not stat.S_ISREG(info.st_mode) or not full.resolve().is_relative_to(root.resolve()):
            raise PlanIsForOtherFiles(f"{path} is not a file below the working directory")
        data = read_file(root, path)
    except OSError as error:
        raise PlanIsForOtherFiles(f"cannot read {path}: {os.strerror(error.errno or 0)}") from error
    except NotReadable as error:
        raise PlanIsForOtherFiles(f"cannot read {path}: {error}") from error
    return data, stat.S_IMODE(info.st_mode)


def _replace(path: Path, data: bytes, mode: int) -> None:
    with atomic_write(path, mode=mode) as stream:
        stream.write(data)


def _prove(before: Source, after: Source, edits: Sequence[Edit], context: Context) -> None:
    """Raise ``EditWouldChangeMore`` unless only what was edited differs."""
    old_read, new_read = read_source(before, context), read_source(after, context)
    kind = old_read.kind if old_read else ""
    old, new = skeleton(before, kind), skeleton(after, kind)
    if old is None:
        # A template that is no YAML by itself: its lines are compared.
        old, new = lines_of(before), lines_of(after)
    if new is None:
        raise EditWouldChangeMore("the file would not parse after the edit")
    if old_read and new_read and len(new_read.unread) > len(old_read.unread):
        raise EditWouldChangeMore(f"the edit breaks the file: {new_read.unread[-1].what}")
    _compare(before.data, old, new, edits)


def _compare(data: bytes, old: list[Piece], new: list[Piece], edits: Sequence[Edit]) -> None:
    """Walk both versions; ``new`` may have more pieces only inside what was inserted."""
    ordered = sorted(edits, key=lambda e: (e.start, e.end))
    inserted = _inserted(ordered)
    ranges = _new_ranges(ordered)
    kept = [p for p in new if not any(_lies_in(p, start, end) for start, end in inserted)]
    at = 0
    for piece in old:
        inside = [e for e in ordered if piece.start <= e.start and e.end <= piece.end]
        # Structure that an insertion opened stands before the piece that follows it.
        while at < len(kept) and _is_added(kept[at], piece, inside):
            at += 1
        if (count := _said_in_addition(piece, inside, kept, at, ranges)) > 0:
            at += count
            continue
        if at >= len(kept) or kept[at].style != piece.style:
            raise EditWouldChangeMore("the file's structure would change")
        if kept[at].text != piece.text and not _explained(data, piece, kept[at], inside):
            raise EditWouldChangeMore(f"{piece.text[:60]!r} would become {kept[at].text[:60]!r}")
        at += 1
    if any(piece.text.strip() for piece in kept[at:]):
        raise EditWouldChangeMore("the edit would add content")


#: Keys that an edit may add beside a reference, to keep what the old one meant.
_ADDED = frozenset(("name", "alias", "newName"))


def _said_in_addition(
    old: Piece,
    edits: Sequence[Edit],
    new: Sequence[Piece],
    at: int,
    ranges: Mapping[Edit, tuple[int, int]],
) -> int:
    """How many pieces a whole scalar became, if those beside the value are keys we may add."""
    if len(edits) != 1 or (edits[0].start, edits[0].end) != (old.start, old.end):
        return 0
    start, end = ranges[edits[0]]
    rest = itertools.islice(new, at, None)
    inside = list(itertools.takewhile(lambda p: start <= p.start and p.end <= end, rest))
    texts = [piece.text for piece in inside if piece.text]
    keys = texts[0::2] if len(texts) % 2 == 0 else texts[1::2]
    return len(inside) if len(texts) > 1 and _ADDED.issuperset(keys) else 0


def _new_ranges(edits: Sequence[Edit]) -> dict[Edit, tuple[int, int]]:
    """Where the new text of each edit is in the new file."""
    found: dict[Edit, tuple[int, int]] = {}
    shift = 0
    for edit in edits:
        size = len(edit.new.encode())
        found[edit] = (edit.start + shift, edit.start + shift + size)
        shift += size - (edit.end - edit.start)
    return found


def _inserted(edits: Sequence[Edit]) -> list[tuple[int, int]]:
    """Ranges of the new file that insertions of whole lines fill."""
    found = []
    shift = 0
    for edit in edits:
        size = len(edit.new.encode())
        if edit.start == edit.end and "\n" in edit.new:
            found.append((edit.start + shift, edit.start + shift + size))
        shift += size - (edit.end - edit.start)
    return found


def _is_added(new: Piece, old: Piece, edits: Sequence[Edit]) -> bool:
    """Whether a piece without text is there only because lines were inserted before it."""
    return not new.text and not edits and new.style != old.style and "End" in new.style


def _explained(data: bytes, old: Piece, new: Piece, edits: Sequence[Edit]) -> bool:
    """Whether the edits inside a piece account for its new text."""
    text = old.text.encode("utf-8", "surrogateescape")
    at = data.find(text, old.start, old.end)
    if at >= 0 and all(at <= e.start and e.end <= at + len(text) for e in edits):
        moved = [msgspec.structs.replace(e, start=e.start - at, end=e.end - at) for e in edits]
        return apply_edits(text, moved) == new.text.encode("utf-8", "surrogateescape")
    raw = data[old.start : old.end]
    moved = [
        msgspec.structs.replace(e, start=e.start - old.start, end=e.end - old.start) for e in edits
    ]
    if _unindented(raw) == old.text.strip("\n"):
        return _unindented(apply_edits(raw, moved)) == new.text.strip("\n")
    # Escaped or folded: the text that was edited must be there once, and only it may differ.
    expected = old.text
    for edit in edits:
        if not edit.old or expected.count(edit.old) != 1:
            return False
        expected = expected.replace(edit.old, edit.new)
    return expected == new.text


def _unindented(raw: bytes) -> str:
    """The text of a literal block scalar: its lines after the first without what all share."""
    lines = raw.decode("utf-8", "surrogateescape").replace("\r\n", "\n").split("\n")[1:]
    indents = [len(line) - len(line.lstrip(" ")) for line in lines if line.strip()]
    shared = min(indents, default=0)
    return "\n".join(line[shared:] for line in lines).strip("\n")


def _lies_in(piece: Piece, start: int, end: int) -> bool:
    """Whether a piece is part of an insertion, and not just what opens where it begins."""
    return start <= piece.start and piece.end <= end and not piece.start == piece.end == start


def _lines(data: bytes) -> list[str]:
    """The lines of a file; only a newline ends one, as in ``diff``."""
    text = data.decode("utf-8", "surrogateescape")
    return [f"{line}\n" for line in text.split("\n")[:-1]] + [text.rpartition("\n")[2]] * (
        not text.endswith("\n") and bool(text)
    )


def _shown(line: str) -> str:
    """A line of the diff. What could steer a terminal, or a carriage return, is escaped."""
    body = "\t".join(printable(part) for part in line.rstrip("\n").split("\t"))
    return f"{body}\n" if line.endswith("\n") else f"{body}\n\\ No newline at end of file\n"
