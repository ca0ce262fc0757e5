"""The programs of one image before it is built, and what those that run in it start.

Read from the contents of the selected packages. A path means the file where usrmerge puts it;
links of packages, of the recipe and of alternatives are followed. What a program is given by
its users, its configuration or the data of an interpreter is not seen.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from posixpath import normpath

import msgspec

from homeport.content.blob import Blob
from homeport.content.store import Store
from homeport.debian.deb.contents import PackageContents
from homeport.debian.deb.deb import Entry
from homeport.debian.essential import ESSENTIAL_PACKAGES
from homeport.debian.script_reader import SCRIPTS, make_reader
from homeport.debian.scripts.effects import AddAlternative
from homeport.debian.scripts.machine import Files
from homeport.locking.implied.program_facts import SHELL, ProgramFacts, facts_of
from homeport.locking.package_checks import merged

_FOLDERS = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin")
_USERS_FOLDERS = (b"usr/bin/", b"usr/games/")
_DOC = (b"usr/share/doc/", b"usr/share/lintian/")
_MOST_LINKS = 40
_TYPES = {"hardlink": "file"}
_REGISTERS = "update-alternatives"
_SYSTEMD = b"usr/lib/systemd/systemd"
_UNITS = b"usr/lib/systemd/system/"
_EXEC = re.compile(rb"^Exec\w+=[-@:+!|]*(/\S+)", re.MULTILINE)
_LARGEST_UNIT = 1 << 16


class Start(msgspec.Struct, frozen=True):
    """A program that another one starts; ``by``: the path of that one."""

    program: str
    by: str


class ImagePackage(msgspec.Struct, frozen=True, kw_only=True):
    """A package: ``paths`` are those that it puts in the image, by their names in it."""

    contents: PackageContents
    source: str
    paths: tuple[bytes, ...]


class ImagePrograms:
    """Where programs are, and what each of them starts."""

    def __init__(
        self,
        packages: Mapping[str, ImagePackage],
        links: Mapping[bytes, str],
        architecture: str,
        store: Store,
    ) -> None:
        """``links``: of the recipe, path → target; its other files with the target ""."""
        self._store = store
        self._owner: dict[bytes, str] = {}
        self._entries: dict[bytes, Entry] = {}
        self._packages = packages
        self._links = dict(links)
        self._libraries: dict[str, bytes] = {}
        self._parts_of_scripts: set[bytes] = set()
        for name, package in packages.items():
            for path in package.paths:
                place = merged(path)
                entry = package.contents.entries[path]
                self._owner.setdefault(place, name)
                self._entries.setdefault(place, entry)
                if b".so" in path and entry.type != "directory":
                    library = place.rpartition(b"/")[2].decode("utf-8", "replace")
                    self._libraries.setdefault(library, place)
        for link, target in self._alternatives(architecture).items():
            self._links.setdefault(place_of(link), target)

    def _alternatives(self, architecture: str) -> dict[str, str]:
        """Link → program of the highest priority, as the packages' scripts register them."""
        files = Files(
            type_of=self._type_of, target_of=self._target_of, text_of=lambda _path: None,
            names_in=lambda _folder: [],
        )  # fmt: skip
        read = make_reader(architecture, files, lambda _kind, _name: False)
        found: dict[str, AddAlternative] = {}
        for package in self._packages.values():
            scripts = package.contents.scripts
            registers = any(_REGISTERS in scripts.get(name, "") for name in SCRIPTS)
            for each in read(package.contents) if registers else ():
                if isinstance(each, AddAlternative) and (
                    each.link not in found or each.priority > found[each.link].priority
                ):
                    found[each.link] = each
        links = {each.link: each.path for each in found.values()}
        for each in found.values():
            links |= {link: path for link, _, path in each.slaves if self._type_of(path)}
        return links

    def _type_of(self, path: str) -> str | None:
        entry = self._entries.get(place_of(path))
        return None if entry is None else _TYPES.get(entry.type, entry.type)

    def _target_of(self, path: str) -> str | None:
        entry = self._entries.get(place_of(path))
        if entry is None or entry.type != "symlink":
            return None
        return entry.target.decode("utf-8", "surrogateescape")

    def file_at(self, path: str) -> bytes | None:
        """The file that ``path`` means; b"" for one of the recipe; ``None`` if there is none."""
        place = place_of(normpath(path))
        for _ in range(_MOST_LINKS):
            if place in self._links:
                target = self._links[place]
                if not target:
                    return b""
            else:
                entry = self._entries.get(place)
                if entry is None or entry.type == "directory":
                    return None
                if entry.type == "hardlink":
                    return merged(entry.target)
                if entry.type != "symlink":
                    return place
                target = entry.target.decode("utf-8", "surrogateescape")
            folder = b"/" + place.rpartition(b"/")[0]
            joined = normpath(f"{folder.decode('utf-8', 'surrogateescape')}/{target}")
            place = merged((target if target.startswith("/") else joined).encode().strip(b"/"))
        return None

    def find(self, program: str) -> bytes | None:
        """``file_at`` of a path, or of a name in the usual folders."""
        if "/" in program:
            return self.file_at(program)
        found = (self.file_at(f"/{folder}/{program}") for folder in _FOLDERS)
        return next((each for each in found if each is not None), None)

    def has_library(self, name: str) -> bool:
        return name in self._libraries

    def scripts_of(self, package: str) -> Iterator[bytes]:
        """The scripts among the commands of a package for users, not for administrators."""
        for path in self._packages[package].paths:
            place = merged(path)
            if place.startswith(_USERS_FOLDERS):
                file = self.file_at("/" + place.decode("utf-8", "surrogateescape"))
                if file and self._facts(file).interpreter:
                    yield file

    def is_metapackage(self, package: str) -> bool:
        """Whether it has documentation only, so that a recipe names it for what it depends on."""
        found = self._packages[package]
        return all(
            path.startswith(_DOC) or found.contents.entries[path].type == "directory"
            for path in found.paths
        )

    def is_essential(self, path: bytes) -> bool:
        return self._owner[path] in ESSENTIAL_PACKAGES

    def reached(self, roots: Iterable[bytes]) -> tuple[frozenset[bytes], list[Start]]:
        """The programs that ``roots`` start, with themselves, and each thing that is started."""
        seen: set[bytes] = set()
        starts: dict[Start, None] = {}
        todo = [root for root in roots if root]
        while todo:
            path = todo.pop()
            if path in seen:
                continue
            seen.add(path)
            by = "/" + path.decode("utf-8", "surrogateescape")
            for program in self._starts(path):
                starts[Start(program, by)] = None
                if found := self.find(program):
                    todo.append(found)
            todo += self._sourced(path)
            todo += self._helpers(path)
        return frozenset(seen), list(starts)

    def facts(self, path: bytes) -> ProgramFacts:
        return self._facts(path)

    def _starts(self, path: bytes) -> Iterator[str]:
        facts = self._facts(path)
        yield from facts.interpreter
        yield from facts.calls
        if facts.loader:
            for library in self._own_libraries(path, facts):
                yield from self._facts(library).calls
        if path == _SYSTEMD:
            for place in self._entries:
                if place.startswith(_UNITS) and place.endswith(b".service"):
                    yield from self._executed(place)

    def _executed(self, unit: bytes) -> Iterator[str]:
        blob = self._blob(unit)
        if blob is not None and blob.size <= _LARGEST_UNIT:
            with blob.open() as stream:
                for match in _EXEC.finditer(stream.read(_LARGEST_UNIT)):
                    yield match[1].decode("utf-8", "replace")

    def _own_libraries(self, path: bytes, facts: ProgramFacts) -> Iterator[bytes]:
        """Libraries of the program's own source package: parts of the same program."""
        source = self._packages[self._owner[path]].source
        for name in facts.libraries:
            place = self._libraries.get(name)
            file = self.file_at("/" + place.decode("utf-8", "surrogateescape")) if place else None
            if file and self._packages[self._owner[file]].source == source:
                yield file

    def _helpers(self, path: bytes) -> Iterator[bytes]:
        """Shell scripts in folders of the program's own source package that it names."""
        facts = self._facts(path)
        source = self._packages[self._owner[path]].source
        named = [facts, *map(self._facts, self._own_libraries(path, facts) if facts.loader else ())]
        for folder in dict.fromkeys(folder for each in named for folder in each.folders):
            for place in self._scripts.get(place_of(folder), ()):
                if self._packages[self._owner[place]].source == source and any(
                    SHELL.fullmatch(each) for each in self._facts(place).interpreter
                ):
                    yield place

    @functools.cached_property
    def _scripts(self) -> dict[bytes, list[bytes]]:
        """Folder → files in it that may be executed."""
        found: dict[bytes, list[bytes]] = {}
        for place, entry in self._entries.items():
            if entry.type == "file" and entry.mode & 0o111:
                found.setdefault(place.rpartition(b"/")[0], []).append(place)
        return found

    def _sourced(self, path: bytes) -> Iterator[bytes]:
        """Files that a shell script reads, of those in its own folder."""
        folder = path.rpartition(b"/")[0]
        for name in self._facts(path).sourced:
            place = folder + b"/" + name.encode("utf-8", "surrogateescape")
            if place in self._owner:
                self._parts_of_scripts.add(place)
                yield place

    def _facts(self, path: bytes) -> ProgramFacts:
        blob = self._blob(path)
        if blob is None:
            return ProgramFacts()
        return facts_of(blob, self._store, sourced=path in self._parts_of_scripts)

    def _blob(self, path: bytes) -> Blob | None:
        owner, entry = self._owner.get(path), self._entries.get(path)
        if owner is None or entry is None:
            return None
        return self._packages[owner].contents.blobs.get(entry.path)


def place_of(path: str) -> bytes:
    """Where usrmerge puts a path of an image."""
    return merged(path.encode("utf-8", "surrogateescape").strip(b"/"))
