"""``search`` and ``show``: what the archives of a recipe have, and which slices are known of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

import msgspec

from homeport.authoring.archive_state import OpenArchives, OpenedArchives, open_state
from homeport.authoring.slice_listing import KnownSlice, known_slices
from homeport.debian.deb.contents import PackageContents, read_contents
from homeport.debian.deb.deb import EntryType
from homeport.debian.deb.path_globs import NOTHING
from homeport.debian.deb822 import parse_paragraph
from homeport.debian.index.index import PackedIndex
from homeport.debian.index.table import stanzas_of, whole_stanzas
from homeport.debian.package import Package
from homeport.debian.version import parse_version
from homeport.errors import HomeportError, UsageError
from homeport.locking.fetching import fetch_packages
from homeport.printable import path_text
from homeport.progress import CancelToken
from homeport.recipe.catalog import current_catalog
from homeport.recipe.catalog_listing import catalog_recipes
from homeport.recipe.model import Recipe
from homeport.recipe.platforms import debian_architecture
from homeport.recipe.slices.model import match_slice
from homeport.recipe.slices.reading import SliceFolders

_BLOCK = 1 << 20


class FoundPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A package whose name or summary has all words. slices: how many are known of it."""

    name: str
    version: str
    suite: str
    installed_size: int
    summary: str
    slices: int


class FoundRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe of the catalog whose name or summary has all words."""

    name: str
    summary: str


class SearchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What has all words: names that begin with the first word come first."""

    platform: str
    packages: tuple[FoundPackage, ...]
    recipes: tuple[FoundRecipe, ...]


class ListedPath(msgspec.Struct, frozen=True, kw_only=True):
    """A path of a package. slices: those that take it."""

    path: str
    type: EntryType
    size: int
    slices: tuple[str, ...]


class ShownPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A package as the archives have it. size: of its file; paths: if they were asked for."""

    name: str
    version: str
    architecture: str
    suite: str
    source: str
    source_version: str
    size: int
    installed_size: int
    summary: str
    homepage: str
    depends: str
    provides: str
    sha256: str
    others: tuple[str, ...]
    slices: tuple[KnownSlice, ...]
    paths: tuple[ListedPath, ...] | None = None


def search(words: Sequence[str], recipe: Recipe, archives: OpenArchives) -> SearchResult:
    """Packages and recipes of the catalog with all ``words`` in name or summary, in any case."""
    wanted = tuple(word.casefold() for word in words if word.strip())
    if not wanted:
        raise UsageError("nothing to search for", hint="homeport search WORD")
    opened = open_state(recipe, archives, "homeport search")
    (platform,) = recipe.platforms
    index = opened.state.indexes[debian_architecture(platform)]
    newest: dict[str, FoundPackage] = {}
    folders = SliceFolders(recipe.slices, recipe.boundary)
    cancel = opened.access.runtime.cancel
    for part in index.parts:
        for found in _matching(part.packed, part.suite, wanted, folders, cancel):
            known = newest.get(found.name)
            if known is None or parse_version(found.version) > parse_version(known.version):
                newest[found.name] = found
    return SearchResult(
        platform=str(platform),
        packages=tuple(sorted(newest.values(), key=lambda each: _rank(each.name, wanted[0]))),
        recipes=tuple(
            FoundRecipe(name=each.name, summary=each.summary)
            for each in catalog_recipes(current_catalog())
            if all(word in f"{each.name} {each.summary}".casefold() for word in wanted)
        ),
    )


def _rank(name: str, word: str) -> tuple[int, str]:
    if name == word:
        return 0, name
    return (1 if name.startswith(word) else 2 if word in name else 3), name


def _matching(
    packed: PackedIndex,
    suite: str,
    words: Sequence[str],
    folders: SliceFolders,
    cancel: CancelToken,
) -> Iterator[FoundPackage]:
    for stanza in _stanzas(packed, cancel):
        folded = stanza.decode(errors="replace").casefold()
        if not all(word in folded for word in words):
            continue
        try:
            fields = parse_paragraph(stanza)
        except HomeportError:  # one bad entry of a signed index hides no other
            continue
        name, summary = fields.get("Package"), _first_line(fields.get("Description"))
        if all(word in f"{name} {summary}".casefold() for word in words):
            yield FoundPackage(
                name=name,
                version=fields.get("Version"),
                suite=suite,
                installed_size=_kibibytes(fields.get("Installed-Size")),
                summary=summary,
                slices=len(folders.of_package(name)),
            )


def _stanzas(packed: PackedIndex, cancel: CancelToken) -> Iterator[bytes]:
    with packed.open_text() as text:
        for block in whole_stanzas(iter(lambda: text.read(_BLOCK), b"")):
            cancel.check()
            yield from (stanza + b"\n" for _, stanza in stanzas_of(block))


def _first_line(text: str) -> str:
    return text.partition("\n")[0].strip()


def _kibibytes(text: str) -> int:
    return int(text) * 1024 if text.isascii() and text.isdigit() and len(text) < 12 else 0


def show(name: str, recipe: Recipe, archives: OpenArchives, *, files: bool) -> ShownPackage:
    """The newest package of that name.

    files: fetch it, verified, and list its paths with the slices that take them
    Raises ``UsageError`` if the archives have none.
    """
    opened = open_state(recipe, archives, f"homeport show {shlex.quote(name)}")
    (platform,) = recipe.platforms
    index = opened.state.indexes[debian_architecture(platform)]
    found = index.named(name)
    if not found:
        near = [each.name for each in index.providers(name)] or list(index.near_names(name))
        raise UsageError(
            f"the archives have no package {name} for {platform}",
            hint=f"homeport show {near[0]}" if near else f"homeport search {shlex.quote(name)}",
        )
    package = found[0]
    folders = SliceFolders(recipe.slices, recipe.boundary)
    slices = known_slices(folders, package.name)
    fields = parse_paragraph(package.stanza)
    return ShownPackage(
        name=package.name,
        version=package.id.version,
        architecture=package.id.architecture,
        suite=package.suite,
        source=package.source_name,
        source_version=package.source_version,
        size=package.file.size,
        installed_size=_kibibytes(fields.get("Installed-Size")),
        summary=_first_line(fields.get("Description")),
        homepage=fields.get("Homepage"),
        depends=", ".join(filter(None, (fields.get("Pre-Depends"), fields.get("Depends")))),
        provides=fields.get("Provides"),
        sha256=str(package.file.sha256),
        others=tuple(f"{each.id.version} ({each.suite})" for each in found[1:]),
        slices=slices,
        paths=_paths(package, opened, folders) if files else None,
    )


def _paths(
    package: Package, opened: OpenedArchives, folders: SliceFolders
) -> tuple[ListedPath, ...]:
    dates = {(suite.archive, suite.suite): suite.date for suite in opened.state.suites}
    runtime = opened.access.runtime
    blob = fetch_packages([package.file], dates, opened.access)[package.file]
    contents = read_contents(
        blob, NOTHING, runtime.store, expected=package.id, cancel=runtime.cancel
    )
    taken = _taken(package, contents, folders, debian_architecture(opened.recipe.platforms[0]))
    return tuple(
        ListedPath(
            path=path_text(path),
            type=entry.type,
            size=entry.size,
            slices=tuple(sorted(taken.get(path, ()))),
        )
        for path, entry in sorted(contents.entries.items())
        if path
    )


def _taken(
    package: Package, contents: PackageContents, folders: SliceFolders, architecture: str
) -> dict[bytes, list[str]]:
    """Path → the names of slices that take it."""
    directories = {path for path, entry in contents.entries.items() if entry.type == "directory"}
    found: dict[bytes, list[str]] = {}
    for each in known_slices(folders, package.name):
        definition = folders.get(each.reference)
        if definition is not None:
            match = match_slice(definition, architecture, contents.entries, directories)
            for path in match.paths:
                found.setdefault(path, []).append(each.reference.slice)
    return found
