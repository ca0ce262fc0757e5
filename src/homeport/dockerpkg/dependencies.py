"""Which image of the tree needs which, and in what order they are built.

Dependencies are those of ``control`` together with images that the template names; docker-pkg
knows only the former. Orders are stable: by name wherever dependencies leave a choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from homeport.dockerpkg.tree import Tree
from homeport.errors import UsageError


class DependencyLoop(UsageError):
    """Images depend on each other in a circle; the message names them."""

    id = "docker-pkg-loop"


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """Dependencies of every image.

    parents:    images of the tree, in the order of ``control``
    undeclared: those of them that only the template names
    elsewhere:  names in ``control`` that are not images of the tree
    """

    parents: Mapping[str, tuple[str, ...]]
    undeclared: Mapping[str, tuple[str, ...]]
    elsewhere: Mapping[str, tuple[str, ...]]

    def children(self, name: str) -> tuple[str, ...]:
        """Images that need this one directly."""
        return tuple(child for child, parents in self.parents.items() if name in parents)

    def descendants(self, names: Iterable[str]) -> tuple[str, ...]:
        """These images and all that need them, in the order of building."""
        found = set(names)
        for child in self.order(self.parents):
            if found.intersection(self.parents[child]):
                found.add(child)
        return tuple(name for name in self.order(self.parents) if name in found)

    def order(self, wanted: Iterable[str]) -> tuple[str, ...]:
        """These images and all that they need, parents first. Raises ``DependencyLoop``."""
        done: dict[str, None] = {}
        for name in sorted(wanted):
            self._visit(name, done)
        return tuple(done)

    def _visit(self, start: str, done: dict[str, None]) -> None:
        """Depth first without recursion: a long chain is valid."""
        above: dict[str, list[str]] = {}
        open_names = [start]
        while open_names:
            name = open_names[-1]
            if name in done:
                open_names.pop()
                continue
            waiting = above.setdefault(name, sorted(self.parents[name]))
            parent = next((each for each in waiting if each not in done), None)
            if parent is None:
                done[name] = None
                open_names.pop()
            elif parent in above:
                loop = [*open_names[open_names.index(parent) :], parent]
                raise DependencyLoop(f"images need each other: {' → '.join(loop)}")
            else:
                open_names.append(parent)


def make_graph(tree: Tree, named: Mapping[str, Sequence[str]]) -> Graph:
    """The graph of a tree, with images that templates name. Raises ``DependencyLoop``."""
    parents: dict[str, tuple[str, ...]] = {}
    undeclared: dict[str, tuple[str, ...]] = {}
    elsewhere: dict[str, tuple[str, ...]] = {}
    for name, image in tree.images.items():
        own = tuple(each for each in image.depends if each in tree.images)
        more = tuple(each for each in named.get(name, ()) if each not in own and each != name)
        parents[name] = own + more
        undeclared[name] = more
        elsewhere[name] = tuple(each for each in image.depends if each not in tree.images)
    graph = Graph(parents=parents, undeclared=undeclared, elsewhere=elsewhere)
    graph.order(parents)
    return graph
