"""Proposes the slices of a package, for all of its files or for one of its programs.

What is needed comes from ELF headers, first lines of scripts, imports of Python, and a trace if
there is one. Every path of another package is covered by the slices that are known of it; what
none of them takes is named. ``checking`` shows whether a slice works alone.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from homeport.assemble.reach import Reach
from homeport.content.store import Store
from homeport.errors import UsageError
from homeport.printable import path_text
from homeport.recipe.slices.model import COPYRIGHT, Slice, SliceName, match_slice
from homeport.recipe.slices.reading import SliceFolders
from homeport.slicing.assembly import AssembledPackages
from homeport.slicing.globs import globs_for
from homeport.slicing.model import (
    ProposedNeed,
    ProposedPath,
    ProposedSlice,
    SliceProposal,
    Unsliced,
)
from homeport.slicing.python_imports import PythonFiles
from homeport.slicing.slice_file import slice_file_text
from homeport.tree.links import followed
from homeport.tree.node import Tree

_ABOUT = {
    "bins": "Its programs",
    "scripts": "Its commands that are scripts",
    "libs": "Its shared libraries",
    "modules": "Its Python modules",
    "config": "Its configuration",
    "libexec": "Programs and plug-ins that its commands start or load by name",
    "data": "Data that its programs read",
    "dev": "Headers and what compilers link with",
}
_BINARIES = re.compile(rb"(?:usr/)?s?bin/|usr/games/")
_LIBRARY = re.compile(rb"usr/lib/(?:[^/]+-linux-gnu[^/]*/)?[^/]+\.so(?:\.[^/]*)?$")
_DEVELOPMENT = re.compile(
    rb"usr/include/|usr/(?:lib|share)/(?:[^/]+/)?(?:pkgconfig|cmake)/|.*\.(?:a|la|h|pc)$"
)
_MODULES = re.compile(rb"usr/lib/python3(?:\.\d+)?/")
#: Paths that no image needs.
_FOR_PEOPLE = re.compile(
    rb"usr/share/(?:doc|man|info|locale|help|lintian|bug|doc-base|gtk-doc|menu|reportbug"
    rb"|bash-completion|zsh|fish|applications|icons|pixmaps|metainfo|apport|i18n)/"
)


class WhatIsNeeded(msgspec.Struct, frozen=True, kw_only=True):
    """What a proposal is for; neither: all of the package.

    command: a program: by its name, or its path
    trace:   paths that were opened while it ran, without the leading slash
    name:    of the slice
    """

    command: str = ""
    trace: frozenset[bytes] = frozenset()
    name: str = ""

    @property
    def is_one_slice(self) -> bool:
        return bool(self.command or self.trace)


class _OnPlatform(msgspec.Struct, frozen=True, kw_only=True):
    """What one platform says. needs: paths of other packages, by slice."""

    found: AssembledPackages
    slices: Mapping[str, frozenset[bytes]]
    needs: Mapping[str, frozenset[bytes]]
    unknown: frozenset[bytes] = frozenset()


def propose(
    package: str,
    assembled: Iterable[AssembledPackages],
    wanted: WhatIsNeeded,
    known: SliceFolders,
    store: Store,
) -> SliceProposal:
    """Raises ``UsageError`` where the package has no such program, or nothing to slice."""
    platforms = [_on_platform(package, each, wanted, store) for each in assembled]
    names = sorted({name for each in platforms for name in each.slices})
    if not names:
        raise UsageError(
            f"{package} ships no files to slice",
            hint=f"it may depend on other packages only: homeport show {shlex.quote(package)}",
        )
    proposer = _Proposer(package, platforms, known, wanted)
    slices = tuple(map(proposer.slice, names))
    first = platforms[0]
    taken = frozenset().union(*first.slices.values())
    proposal = SliceProposal(
        package=package,
        version=_version(first.found, package),
        platforms=tuple(str(each.found.plan.platform) for each in platforms),
        slices=slices,
        unsliced=tuple(
            Unsliced(package=name, paths=tuple(sorted(paths)))
            for name, paths in sorted(proposer.unsliced.items())
        ),
        left_out=len(first.found.of(package) - taken),
        unknown=tuple(sorted({path_text(path) for each in platforms for path in each.unknown})),
        text="",
    )
    return msgspec.structs.replace(proposal, text=slice_file_text(proposal))


def _version(found: AssembledPackages, package: str) -> str:
    return next(each.file.id.version for each in found.plan.packages if each.name == package)


def _on_platform(
    package: str, found: AssembledPackages, wanted: WhatIsNeeded, store: Store
) -> _OnPlatform:
    closure = _Closure(found, store)
    unknown: frozenset[bytes] = frozenset()
    if wanted.is_one_slice:
        roots, unknown = closure.roots(package, wanted)
        slices = {wanted.name or ("bins" if wanted.command else "run"): roots}
    else:
        slices = _kinds(package, found, closure)
    own = found.of(package)
    needs = {}
    for name, paths in slices.items():
        reached = closure.of(paths)
        slices[name] = (reached if wanted.is_one_slice else paths) & own
        needs[name] = reached - slices[name]
    return _OnPlatform(
        found=found, slices={name: paths for name, paths in slices.items() if paths},
        needs=needs, unknown=unknown,
    )  # fmt: skip


def _kinds(
    package: str, found: AssembledPackages, closure: _Closure
) -> dict[str, frozenset[bytes]]:
    slices: dict[str, set[bytes]] = {}
    for path in found.of(package):
        if not _FOR_PEOPLE.match(path):
            slices.setdefault(_kind(path, closure), set()).add(path)
    return {name: frozenset(paths) for name, paths in slices.items()}


def _kind(path: bytes, closure: _Closure) -> str:
    if path.startswith(b"etc/"):
        return "config"
    if _BINARIES.match(path):
        return "scripts" if closure.is_script(path) else "bins"
    if _DEVELOPMENT.match(path) or (path.endswith(b".so") and closure.is_link(path)):
        return "dev"
    if _LIBRARY.match(path):
        return "libs"
    if _MODULES.match(path):
        return "modules"
    return "libexec" if closure.is_code(path) else "data"


class _Closure:
    """What files of one platform need: libraries, interpreters, imports, and links to them."""

    def __init__(self, found: AssembledPackages, store: Store) -> None:
        self._tree = found.tree
        self._found = found
        self._reach = Reach(found.tree, found.plan.architecture, store)
        self._python = PythonFiles(found.tree)
        self._names: dict[bytes, set[bytes]] = {}
        for path, node in found.tree.items():
            if node.type == "symlink" and b".so." in path.rpartition(b"/")[2]:
                self._names.setdefault(self._end(path), set()).add(path)

    def is_script(self, path: bytes) -> bool:
        end = self._end(path)
        return end in self._reach.code and end not in self._reach.programs

    def is_link(self, path: bytes) -> bool:
        return self._tree[path].type == "symlink"

    def is_code(self, path: bytes) -> bool:
        return self._end(path) in self._reach.code

    def roots(
        self, package: str, wanted: WhatIsNeeded
    ) -> tuple[frozenset[bytes], frozenset[bytes]]:
        """The files to begin with, and those of the trace that the packages do not ship."""
        found: set[bytes] = set()
        if wanted.command:
            path = self._reach.place(wanted.command.lstrip("/"))
            if path is None:
                raise UsageError(
                    f"{package} has no program {wanted.command}",
                    hint=f"homeport show {shlex.quote(package)} --files lists what it has",
                )
            found |= self._with_links(path)
        unknown = set()
        for path in wanted.trace:
            links = self._with_links(path)
            if any(self._is_file(each) for each in links):
                found |= links
            elif path.startswith((b"usr/", b"etc/", b"lib", b"bin/", b"sbin/", b"opt/")):
                unknown |= {path} if self._end(path) not in self._tree else set()
        return frozenset(found), frozenset(unknown)

    def of(self, paths: Iterable[bytes]) -> frozenset[bytes]:
        """All files that ``paths`` load, run or import, and the links by which they are found."""
        found = set(paths)
        while True:
            ends = {self._end(path) for path in found}
            more = set(self._python.reached(self._reach.from_files(ends) | ends))
            for path in list(more):
                more |= self._names.get(path, set())
            more = {path for path in more if self._is_file(path)}
            if more <= found:
                return frozenset(found)
            found |= more

    def _is_file(self, path: bytes) -> bool:
        node = self._tree.get(path)
        return node is not None and node.type != "directory" and node.source.kind == "package"

    def _end(self, path: bytes) -> bytes:
        return followed(path, lambda each: _target(self._tree, each))[0]

    def _with_links(self, path: bytes) -> set[bytes]:
        """The file that a path leads to, and the links on the way that packages ship."""
        seen: set[bytes] = set()

        def target(each: bytes) -> bytes | None:
            found = _target(self._tree, each)
            if found is not None:
                seen.add(each)
            return found

        end = followed(path, target)[0]
        return {each for each in {*seen, end} if self._is_file(each)}


def _target(tree: Tree, path: bytes) -> bytes | None:
    node = tree.get(path)
    return node.target if node is not None and node.type == "symlink" else None


class _Proposer:
    """Puts together what the platforms say; ``unsliced`` grows with each slice."""

    def __init__(
        self, package: str, platforms: list[_OnPlatform], known: SliceFolders, wanted: WhatIsNeeded
    ) -> None:
        self._package = package
        self._platforms = platforms
        self._known = known
        self._wanted = wanted
        self.unsliced: dict[str, set[str]] = {}

    def slice(self, name: str) -> ProposedSlice:
        paths: dict[str, list[str]] = {}
        needs: dict[str, list[str]] = {}
        for each in self._platforms:
            architecture = each.found.plan.architecture
            for glob in globs_for(each.slices.get(name, ()), each.found.of(self._package)):
                paths.setdefault(glob, []).append(architecture)
            for need in self._needs(each, name):
                needs.setdefault(need, []).append(architecture)
        first = self._platforms[0]
        taken = first.slices.get(name, frozenset())
        return ProposedSlice(
            name=name,
            about=self._about(name),
            paths=tuple(
                ProposedPath(path=glob, architectures=self._some(those))
                for glob, those in sorted(paths.items())
            ),
            needs=tuple(
                ProposedNeed(slice=need, architectures=self._some(those))
                for need, those in sorted(needs.items())
            ),
            files=len(taken),
            size=first.found.size(taken),
        )

    def _about(self, name: str) -> str:
        if self._wanted.command:
            return f"{self._wanted.command} and what it loads"
        return "What was opened while it ran" if self._wanted.trace else _ABOUT.get(name, "")

    def _some(self, architectures: list[str]) -> tuple[str, ...]:
        """Architectures to name; none for all."""
        return () if len(architectures) == len(self._platforms) else tuple(sorted(architectures))

    def _needs(self, each: _OnPlatform, name: str) -> list[str]:
        """The fewest and smallest slices that take what a slice needs."""
        by_package: dict[str, set[bytes]] = {}
        for path in each.needs.get(name, ()):
            by_package.setdefault(each.found.tree[path].source.name, set()).add(path)
        own = by_package.pop(self._package, set())
        found = [
            f"{self._package}_{other}"
            for other, taken in each.slices.items()
            if other != name and taken & own
        ]
        chosen = [
            one
            for owner, left in sorted(by_package.items())
            for one in self._cover(owner, left, each)
        ]
        architecture = each.found.plan.architecture
        implied = {need for one in chosen for need in _all_needs(one, architecture, self._known)}
        return sorted([*found, *(str(one) for one in chosen if one not in implied)])

    def _cover(self, owner: str, paths: set[bytes], each: _OnPlatform) -> Iterator[SliceName]:
        left = frozenset(paths)
        candidates = _candidates(owner, each, self._known)
        while left:
            best = max(
                candidates.items(), default=None,
                key=lambda pair: (len(pair[1] & left), -each.found.size(pair[1] - left), pair[0]),
            )  # fmt: skip
            if best is None or not best[1] & left:
                globs = globs_for(left, each.found.of(owner))
                self.unsliced.setdefault(owner, set()).update(globs)
                return
            yield best[0]
            left -= best[1]


def _candidates(
    owner: str, each: _OnPlatform, known: SliceFolders
) -> dict[SliceName, frozenset[bytes]]:
    """The known slices of a package, with what they take of it themselves and through others."""
    architecture = each.found.plan.architecture
    paths = each.found.of(owner)
    found: dict[SliceName, frozenset[bytes]] = {}
    for slice in known.of_package(owner):
        if slice == COPYRIGHT:
            continue
        name = SliceName(package=owner, slice=slice)
        taken: set[bytes] = set()
        for part in (name, *_all_needs(name, architecture, known)):
            definition = known.get(part)
            if part.package == owner and definition is not None:
                taken |= match_slice(definition, architecture, paths).paths
        found[name] = frozenset(taken)
    return found


def _all_needs(name: SliceName, architecture: str, known: SliceFolders) -> set[SliceName]:
    """What a slice depends on, directly or through others; not itself."""
    found: set[SliceName] = set()
    todo = [name]
    while todo:
        definition: Slice | None = known.get(todo.pop())
        for need in definition.needs if definition is not None else ():
            if need.applies_to(architecture) and need.name not in found and need.name != name:
                found.add(need.name)
                todo.append(need.name)
    return found
