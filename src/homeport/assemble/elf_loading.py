"""Where the dynamic loader finds what ELF files of a tree need (ld.so(8)).

The places that a file names itself, then the loader's own, and those that ld.so.cache is
made of; a library must be of the same machine. ``started`` separates programs and the libraries
that they load from files that nothing loads.

Not for judging what is missing (``elf_check``), nor for reading ELF files (``elf_facts``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from homeport.assemble.elf_facts import ElfFacts
from homeport.assemble.ld_so_conf import configured_folders
from homeport.assemble.path_lookup import names_in, resolve, text_of
from homeport.debian.architecture import TRIPLET_OF
from homeport.tree.node import Tree


class Loader:
    """The loader of one tree.

    own:     its folder for libraries, ``usr/lib/TRIPLET``
    started: programs, and the libraries that are loaded with them
    """

    def __init__(self, tree: Tree, files: Mapping[bytes, ElfFacts], architecture: str) -> None:
        self._tree = tree
        self._files = files
        triplet = TRIPLET_OF.get(architecture, "").encode()
        self._system = (
            *(() if not triplet else (b"usr/lib/" + triplet, b"lib/" + triplet)),
            b"lib", b"usr/lib", b"lib64", b"usr/lib64", b"usr/local/lib", *_cached(tree),
        )  # fmt: skip
        self.own = self._system[0]
        self._loads = {path: tuple(self._direct(path, facts)) for path, facts in files.items()}
        programs = [path for path in files if self._is_program(path)]
        self._loaded_with = {path: self._closure(path) for path in programs}
        self.started = frozenset(programs).union(*self._loaded_with.values())

    def library(self, library: str, user: bytes, facts: ElfFacts) -> bytes | None:
        """Where ``library`` is found for the file ``user``."""
        name = library.encode("utf-8", "surrogateescape")
        if b"/" in name:
            places = [name]
        else:
            places = [folder + b"/" + name for folder in self._folders(user, facts)]
        return next((self.file_at(place) for place in places if self.fits(place, facts)), None)

    def always_loaded_before(self, library: bytes, user: bytes) -> bool:
        """Whether every program that loads ``user`` has loaded ``library``, and there is one."""
        loaded = [on for on in self._loaded_with.values() if user in on]
        return bool(loaded) and all(library in on for on in loaded)

    def fits(self, path: bytes, facts: ElfFacts) -> bool:
        """Whether an ELF file of the same machine is at ``path``."""
        found = self.file_at(path)
        return found is not None and self._files.get(found, ElfFacts()).machine == facts.machine

    def file_at(self, path: bytes) -> bytes | None:
        """The file that ``path`` means when links are followed."""
        found = resolve(self._tree, path)
        return found[0] if found and found[1].type == "file" else None

    def _is_program(self, path: bytes) -> bool:
        """Whether the file is executable."""
        return bool(self._files[path].interpreter and self._tree[path].mode & 0o111)

    def _direct(self, path: bytes, facts: ElfFacts) -> Iterator[bytes]:
        """The libraries that are found for one file."""
        for library in facts.needed:
            if found := self.library(library, path, facts):
                yield found

    def _closure(self, program: bytes) -> frozenset[bytes]:
        """All libraries that are loaded when ``program`` starts."""
        seen: set[bytes] = set()
        todo = [program]
        while todo:
            for path in self._loads.get(todo.pop(), ()):
                if path not in seen:
                    seen.add(path)
                    todo.append(path)
        return frozenset(seen)

    def _folders(self, user: bytes, facts: ElfFacts) -> Iterator[bytes]:
        """Directories searched for the libraries of ``user``: its own paths, then the loader's."""
        found = resolve(self._tree, user)
        origin = (found[0] if found else user).rpartition(b"/")[0]
        for text in facts.search:
            folder = text.encode("utf-8", "surrogateescape")
            for name, meaning in ((b"ORIGIN", b"/" + origin), (b"LIB", self.own)):
                folder = folder.replace(b"${%s}" % name, meaning).replace(b"$" + name, meaning)
            yield folder
        yield from self._system


def _cached(tree: Tree) -> Iterator[bytes]:
    """Folders of /etc/ld.so.conf, in a tree with the cache that is made of it."""
    if b"etc/ld.so.cache" in tree:
        for folder in configured_folders(partial(text_of, tree), partial(names_in, tree)):
            yield folder.strip("/").encode("utf-8", "surrogateescape")
