"""What programs load: libraries, loaders and interpreters, from some files of a tree on.

Only what ELF headers and first lines say: modules that an interpreter imports, plug-ins
that are opened by name and programs that others start are not seen. Not for judging what is
missing (``elf_check``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from homeport.assemble.elf_facts import ElfFacts, facts_of, looks_like_elf
from homeport.assemble.elf_loading import Loader
from homeport.content.store import Store
from homeport.tree.node import Node, Tree

_FIRST_LINE = 256
_PATH = (b"usr/local/sbin", b"usr/local/bin", b"usr/sbin", b"usr/bin", b"sbin", b"bin")


class Reach:
    """The programs and libraries of one tree, and what each of them loads."""

    def __init__(self, tree: Tree, architecture: str, store: Store) -> None:
        self._elf: dict[bytes, ElfFacts] = {}
        self._scripts: dict[bytes, list[bytes]] = {}
        for path, node in tree.items():
            if node.type == "file" and node.content is not None:
                self._classify(path, node, store)
        self._loader = Loader(tree, self._elf, architecture)

    @property
    def code(self) -> frozenset[bytes]:
        """Every program, library and script."""
        return frozenset({*self._elf, *self._scripts})

    @property
    def programs(self) -> frozenset[bytes]:
        """ELF files that name a loader: what is started, not only loaded."""
        return frozenset(path for path, facts in self._elf.items() if facts.interpreter)

    def from_files(self, roots: Iterable[bytes]) -> frozenset[bytes]:
        """The files among ``roots``, with links followed, and all that they load."""
        found: set[bytes] = set()
        todo = [path for root in roots if (path := self._loader.file_at(root))]
        while todo:
            path = todo.pop()
            if path not in found:
                found.add(path)
                todo += self._loads(path)
        return frozenset(found)

    def program(self, name: str) -> bytes | None:
        """The file of a program: by its path, or by its name in the usual folders."""
        return self._loader.file_at(place) if (place := self.place(name)) is not None else None

    def place(self, name: str) -> bytes | None:
        """Where ``program`` finds it, which may be a link to its file."""
        wanted = name.encode("utf-8", "surrogateescape")
        places = [wanted] if b"/" in wanted else [folder + b"/" + wanted for folder in _PATH]
        return next((place for place in places if self._loader.file_at(place)), None)

    def _classify(self, path: bytes, node: Node, store: Store) -> None:
        assert node.content is not None
        with node.content.open() as stream:
            start = stream.read(_FIRST_LINE)
        if looks_like_elf(start):
            self._elf[path] = facts_of(node.content, store)
        elif start.startswith(b"#!") and node.mode & 0o111:
            self._scripts[path] = start[2:].partition(b"\n")[0].split()

    def _loads(self, path: bytes) -> Iterator[bytes]:
        facts = self._elf.get(path)
        if facts is not None:
            found = [self._loader.library(name, path, facts) for name in facts.needed]
            if facts.interpreter:
                found.append(self._loader.file_at(facts.interpreter.encode()))
            yield from filter(None, found)
        words = self._scripts.get(path, [])[:2]
        if words and words[0].endswith(b"/env"):
            yield from filter(None, map(self.program, (word.decode() for word in words)))
        elif words:
            yield from filter(None, [self._loader.file_at(words[0])])
