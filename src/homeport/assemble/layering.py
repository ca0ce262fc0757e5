"""One image in several layers: which node goes into which, so that an update moves little.

``auto`` groups packages by their source package, because Debian updates a source package as
a whole. An update of one source package sends the whole layer that it is in, so a layer costs
its size times the updates of all that is in it; the grouping with the least cost is found.
How often Debian updates a source package is counted in ``update_counts.txt``.

A layer's bytes follow from its own packages alone: a package that comes or goes elsewhere
does not change them (docs/formats/layer.md, "Several layers").

Not for the bytes of a layer (``homeport.tree``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from itertools import pairwise
from pathlib import Path

import msgspec

from homeport.assemble.plan import BuildPlan
from homeport.debian.deb.dpkg_database import INFO
from homeport.debian.deb.status import STATUS_DIRECTORY
from homeport.recipe.entries import MOST_LAYERS
from homeport.tree.node import Node, Tree

#: The file of this folder that says how often Debian updated a source package.
COUNTS = "update_counts.txt"
#: Added to every count: with 0, all source packages without an update would be one layer of any
#: size, and the first update of one would send it (measured: benchmarks/layers.py).
_EXPECTED = 0.5
#: What a header costs at least, so that nothing weighs 0.
_HEADER = 512
_MD5SUMS = b".md5sums"


def split_tree(tree: Tree, plan: BuildPlan) -> tuple[Tree, ...]:
    """The trees of the image's layers, lowest first; packages first, all else in the last.

    Every path that is not a directory is in exactly one of them; a layer has the parents of
    what it holds.
    """
    layout = plan.layers
    if layout.strategy == "one":
        return (tree,)
    owners = _owners(tree, plan)
    if layout.strategy == "auto":
        sources = {package.name: package.source_name for package in plan.packages}
        weights = _weights(tree, owners, sources)
        groups = group_sources(weights, update_counts(), MOST_LAYERS - 1)
        layer_of = {name: groups[source] for name, source in sources.items() if source in groups}
    else:
        layer_of = _by_hand(layout.split, [package.name for package in plan.packages])
    own = max(layer_of.values(), default=-1) + 1
    places = {path: layer_of.get(owner, own) for path, owner in owners.items()}
    return tuple(filter(None, _trees(tree, places, own + 1)))


def _owners(tree: Tree, plan: BuildPlan) -> dict[bytes, str]:
    """Path → the package whose layer it belongs to, or "" for what comes from elsewhere."""
    names = {package.name for package in plan.packages}
    status = STATUS_DIRECTORY + b"/"
    found: dict[bytes, str] = {}
    for path, node in tree.items():
        first = tree[node.target] if node.type == "hardlink" and node.target in tree else node
        owner = first.source.name if first.source.kind == "package" else ""
        # What the database says of a package changes with it.
        if path.startswith(status):
            name = path.removeprefix(status).removesuffix(_MD5SUMS).decode()
            owner = name if name in names else ""
        elif path.startswith(INFO):
            name = path.removeprefix(INFO).rpartition(b".")[0].partition(b":")[0].decode()
            owner = name if name in names else ""
        found[path] = owner
    return found


def _weights(tree: Tree, owners: Mapping[bytes, str], sources: Mapping[str, str]) -> dict[str, int]:
    """Source package → bytes, with three significant bits, so that small changes are none."""
    bytes_of: dict[str, int] = {}
    for path, owner in owners.items():
        if source := sources.get(owner):
            size = tree[path].size + _HEADER
            bytes_of[source] = bytes_of.get(source, 0) + size
    return {source: _rounded(size) for source, size in bytes_of.items()}


def _rounded(size: int) -> int:
    cut = max(0, size.bit_length() - 3)
    return size >> cut << cut


class _Weighed(msgspec.Struct, frozen=True):
    """A source package: its bytes, and how often it is updated."""

    source: str
    size: int
    updates: float


def group_sources(
    weights: Mapping[str, int], counts: Mapping[str, float], most: int
) -> dict[str, int]:
    """Source package → layer, at most ``most`` of them; the one that changes least is 0.

    weights: bytes of each source package in the image
    counts:  as ``update_counts`` gives them

    The cheapest grouping is contiguous when sources are sorted by updates per byte: moving a
    source to the group of its like never costs more.
    """
    weighed = [
        _Weighed(source, size, counts.get(without_numbers(source), 0) + _EXPECTED)
        for source, size in weights.items()
    ]
    weighed.sort(key=lambda each: (each.updates / each.size, each.source))
    bounds = cheapest_cuts(
        [each.size for each in weighed], [each.updates for each in weighed], most
    )
    layer_of: dict[str, int] = {}
    for layer, (begin, end) in enumerate(pairwise(bounds)):
        layer_of |= {each.source: layer for each in weighed[begin:end]}
    return layer_of


def cheapest_cuts(sizes: Sequence[int], updates: Sequence[float], most: int) -> list[int]:
    """Where to cut a row into at most ``most`` runs: 0, the cuts, the row's length.

    A run costs the sum of its sizes times the sum of its updates. That cost fulfils the
    quadrangle inequality, so the best last cut never moves left as the row grows, which makes
    the search O(most * n * log n).
    """
    count = len(sizes)
    size_sums, update_sums = [0], [0.0]
    for size, update in zip(sizes, updates, strict=True):
        size_sums.append(size_sums[-1] + size)
        update_sums.append(update_sums[-1] + update)

    def cost(begin: int, end: int) -> float:
        size = size_sums[end] - size_sums[begin]
        return size * (update_sums[end] - update_sums[begin])

    best = [cost(0, end) for end in range(count + 1)]
    choices: list[list[int]] = []
    for _ in range(min(most, count) - 1):
        row, cuts = [0.0] * (count + 1), [0] * (count + 1)
        spans = [(1, count, 0, count)]
        while spans:
            low, high, first, last = spans.pop()
            if low > high:
                continue
            middle = (low + high) // 2
            row[middle], cuts[middle] = min(
                (best[cut] + cost(cut, middle), cut)
                for cut in range(first, min(last, middle - 1) + 1)
            )
            spans.append((low, middle - 1, first, cuts[middle]))
            spans.append((middle + 1, high, cuts[middle], last))
        choices.append(cuts)
        best = row
    bounds = [count]
    for cuts in reversed(choices):
        bounds.append(cuts[bounds[-1]])
    return sorted({0, *bounds})


def _by_hand(split: Sequence[Sequence[str]], names: Iterable[str]) -> dict[str, int]:
    """Package → layer: what no entry names is in the lowest, then the entries in their order."""
    layer_of: dict[str, int] = {}
    for name in names:
        matching = (
            number
            for number, patterns in enumerate(split, start=1)
            if any(fnmatchcase(name, pattern) for pattern in patterns)
        )
        layer_of[name] = next(matching, 0)
    return layer_of


def _trees(tree: Tree, places: Mapping[bytes, int], count: int) -> Iterable[Tree]:
    """Layers with their directories.

    A directory is in a layer that has something below it. Its time there is that of the newest
    thing below, and a package's status has the time of the newest file of its layer: neither
    the epoch nor other packages may change a layer.
    """
    below: list[dict[bytes, int]] = [{} for _ in range(count)]
    has_children: set[bytes] = set()
    for path in tree:
        parent, slash, _ = path.rpartition(b"/")
        if path:
            has_children.add(parent if slash else b"")
    kept: list[dict[bytes, Node]] = [{} for _ in range(count)]
    for path, node in tree.items():
        if node.type != "directory" or path not in has_children:
            kept[places[path]][path] = node
    for number, nodes in enumerate(kept):
        last = number == count - 1
        newest = max((n.mtime for n in nodes.values() if n.source.kind == "package"), default=0)
        if not last:
            nodes |= {
                path: msgspec.structs.replace(node, mtime=newest)
                for path, node in nodes.items()
                if node.source.kind != "package"
            }
        for path, node in nodes.items():
            above = path
            while above:
                above = above.rpartition(b"/")[0]
                below[number][above] = max(below[number].get(above, node.mtime), node.mtime)
        for above, mtime in below[number].items():
            if above in tree:
                nodes[above] = msgspec.structs.replace(tree[above], mtime=mtime)
        yield Tree(nodes)


def without_numbers(source: str) -> str:
    """``postgresql-17`` and ``postgresql-15`` are one for counting: the version in the name goes.

    A release has another number, and the count of the one before says most about it.
    """
    return re.sub(r"[0-9.]*[0-9](?=-|$)", "", source)


@cache
def update_counts() -> Mapping[str, float]:
    """Source package, without numbers in its name → updates in the life of a release."""
    text = (Path(__file__).parent / COUNTS).read_text(encoding="ascii")
    pairs = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {name: float(count) for name, count in pairs}
