"""An image whose program cannot start is never written: libraries, loaders, interpreters.

On the finished tree, every ELF file's loader and needed libraries must be there, where
the loader would find them, and of the same machine; so must the interpreter that a
script's first line names, and the program that the entrypoint names. What is loaded by
name at run time (dlopen) cannot be seen.

Not for reading ELF files (``elf_facts``), nor for where a loader looks (``elf_loading``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from homeport.assemble.elf_facts import ElfFacts, facts_of, looks_like_elf
from homeport.assemble.elf_loading import Loader
from homeport.content.store import Store
from homeport.debian.deb.dpkg_database import INFO
from homeport.errors import Faults, HomeportError
from homeport.printable import path_text, yaml_word
from homeport.quantities import counted
from homeport.tree.node import Node, Source, Tree

#: Debian's packages of interpreters, by name.
_INTERPRETERS = {
    "sh": "dash", "dash": "dash", "bash": "bash", "env": "coreutils", "perl": "perl-base",
    "python3": "python3-minimal", "node": "nodejs", "ruby": "ruby", "make": "make",
}  # fmt: skip
#: Scripts below these are to be read, or run where the whole system is there.
_FOR_OTHERS = (
    b"usr/share/doc/", b"usr/share/bug/", b"usr/share/initramfs-tools/", b"etc/init.d/",
)  # fmt: skip
#: Packages whose programs maintainer scripts call.
_SERVE_SCRIPTS = ("adduser", "debconf", "dpkg", "init-system-helpers", "ucf")
#: What engines set when an image does not.
_USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MOST_EXCLUDED = 40  # in one line that can be pasted into a recipe
_FIRST_LINE = 256  # bytes that Linux looks at (BINPRM_BUF_SIZE)
_NOT_SEARCHED = "where the dynamic loader does not search"


class CannotStart(HomeportError):
    """A file of the image needs something that the image does not have."""

    id = "cannot-start"


class _Lacking(msgspec.Struct):
    """Files of a whole package with missing dependencies, and their names, each once."""

    paths: dict[bytes, None] = msgspec.field(default_factory=dict)
    missing: dict[str, None] = msgspec.field(default_factory=dict)


class Findings(msgspec.Struct):
    """Faults, and what is reported as warnings."""

    faults: list[CannotStart] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)


def check(
    tree: Tree,
    architecture: str,
    entrypoint: Sequence[str],
    store: Store,
    provider: Callable[[str], str | None] = lambda name: None,
    *,
    related: Callable[[str, str], str | None] = lambda package, library: None,
    search: str = "",
) -> tuple[str, ...]:
    """Check every file of ``tree``; return warnings.

    What the recipe names must work: slices, files of the recipe, and every program with all
    that it loads. Other files of a whole package may serve packages that are not installed
    (a plug-in, a script, test data): what they lack is a warning, one for each package or
    interpreter. A library in a folder that the loader does not search is also a warning if
    only plug-ins need it, because their program may have loaded it before.

    provider: the package that a missing file (by its name without directory) could come
              from, if that is known
    related:  the package with a library that a package (the first) recommends or suggests
    search:   PATH of the image; "": the usual one
    Raises ``CannotStart``, or ``Faults`` of several.
    """
    checker = _Checker(
        tree, architecture, store, provider, related=related, search=search or _USUAL_PATH
    )
    checker.run(entrypoint)
    faults = checker.findings.faults
    if len(faults) > 1:
        raise Faults(faults, what=f"{counted(len(faults), 'fault')} in programs of the image")
    if faults:
        raise faults[0]
    return tuple(checker.findings.warnings)


def _command_of_env(words: list[bytes]) -> str:
    """The program that ``#!/usr/bin/env [-S] [NAME=VALUE] program`` starts, or ""."""
    if not words or words[0].rpartition(b"/")[2] != b"env":
        return ""
    texts = [word.decode("utf-8", "surrogateescape") for word in words[1:]]
    return next((each for each in texts if not each.startswith("-") and "=" not in each), "")


def _without(paths: Iterable[bytes]) -> str:
    """The recipe line that leaves out files without a use in the image."""
    texts = [path_text(path) for path in paths]
    some = texts[:_MOST_EXCLUDED]
    what = "it" if len(texts) == 1 else "them"
    if len(texts) > len(some):
        what = f"the first {len(some)} of {len(texts)}"
    return f"to leave {what} out, exclude: [{', '.join(map(yaml_word, some))}]"


