"""Which paths of a package enter the image, and where they lie there.

Works on headers alone: nothing is unpacked before it is known what is wanted.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence

import msgspec

from homeport.assemble.locale_selection import only_locales
from homeport.assemble.plan import PlannedPackage
from homeport.assemble.tree_merge import Clash
from homeport.assemble.usrmerge import MERGED, merged_path
from homeport.content.blob import Blob
from homeport.debian.deb.deb import Entry
from homeport.debian.deb.path_globs import PathGlobs
from homeport.errors import Faults, HomeportError
from homeport.recipe.slices.model import OWN_SLICES, match_slice
from homeport.tree.node import Node, Source

_DOC = b"usr/share/doc"


class EmptySlicePath(HomeportError):
    """A slice names a path that the locked package does not have."""

    id = "empty-slice-path"
    exit_code = 2


class SelectedPath(msgspec.Struct, frozen=True, kw_only=True):
    """A path of a package that the image gets.

    slice: the first slice that took it, or "" for a whole package or a parent directory
    diverted: whether it lies where a diversion puts it
    """

    path: bytes
    entry: Entry
    slice: str
    diverted: bool = False


def select_paths(
    package: PlannedPackage, entries: Sequence[Entry], architecture: str, *, usrmerge: bool
) -> list[SelectedPath]:
    """What ``package`` gives to the image, in the order of its archive.

    Raises ``EmptySlicePath``, ``Clash``, or ``Faults`` of several; ``UsageError`` for a locale
    that is not there.
    """
    placed = _placed(entries, usrmerge=usrmerge)
    if package.whole:
        if package.locales:
            placed = only_locales(package.name, placed, package.locales)
        kept = _not_excluded(placed, package.exclude)
        return [
            SelectedPath(path=path, entry=_without_lost_link(entry, placed, kept), slice="")
            for path, entry in kept.items()
        ]
    taken = _taken(package, placed, architecture)
    parents = {parent for path in taken for parent in _parents(path)}
    return [
        SelectedPath(
            path=path, entry=_without_lost_link(entry, placed, taken), slice=taken.get(path, "")
        )
        for path, entry in placed.items()
        if path in taken or (entry.type == "directory" and path in parents)
    ]


def path_nodes(
    package: PlannedPackage,
    chosen: Sequence[SelectedPath],
    contents: Mapping[bytes, Blob],
    epoch: int,
    *,
    usrmerge: bool,
) -> list[tuple[bytes, Node]]:
    """The chosen paths as nodes; times are the package's, but never later than ``epoch``."""
    return [
        (each.path, _node(package.name, each, contents, epoch, usrmerge=usrmerge))
        for each in chosen
    ]


def _placed(entries: Sequence[Entry], *, usrmerge: bool) -> dict[bytes, Entry]:
    """Entries by their path in the image."""
    placed: dict[bytes, Entry] = {}
    for entry in entries:
        if usrmerge and entry.path in MERGED and entry.type == "symlink":
            continue  # base-files ships the links that the step makes
        path = merged_path(entry.path) if usrmerge else entry.path
        first = placed.setdefault(path, entry)
        if first is not entry and not first.type == entry.type == "directory":
            shown = [each.path.decode("utf-8", "backslashreplace") for each in (first, entry)]
            raise Clash(
                f"/{shown[0]} and /{shown[1]} are the same path in merged /usr",
                where={"path": shown[0]},
            )
    return placed


def _not_excluded(placed: dict[bytes, Entry], exclude: Sequence[str]) -> dict[bytes, Entry]:
    """What ``exclude`` leaves of a whole package: copyright files, and links to them, stay."""
    if not exclude:
        return placed
    globs = PathGlobs.of(exclude)

    def stays(path: bytes, entry: Entry) -> bool:
        directory = entry.type == "directory"
        return not globs.match(path, directory=directory) or (
            not directory and _leads_to_copyright(path, entry)
        )

    files = {path for path, entry in placed.items() if entry.type != "directory"}
    files = {path for path in files if stays(path, placed[path])}
    parents = {parent for path in files for parent in _parents(path)}
    return {
        path: entry
        for path, entry in placed.items()
        if path in files or path in parents or (entry.type == "directory" and stays(path, entry))
    }


def _leads_to_copyright(path: bytes, entry: Entry) -> bool:
    parent, _, name = path.rpartition(b"/")
    if parent == _DOC:
        return entry.type == "symlink"  # the folder is another package's
    return parent.rpartition(b"/")[0] == _DOC and name == b"copyright"


def _taken(
    package: PlannedPackage, placed: Mapping[bytes, Entry], architecture: str
) -> dict[bytes, str]:
    """Path → the first slice that takes it."""
    taken: dict[bytes, str] = {}
    faults: list[HomeportError] = []
    # A slice may name a path as the package ships it or as it lies in the image.
    names = {entry.path: path for path, entry in placed.items()} | {path: path for path in placed}
    directories = {name for name, path in names.items() if placed[path].type == "directory"}
    for each in package.slices:
        matched = match_slice(each, architecture, names, directories)
        for name in matched.paths:
            taken.setdefault(names[name], each.name.slice)
        if each.name.slice in OWN_SLICES:
            continue  # of a copyright: the file, or a link to another package's folder
        faults += [
            EmptySlicePath(
                f"{path.path} of the slice {each.name} is not in {package.file.id}",
                where={"slice": str(each.name), "architecture": architecture},
                hint="correct the slice, or limit the path to the architectures that have it",
            )
            for path in matched.unmatched
        ]
    if faults:
        raise faults[0] if len(faults) == 1 else Faults(faults)
    return taken


def _parents(path: bytes) -> Iterator[bytes]:
    while path := path.rpartition(b"/")[0]:
        yield path


def _without_lost_link(
    entry: Entry, placed: Mapping[bytes, Entry], taken: Container[bytes]
) -> Entry:
    """A hard link whose file is not taken becomes that file."""
    if entry.type != "hardlink":
        return entry
    for path, other in placed.items():
        if other.path == entry.target and path not in taken:
            return other
    return entry


def _node(
    package: str,
    chosen: SelectedPath,
    contents: Mapping[bytes, Blob],
    epoch: int,
    *,
    usrmerge: bool,
) -> Node:
    entry = chosen.entry
    target = entry.target
    if entry.type == "hardlink" and usrmerge:
        target = merged_path(target)
    return Node(
        type=entry.type,
        mode=entry.mode,
        uid=entry.uid,
        gid=entry.gid,
        mtime=min(entry.mtime, epoch),
        xattrs=entry.xattrs,
        target=target,
        content=contents[entry.path] if entry.type == "file" and entry.size else None,
        source=Source(kind="package", name=package, detail=chosen.slice),
    )
