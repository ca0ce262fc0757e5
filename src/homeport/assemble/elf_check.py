"""An image whose program cannot start is never written: libraries, loaders, interpreters.

On the finished tree, every ELF file's loader and needed libraries must be there, where
the loader would find them, and of the same machine; so must the interpreter that a
script's first line names, and the program that the entrypoint names. What is loaded by
name at run time (dlopen) cannot be seen.

Not for reading ELF files (``elf_facts``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from homeport.assemble.elf_facts import ElfFacts, facts_of, looks_like_elf
from homeport.assemble.tree_paths import resolve
from homeport.content.store import Store
from homeport.debian.architecture import TRIPLET_OF
from homeport.errors import Faults, HomeportError
from homeport.tree.node import Node, Tree

_FIRST_LINE = 256  # bytes that Linux looks at (BINPRM_BUF_SIZE)


class CannotStart(HomeportError):
    """A file of the image needs something that the image does not have."""

    id = "cannot-start"


@dataclass(slots=True)
class Findings:
    """What is wrong, and what is worth a word."""

    faults: list[CannotStart] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check(
    tree: Tree,
    architecture: str,
    entrypoint: Sequence[str],
    store: Store,
    provider: Callable[[str], str | None] = lambda name: None,
) -> tuple[str, ...]:
    """Check every file of ``tree``; return warnings.

    A library that only a plug-in misses in its own search path, but that the image has
    elsewhere, is a warning: its program may have loaded it already. So is the interpreter
    of a script in a whole package, which may be there for those who install more.

    provider: the package that a missing file (by its name without directory) could come
              from, if that is known
    Raises ``CannotStart``, or ``Faults`` of several.
    """
    checker = _Checker(tree, architecture, store, provider)
    checker.run(entrypoint)
    faults = checker.findings.faults
    if len(faults) > 1:
        raise Faults(faults, what=f"programs of the image miss {len(faults)} things")
    if faults:
        raise faults[0]
    return tuple(checker.findings.warnings)


class _Checker:
    def __init__(
        self, tree: Tree, architecture: str, store: Store, provider: Callable[[str], str | None]
    ) -> None:
        self._tree = tree
        self._store = store
        self._provider = provider
        triplet = TRIPLET_OF.get(architecture, "").encode()
        # The loader's own places, without ld.so.cache (ld.so(8)); Debian's has the triplets.
        self._system = (
            *(() if not triplet else (b"lib/" + triplet, b"usr/lib/" + triplet)),
            b"lib", b"usr/lib", b"lib64", b"usr/lib64", b"usr/local/lib",
        )  # fmt: skip
        self._elf: dict[bytes, ElfFacts] = {}
        self._scripts: dict[bytes, str] = {}
        self._names: dict[bytes, list[bytes]] = {}
        self._useless: dict[str, list[bytes]] = {}
        self.findings = Findings()

    def run(self, entrypoint: Sequence[str]) -> None:
        for path, node in self._tree.items():
            self._names.setdefault(path.rpartition(b"/")[2], []).append(path)
            if node.type == "file" and node.content is not None:
                self._classify(path, node)
        for path, facts in self._elf.items():
            self._check_elf(path, facts)
        for path, interpreter in self._scripts.items():
            self._check_script(path, interpreter)
        self._warn_of_scripts()
        if entrypoint and entrypoint[0].startswith("/"):
            program = entrypoint[0].encode("utf-8", "surrogateescape")
            if self._file_at(program) is None:
                self._fault(f"the entrypoint {entrypoint[0]} is not in the image", program)

    def _classify(self, path: bytes, node: Node) -> None:
        assert node.content is not None
        with node.content.open() as stream:
            start = stream.read(_FIRST_LINE)
        if looks_like_elf(start):
            self._elf[path] = facts_of(node.content, self._store)
        elif start.startswith(b"#!") and node.mode & 0o111:
            words = start[2:].partition(b"\n")[0].split()
            self._scripts[path] = words[0].decode("utf-8", "surrogateescape") if words else ""

    def _check_elf(self, path: bytes, facts: ElfFacts) -> None:
        if facts.problem:
            self.findings.warnings.append(f"{_shown(path)} is no readable ELF file")
            return
        if facts.interpreter and self._file_at(facts.interpreter.encode()) is None:
            self._fault(
                f"{_shown(path)} is started by {facts.interpreter}, which is not in the image",
                path, facts.interpreter.rpartition("/")[2],
            )  # fmt: skip
        for library in facts.needed:
            if self._has_library(library, path, facts):
                continue
            elsewhere = list(self._elsewhere(library, facts))
            if elsewhere and not facts.interpreter:
                self.findings.warnings.append(
                    f"{_shown(path)} needs {library}, which lies in {_shown(elsewhere[0])}, "
                    "where only a program that has loaded it finds it"
                )
                continue
            self._fault(
                f"{_shown(path)} needs the library {library}, which is not in the image",
                path, library,
            )  # fmt: skip

    def _check_script(self, path: bytes, interpreter: str) -> None:
        if interpreter and self._file_at(interpreter.encode("utf-8", "surrogateescape")):
            return
        source = self._tree[path].source
        if source.kind == "package" and not source.detail:
            self._useless.setdefault(interpreter, []).append(path)
            return
        what = f"{_shown(path)} is a script for {interpreter!r}, which is not in the image"
        self._fault(what, path, interpreter.rpartition("/")[2])

    def _warn_of_scripts(self) -> None:
        """One line for each interpreter that scripts of whole packages would need."""
        for interpreter, paths in self._useless.items():
            example, more = _shown(paths[0]), len(paths) - 1
            scripts = f"{example} and {more} more are scripts" if more else f"{example} is a script"
            self.findings.warnings.append(
                f"{scripts} for {interpreter!r}, which is not in the image"
            )

    def _has_library(self, library: str, user: bytes, facts: ElfFacts) -> bool:
        name = library.encode("utf-8", "surrogateescape")
        if b"/" in name:
            places = [name]
        else:
            places = [folder + b"/" + name for folder in self._folders(user, facts)]
        return any(self._fits(place, facts) for place in places)

    def _folders(self, user: bytes, facts: ElfFacts) -> Iterator[bytes]:
        """Where the loader looks (ld.so(8)): what the file says, then its own places."""
        found = resolve(self._tree, user)
        origin = (found[0] if found else user).rpartition(b"/")[0]
        for text in facts.search:
            folder = text.encode("utf-8", "surrogateescape")
            for name, meaning in ((b"ORIGIN", b"/" + origin), (b"LIB", self._system[0])):
                folder = folder.replace(b"${%s}" % name, meaning).replace(b"$" + name, meaning)
            yield folder
        yield from self._system

    def _elsewhere(self, library: str, facts: ElfFacts) -> Iterator[bytes]:
        name = library.encode("utf-8", "surrogateescape")
        return (path for path in self._names.get(name, ()) if self._fits(path, facts))

    def _fits(self, path: bytes, facts: ElfFacts) -> bool:
        """Whether an ELF file of the same machine is at ``path``."""
        found = self._file_at(path)
        return found is not None and self._elf.get(found, ElfFacts()).machine == facts.machine

    def _file_at(self, path: bytes) -> bytes | None:
        found = resolve(self._tree, path)
        return found[0] if found and found[1].type == "file" else None

    def _fault(self, what: str, path: bytes, missing: str = "") -> None:
        node = self._tree.get(path)
        package = self._provider(missing) if missing else None
        hint = f"{package} has it" if package else "choose a package or slice that provides it"
        where = {"path": _shown(path)} | ({"source": str(node.source)} if node else {})
        self.findings.faults.append(CannotStart(what, where=where, hint=hint))


def _shown(path: bytes) -> str:
    return "/" + path.lstrip(b"/").decode("utf-8", "backslashreplace")
