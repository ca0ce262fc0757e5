"""Checks of what the selected packages put into the image of one platform.

Finds slice paths that match nothing, packages that provide the same path, copyright files
in another package, and packages without a file in the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from posixpath import basename, normpath

import msgspec

from homeport.debian.deb.contents import PackageContents
from homeport.debian.deb.deb import Entry
from homeport.debian.diversions import ShippedFiles, diverted_paths, read_diversions
from homeport.errors import HomeportError
from homeport.locking.package_selection import Selection
from homeport.recipe.slices.model import OWN_SLICES, Slice, match_slice

_MERGED = (b"bin", b"sbin", b"lib", b"lib32", b"lib64", b"libx32")
_DOC = b"usr/share/doc/"


class SliceMatchesNothing(HomeportError):
    """A path of a slice is not in the package, on a platform that the recipe is built for."""

    id = "slice-matches-nothing"


class SamePath(HomeportError):
    """Two packages provide one path."""

    id = "same-path"


class PackageChecks(msgspec.Struct, frozen=True, kw_only=True):
    """The result for one platform.

    kept:      packages that put at least one file in the tree, sorted
    copyright_elsewhere: package → the package whose copyright file it points to
    without_copyright:    packages without a copyright file
    taken:     package → the paths that it puts in the tree, as it ships them
    """

    kept: tuple[str, ...]
    copyright_elsewhere: Mapping[str, str] = msgspec.field(default_factory=dict)
    without_copyright: tuple[str, ...] = ()
    faults: tuple[HomeportError, ...] = ()
    taken: Mapping[str, Sequence[bytes]] = msgspec.field(default_factory=dict)


def check_packages(
    selection: Selection,
    contents: Mapping[str, PackageContents],
    *,
    usrmerge: bool,
    diversions: bool = True,
) -> PackageChecks:
    """Check the files of every package of ``selection``; ``contents`` by package name.

    diversions: whether files lie where scripts divert them
    """
    faults: list[HomeportError] = []
    taken: dict[str, Sequence[bytes]] = {}
    for package in selection.packages:
        slices = selection.slices.get(package.name)
        found = contents[package.name]
        if slices is None:
            taken[package.name] = tuple(found.entries)
            continue
        taken[package.name] = _sliced(slices, found, selection, faults, usrmerge=usrmerge)
    clashes = list(_same_paths(selection, taken, contents, {}, usrmerge=usrmerge))
    if clashes and diversions:  # reading scripts costs time, and few packages clash
        moved = _diverted(selection, taken, contents, usrmerge=usrmerge)
        clashes = list(_same_paths(selection, taken, contents, moved, usrmerge=usrmerge))
    faults += clashes
    kept = [name for name, paths in taken.items() if _has_file(paths, contents[name])]
    copyright_elsewhere, without_copyright = _copyrights(kept, selection, contents)
    return PackageChecks(
        kept=tuple(kept),
        copyright_elsewhere=copyright_elsewhere,
        without_copyright=without_copyright,
        faults=tuple(faults),
        taken=taken,
    )


def _sliced(
    slices: Iterable[Slice],
    contents: PackageContents,
    selection: Selection,
    faults: list[HomeportError],
    *,
    usrmerge: bool,
) -> tuple[bytes, ...]:
    paths: dict[bytes, None] = {}
    # A slice may name a path as the package ships it, or as it lies in the image.
    names = {merged(path): path for path in contents.entries} if usrmerge else {}
    names |= {path: path for path in contents.entries}
    folders = {name for name, path in names.items() if contents.entries[path].type == "directory"}
    for slice in slices:
        taken = match_slice(slice, selection.architecture, names, folders)
        paths |= dict.fromkeys(sorted(names[name] for name in taken.paths))
        if slice.name.slice in OWN_SLICES:
            continue  # of a copyright file one of two paths is enough, or neither is there
        for entry in taken.unmatched:
            what = (
                f"the path {entry.path} of the slice {slice.name} matches nothing in {contents.id}"
            )
            hint = "limit the path to its architectures, or write what the package has"
            fault = SliceMatchesNothing(
                what, where={"platform": str(selection.platform)}, hint=hint
            )
            faults.append(fault)
    return tuple(paths)


def _has_file(paths: Iterable[bytes], contents: PackageContents) -> bool:
    return any(contents.entries[path].type != "directory" for path in paths)


def _same_paths(
    selection: Selection,
    taken: Mapping[str, Sequence[bytes]],
    contents: Mapping[str, PackageContents],
    moved: Mapping[str, Mapping[bytes, bytes]],
    *,
    usrmerge: bool,
) -> Iterator[HomeportError]:
    """Directories may be shared, and links that say the same; nothing else.

    moved: package → path → where a diversion puts it
    """
    owners: dict[bytes, tuple[str, Entry]] = {}
    for name, paths in taken.items():
        for path in paths:
            if usrmerge and path in _MERGED:
                continue  # the step makes these links, whatever packages ship in their place
            entry = contents[name].entries[path]
            to = moved.get(name, {}).get(path, path) if entry.type != "directory" else path
            place = merged(to) if usrmerge else to
            other, there = owners.setdefault(place, (name, entry))
            if other == name or _agree(entry, there):
                continue
            one, two = contents[other].id, contents[name].id
            yield SamePath(
                f"{one.name} {one.version} and {two.name} {two.version} both provide "
                f"/{place.decode('utf-8', 'replace')}",
                where={"platform": str(selection.platform)},
                hint="take only slices without the path from one of them",
            )


def _diverted(
    selection: Selection,
    taken: Mapping[str, Sequence[bytes]],
    contents: Mapping[str, PackageContents],
    *,
    usrmerge: bool,
) -> dict[str, dict[bytes, bytes]]:
    """Package → path → where the script of another package diverts it."""
    shipped = (
        ShippedFiles(
            contents=contents[name],
            placed={
                merged(path) if usrmerge else path: contents[name].entries[path] for path in paths
            },
            whole=selection.slices.get(name) is None,
        )
        for name, paths in taken.items()
    )
    found = read_diversions(shipped, selection.architecture)
    return {name: diverted_paths(found, name) for name in taken}


def merged(path: bytes) -> bytes:
    """Where a path lies once /bin, /lib and their like are links into /usr."""
    first, slash, _ = path.partition(b"/")
    return b"usr/" + path if slash and first in _MERGED else path


def _agree(one: Entry, other: Entry) -> bool:
    if one.type == "directory" == other.type:
        return True
    return one.type == "symlink" == other.type and one.target == other.target


def _copyrights(
    kept: Sequence[str], selection: Selection, contents: Mapping[str, PackageContents]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Copyright files that lie in other packages, and packages that have none."""
    copyright_elsewhere: dict[str, str] = {}
    without_copyright: list[str] = []
    for name in kept:
        entries = contents[name].entries
        folder = entries.get(_DOC + name.encode())
        own = entries.get(_DOC + name.encode() + b"/copyright")
        target = folder if folder and folder.type == "symlink" else own
        if target is not None and target.type == "symlink":
            other = _package_of(target, name, is_folder=target is folder)
            if other and other != name:
                copyright_elsewhere[name] = other
                continue
        if own is None:
            without_copyright.append(name)
    return copyright_elsewhere, tuple(without_copyright)


def _package_of(link: Entry, name: str, *, is_folder: bool) -> str | None:
    """The package whose documentation folder a link points to: folders are called like them."""
    start = "/usr/share/doc" if is_folder else f"/usr/share/doc/{name}"
    target = link.target.decode("utf-8", "replace")
    path = normpath(target if target.startswith("/") else f"{start}/{target}")
    folder = path if is_folder else path.rpartition("/")[0]
    return basename(folder) if folder.startswith("/usr/share/doc/") else None