class _Checker:
    def __init__(
        self, tree: Tree, architecture: str, store: Store, provider: Callable[[str], str | None],
        *, related: Callable[[str, str], str | None], search: str,
    ) -> None:  # fmt: skip
        self._related = related
        self._path = search.split(":")
        self._tree = tree
        self._store = store
        self._provider = provider
        self._elf: dict[bytes, ElfFacts] = {}
        self._scripts: dict[bytes, str] = {}
        self._started_by_env: dict[bytes, str] = {}
        self._names: dict[bytes, list[bytes]] = {}
        self._useless: dict[str, list[bytes]] = {}
        self._lacking: dict[str, _Lacking] = {}
        self._private: dict[tuple[str, bytes], list[bytes]] = {}
        self.findings = Findings()
        for path, node in tree.items():
            self._names.setdefault(path.rpartition(b"/")[2], []).append(path)
            if node.type == "file" and node.content is not None:
                self._classify(path, node)
        self._loader = Loader(tree, self._elf, architecture)

    def run(self, entrypoint: Sequence[str]) -> None:
        for path, facts in self._elf.items():
            self._check_elf(path, facts)
        self._warn_of_private()
        self._warn_of_lacking()
        for path, interpreter in self._scripts.items():
            self._check_script(path, interpreter)
        self._warn_of_scripts()
        if entrypoint and entrypoint[0].startswith("/"):
            program = entrypoint[0].encode("utf-8", "surrogateescape")
            found = self._loader.file_at(program)
            if found is None:
                self._fault(f"the entrypoint {entrypoint[0]} is not in the image", program)
            else:
                self._check_entrypoint(entrypoint[0], found)

    def _classify(self, path: bytes, node: Node) -> None:
        assert node.content is not None
        with node.content.open() as stream:
            start = stream.read(_FIRST_LINE)
        if looks_like_elf(start):
            self._elf[path] = facts_of(node.content, self._store)
        elif start.startswith(b"#!") and node.mode & 0o111 and not self._is_never_run(path):
            words = start[2:].partition(b"\n")[0].split()
            self._scripts[path] = words[0].decode("utf-8", "surrogateescape") if words else ""
            self._started_by_env[path] = _command_of_env(words)

    def _is_never_run(self, path: bytes) -> bool:
        """Examples, what init starts, and what serves maintainer scripts, of whole packages."""
        if path.startswith(INFO):
            return True
        to_read = path.startswith(_FOR_OTHERS) or b"/examples/" in path
        serves_scripts = self._tree[path].source.name in _SERVE_SCRIPTS
        return (to_read or serves_scripts) and self._from_whole_package(path)

    def _from_whole_package(self, path: bytes) -> bool:
        source = self._tree[path].source
        return source.kind == "package" and not source.detail

    def _check_elf(self, path: bytes, facts: ElfFacts) -> None:
        if facts.problem:
            self.findings.warnings.append(
                f"{path_text(path)} is not a readable ELF file; {_without([path])}"
            )
            return
        if facts.interpreter and self._loader.file_at(facts.interpreter.encode()) is None:
            self._miss(
                f"{path_text(path)} needs the loader {facts.interpreter}, "
                "which is not in the image",
                path, facts.interpreter.rpartition("/")[2],
            )  # fmt: skip
        for library in facts.needed:
            if self._loader.library(library, path, facts):
                continue
            elsewhere = next(self._elsewhere(library, facts), None)
            if elsewhere and self._loader.always_loaded_before(elsewhere, path):
                continue
            if elsewhere and path not in self._loader.started and not facts.interpreter:
                self._private.setdefault((library, elsewhere), []).append(path)
                continue
            place = f"at {path_text(elsewhere)}, {_NOT_SEARCHED}" if elsewhere else ""
            self._miss(
                f"{path_text(path)} needs the library {library}, which is "
                f"{place or 'not in the image'}",
                path, library, elsewhere,
            )  # fmt: skip

    def _miss(self, what: str, path: bytes, missing: str, elsewhere: bytes | None = None) -> None:
        if path in self._loader.started or not self._from_whole_package(path):
            self._fault(what, path, missing, elsewhere)
            return
        lacking = self._lacking.setdefault(self._tree[path].source.name, _Lacking())
        lacking.paths[path] = None
        lacking.missing[missing] = None

    def _warn_of_private(self) -> None:
        """One line for each library that plug-ins would not find by themselves."""
        for (library, place), users in self._private.items():
            # A package knows which of its own programs loads which of its own libraries.
            paths = [path for path in users if self._source(path) != self._source(place)]
            if not paths:
                continue
            first, more = path_text(paths[0]), len(paths) - 1
            files = f"{first} and {more} more need" if more else f"{first} needs"
            self.findings.warnings.append(
                f"{files} {library}, which is at {path_text(place)}, {_NOT_SEARCHED}: only "
                "programs that have loaded it already can use it; for others, add to the recipe: "
                f"links: [{{path: {yaml_word(f'{path_text(self._loader.own)}/{library}')}, "
                f"target: {yaml_word(path_text(place))}}}]"
            )

    def _warn_of_lacking(self) -> None:
        """One line for each whole package with files that no program of the image loads."""
        for package, lacking in self._lacking.items():
            first, more = (
                path_text(next(iter(lacking.paths))),
                len(lacking.paths) - 1,
            )
            files = f"{first} and {more} more need" if more else f"{first} needs"
            found = {name: self._related(package, name) for name in sorted(lacking.missing)}
            names = ", ".join(sorted({name for name in found.values() if name}))
            advice = f"to add it, packages: [{names}]; " if names else ""
            self.findings.warnings.append(
                f"{package}: {files} files that are not in the image: {', '.join(found)}; "
                f"{advice}{_without(lacking.paths)}"
            )

    def _check_script(self, path: bytes, interpreter: str) -> None:
        if interpreter and self._loader.file_at(interpreter.encode("utf-8", "surrogateescape")):
            return
        if self._from_whole_package(path):
            self._useless.setdefault(interpreter, []).append(path)
            return
        what = f"{path_text(path)} is a script for {interpreter!r}, which is not in the image"
        self._fault(what, path, interpreter.rpartition("/")[2])

    def _check_entrypoint(self, program: str, path: bytes) -> None:
        """A script that starts the image needs its interpreter, of a whole package too."""
        interpreter = self._scripts.get(path)
        if not interpreter:
            return
        command = self._started_by_env[path]
        if self._loader.file_at(interpreter.encode("utf-8", "surrogateescape")) is None:
            if self._from_whole_package(path):  # else ``_check_script`` has reported it
                self._lacks_interpreter(program, path, interpreter)
        elif command and not self._finds(command):
            self._lacks_interpreter(program, path, command)

    def _finds(self, command: str) -> bool:
        """Whether ``env`` finds a program."""
        places = (command,) if "/" in command else (f"{folder}/{command}" for folder in self._path)
        return any(
            self._loader.file_at(place.encode("utf-8", "surrogateescape")) for place in places
        )

    def _lacks_interpreter(self, program: str, path: bytes, interpreter: str) -> None:
        package = _INTERPRETERS.get(interpreter.rpartition("/")[2])
        self.findings.faults.append(
            CannotStart(
                f"the entrypoint {program} is a script for {interpreter}, "
                "which is not in the image",
                where={"path": path_text(path)},
                hint=f"add to the recipe: packages: [{package}]" if package
                else "choose a package that provides it",
            )
        )  # fmt: skip

    def _warn_of_scripts(self) -> None:
        """One line for each interpreter that scripts of whole packages would need."""
        for interpreter, paths in self._useless.items():
            example, more = path_text(paths[0]), len(paths) - 1
            scripts = f"{example} and {more} more are scripts" if more else f"{example} is a script"
            package = _INTERPRETERS.get(interpreter.rpartition("/")[2])
            advice = f"; to run them, packages: [{package}]" if package else f"; {_without(paths)}"
            self.findings.warnings.append(
                f"{scripts} for {interpreter!r}, which is not in the image{advice}"
            )

    def _source(self, path: bytes) -> Source | bytes:
        """The package that a file is from; a file of the recipe is alone."""
        return self._tree[path].source if self._from_whole_package(path) else path

    def _elsewhere(self, library: str, facts: ElfFacts) -> Iterator[bytes]:
        name = library.encode("utf-8", "surrogateescape")
        return (path for path in self._names.get(name, ()) if self._loader.fits(path, facts))

    def _fault(
        self, what: str, path: bytes, missing: str = "", elsewhere: bytes | None = None
    ) -> None:
        node = self._tree.get(path)
        package = self._provider(missing) if missing else None
        hint = "choose a package or slice that provides it"
        if package:
            hint = f"the package {package} has it, but none of the chosen slices takes it"
        if elsewhere:
            wanted = yaml_word(f"{path_text(self._loader.own)}/{missing}")
            hint = (
                f"add to the recipe: links: [{{path: {wanted}, "
                f"target: {yaml_word(path_text(elsewhere))}}}]; "
                "on a Debian system a maintainer script of the package may make this link"
            )
        where = {"path": path_text(path)} | ({"source": str(node.source)} if node else {})
        self.findings.faults.append(CannotStart(what, where=where, hint=hint))
