"""The data of two images side by side: one tree of the paths of both, and what differs.

Which paths count as the same and what differs of them is ``inspection.report.diffing``'s.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property

import msgspec

from homeport.explorer.model import CHANGES, TreeItem, View, build_tree
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.report.diffing import (
    ImageDiff,
    compare_paths,
    diff_images,
    pair_paths,
    text_diff,
)

#: Bytes of each of two files that are compared line by line.
MAX_TEXT = 256 << 10


class PairRow(msgspec.Struct, frozen=True):
    """A path of two images: what each calls it, and what differs."""

    before: bytes | None
    after: bytes | None
    change: str
    facts: tuple[str, ...] = ()


class PairModel:
    """What two images have."""

    def __init__(self, one: OpenedImage, other: OpenedImage) -> None:
        self.one = one
        self.other = other

    @cached_property
    def difference(self) -> ImageDiff:
        """Packages, configuration and files that differ."""
        return diff_images(self.one, self.other, text=False)

    @cached_property
    def rows(self) -> dict[bytes, PairRow]:
        """Every path of both; one that differs in time alone is unmodified."""
        found = {}
        for name, a, b in pair_paths(self.one, self.other):
            change = "added" if a is None else "removed"
            facts: list[str] = []
            if a is not None and b is not None:
                change, facts = compare_paths(self.one, self.other, a, b)
                change = "modified" if change not in ("", "time") else "unmodified"
            found[name] = PairRow(a, b, change, tuple(facts))
        return found

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many paths are added, removed, modified and unmodified."""
        counts = Counter(row.change for row in self.rows.values())
        return {change: counts[change] for change in CHANGES}

    def tree(self, view: View) -> TreeItem:
        """The root of what a view shows. Raises ``UsageError`` for a bad pattern."""
        return build_tree((self._item(name, row) for name, row in self.rows.items()), view)

    def text(self, path: bytes) -> tuple[str, ...]:
        """The lines in which a file that both have differs, if both are text."""
        row = self.rows[path]
        if row.before is None or row.after is None:
            return ()
        old = self.one.read([row.before], limit=MAX_TEXT).get(row.before, b"")
        new = self.other.read([row.after], limit=MAX_TEXT).get(row.after, b"")
        return text_diff(old, new)

    def _item(self, name: bytes, row: PairRow) -> TreeItem:
        old = self.one.history.final[row.before] if row.before is not None else None
        new = self.other.history.final[row.after] if row.after is not None else None
        place = new or old
        assert place is not None
        return TreeItem(
            name, place.entry, row.change,
            size=self.other.history.size_of(row.after) if row.after is not None else 0,
            before=old.entry if old is not None else None,
            size_before=self.one.history.size_of(row.before) if row.before is not None else 0,
        )  # fmt: skip
