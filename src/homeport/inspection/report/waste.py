"""Bytes that are shipped but not used, and dive's efficiency score beside them.

Homeport: a byte is wasted if a lower layer holds it and the final tree does not use it,
whatever removed it, whole directories included; the last copy of a file is not waste.
dive: ``score = sum of smallest copies / sum of all copies``, every copy of a path with
two or more counted as wasted, including the last; a removed directory counts once, under its
own name. Only the second can be compared with dive's output.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import msgspec

from homeport.budget import Budget
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.model import Efficiency, Waste, WastedPath
from homeport.layers.entry import OPAQUE, whiteout_target
from homeport.layers.history import History
from homeport.layers.listing import Listing
from homeport.printable import path_text

SCHEMA = "homeport-inspect-waste/v1"


class WasteReport(Waste, frozen=True, kw_only=True):
    """``homeport-inspect-waste/v1``: every wasted path of an image."""

    schema: str = SCHEMA
    address: str
    digest: str


def report_waste(opened: OpenedImage) -> WasteReport:
    """All waste of an image, every path listed."""
    fields = msgspec.structs.asdict(find_waste(opened.history))
    return WasteReport(address=opened.address, digest=str(opened.image.digest), **fields)


def find_waste(history: History, *, most: int | None = None) -> Waste:
    """All waste; at most ``most`` paths are listed."""
    paths: list[WastedPath] = []
    by_cause: dict[str, int] = {}
    by_layer = [0] * len(history.listings)
    for number, change in history.wasted():
        shipped = change.before.layer if change.before is not None else number
        cause: str = (
            "removed with directory" if change.action == "removed" and change.by else change.action
        )
        if change.before is None:
            cause = "repeated in its layer"
        listing = history.listings[shipped]
        by_cause[cause] = by_cause.get(cause, 0) + change.wasted
        by_layer[shipped] += change.wasted
        paths.append(
            WastedPath(
                path=path_text(change.path), cause=cause, size=change.wasted,
                compressed=compressed_share(listing, change.wasted),
                shipped_in=shipped, unused_since=number,
            )
        )  # fmt: skip
    paths.sort(key=lambda path: (-path.size, path.path))
    return Waste(
        size=sum(by_layer),
        compressed=sum(path.compressed for path in paths),
        by_cause=dict(sorted(by_cause.items(), key=lambda item: -item[1])),
        by_layer=tuple(by_layer),
        paths=tuple(paths[:most]),
        dive=efficiency(history),
    )


def compressed_share(listing: Listing, size: int) -> int:
    """An estimate of what ``size`` bytes of a layer take in its compressed form."""
    return round(size * listing.size / listing.tar_size) if listing.tar_size else 0


def efficiency(history: History) -> Efficiency:
    """dive's score."""
    sizes: dict[bytes, int] = {}  # of every path, in the last layer that has it
    again: dict[bytes, tuple[int, int]] = {}  # of paths with several copies: sum and smallest
    lower = _Lower(history.budget)
    shipped = []
    for number, listing in enumerate(history.listings):
        leaves = _leaves(listing, history.whiteouts[number])
        removed = {path: lower.below(path) for path, size in leaves.items() if size is None}
        counts = cast("dict[bytes, int]", {**leaves, **removed} if removed else leaves)
        for path in counts.keys() & sizes.keys():
            total, smallest = again.get(path, (sizes[path], sizes[path]))
            again[path] = (total + counts[path], min(smallest, counts[path]))
        sizes.update(counts)
        shipped.append(sum(counts.values()) - sum(removed.values()))
        if any(history.whiteouts[number:]):  # else nothing below is needed
            lower.stack(leaves)
    wasted = sum(total for total, _ in again.values())
    once = sum(sizes.values()) - sum(sizes[path] for path in again)
    every = once + wasted
    user = sum(shipped[1:])
    return Efficiency(
        score=(once + sum(smallest for _, smallest in again.values())) / every if every else 1.0,
        wasted_bytes=wasted,
        user_wasted=wasted / user if user else 0.0,
    )


class _Lower:
    """Leaves of the layers below with their sizes, and the names in every directory."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._sizes: dict[bytes, int] = {}
        self._names: dict[bytes, set[bytes]] = {}

    def stack(self, leaves: dict[bytes, int | None]) -> None:
        for path, size in leaves.items():
            if size is None:
                self.remove(path)
            else:
                self.add(path, size)

    def add(self, path: bytes, size: int) -> None:
        self._sizes[path] = size
        while path:
            parent, _, name = path.rpartition(b"/")
            names = self._names.setdefault(parent, set())
            if name in names:
                break
            names.add(name)
            path = parent

    def below(self, path: bytes) -> int:
        """All sizes in a directory; 0 for other files, as in dive."""
        return sum(self._sizes.get(each, 0) for each in self._walk(path) if each != path)

    def remove(self, path: bytes) -> None:
        for each in list(self._walk(path)):
            self._sizes.pop(each, None)
            self._names.pop(each, None)
        parent, _, name = path.rpartition(b"/")
        self._names.get(parent, set()).discard(name)

    def _walk(self, path: bytes) -> Iterator[bytes]:
        todo = [path]
        while todo:
            each = todo.pop()
            self._budget.steps()
            yield each
            todo.extend(each + b"/" + name for name in self._names.get(each, ()))


def _leaves(listing: Listing, whiteouts: dict[bytes, None]) -> dict[bytes, int | None]:
    """Leaf → size of its tar entry; ``None`` for a whiteout, under the path that it removes."""
    leaves: dict[bytes, int | None] = {}
    if not whiteouts:
        leaves = {entry.path: entry.size for entry in listing.entries}
    for entry in listing.entries if whiteouts else ():
        if entry.path not in whiteouts:
            leaves[entry.path] = entry.size
        elif entry.path.rpartition(b"/")[2] != OPAQUE:  # dive leaves those out
            leaves[whiteout_target(entry.path) or b""] = None
    inner: set[bytes] = set()
    for parent in {path.rpartition(b"/")[0] for path in leaves}:
        above = parent
        while above and above not in inner:
            inner.add(above)
            above = above.rpartition(b"/")[0]
    for path in (b"", *inner):
        leaves.pop(path, None)
    return leaves
