"""The contents of a package: control files, every path, and the content of wanted files.

A package is verified as a whole before any of it is used, then decompressed once.
Wanted content goes into the store as one pack; a list of its extents is recorded
under the package's digest, the wanted globs and a hash of the code that made it, so that
the next build decompresses nothing.

Not for deciding which paths belong to an image: ``debian.deb.path_globs`` matches,
``homeport.assemble`` decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from homeport.content.blob import Blob, BytesBlob, verified
from homeport.content.code_hash import code_hash
from homeport.content.digest import Digest
from homeport.content.reading import CHUNK
from homeport.content.store import Store
from homeport.debian.deb.ar import BadDeb
from homeport.debian.deb.content_pack import FileExtent, Pack, PackedBlob
from homeport.debian.deb.deb import DebReader, Entry
from homeport.debian.deb.path_globs import PathGlobs, matches
from homeport.debian.deb822 import parse_paragraph
from homeport.debian.package import PackageId
from homeport.errors import HomeportError
from homeport.progress import CancelToken

_NAMESPACE = "package-contents"
#: The code that decides the result of reading a package.
_DECIDES = ("debian/deb", "copying/tarstream.py")
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")
_MD5 = 32  # digits


class PackageContents(msgspec.Struct, frozen=True, kw_only=True):
    """A package, read.

    control:   the control file as it is
    md5sums:   path → digits, as the package says
    conffiles: paths, without the leading slash
    scripts:   maintainer scripts by name, also ``triggers``
    control_files: every control file, as it is
    entries:   path → entry, every one, in the package's order
    blobs:     path → content, of the wanted files and hard links
    """

    id: PackageId
    control: bytes
    md5sums: Mapping[bytes, str]
    conffiles: tuple[bytes, ...]
    scripts: Mapping[str, str]
    control_files: Mapping[str, bytes]
    entries: Mapping[bytes, Entry]
    blobs: Mapping[bytes, Blob]


class PathSelection(msgspec.Struct, frozen=True, kw_only=True):
    """What globs take of a package.

    paths:     in the package's order
    parents:   directories above them that were not selected themselves
    unmatched: globs that match nothing in this package
    """

    paths: tuple[bytes, ...]
    parents: tuple[bytes, ...]
    unmatched: tuple[str, ...]


def select_paths(contents: PackageContents, globs: Sequence[str]) -> PathSelection:
    """The paths of ``contents`` that the globs match."""
    chosen: set[bytes] = set()
    unmatched: list[str] = []
    for glob in globs:
        found = {
            path
            for path, entry in contents.entries.items()
            if matches(glob, path, directory=entry.type == "directory")
        }
        chosen |= found
        if not found:
            unmatched.append(glob)
    above = {parent for path in chosen for parent in _parents(path)} - chosen
    return PathSelection(
        paths=tuple(path for path in contents.entries if path in chosen),
        parents=tuple(path for path in contents.entries if path in above),
        unmatched=tuple(unmatched),
    )


def read_contents(
    deb: Blob,
    wanted: PathGlobs,
    store: Store,
    *,
    expected: PackageId | None = None,
    cancel: CancelToken | None = None,
) -> PackageContents:
    """Read ``deb``, keeping the content of files that ``wanted`` matches.

    expected: id of the package in the index; ``BadDeb`` if its control file differs
    Raises ``IntegrityError`` if the bytes do not have ``deb.digest``.
    """
    key = "\n".join((str(deb.digest), code_hash(*_DECIDES), *wanted.globs))
    listing = _recall(store, key)
    try:
        if listing is None:
            listing = _read(deb, wanted, store, cancel or CancelToken())
            store.remember(_NAMESPACE, key, msgspec.msgpack.encode(listing))
        contents = _contents(listing, store)
    except HomeportError as error:
        name = f"{expected.name} {expected.version}" if expected else str(deb.digest)
        error.at(package=name)
        raise
    if expected is not None and contents.id != expected:
        raise BadDeb(
            f"the package is {contents.id}, but the index lists it as {expected}",
            where={"package": expected.name},
        )
    return contents


class _Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What the cache records of a package."""

    control: dict[str, bytes]
    entries: list[Entry]
    extents: list[FileExtent]
    pack: str | None
    pack_size: int


_LISTING_DECODER = msgspec.msgpack.Decoder(_Listing)


def _recall(store: Store, key: str) -> _Listing | None:
    answer = store.recall(_NAMESPACE, key)
    if answer is None:
        return None
    try:
        listing = _LISTING_DECODER.decode(answer)
    except msgspec.DecodeError:
        return None
    if listing.pack and store.get(Digest.parse(listing.pack), listing.pack_size) is None:
        return None  # the content was pruned: read the package again
    return listing


def _read(deb: Blob, wanted: PathGlobs, store: Store, cancel: CancelToken) -> _Listing:
    with verified(deb, "the package") as stream:
        while stream.read(CHUNK):
            cancel.check()
    listing, missing = _read_once(deb, wanted, frozenset(), store, cancel)
    if missing:
        # Wanted hard links to files that are not: content comes first in the archive.
        listing, _ = _read_once(deb, wanted, missing, store, cancel)
    return listing


def _read_once(
    deb: Blob, wanted: PathGlobs, also: frozenset[bytes], store: Store, cancel: CancelToken
) -> tuple[_Listing, frozenset[bytes]]:
    """The listing, and files that a wanted hard link needs and that was not wanted itself."""
    with verified(deb, "the package") as stream, store.writer() as writer:
        reader = DebReader(stream)
        pack = Pack(writer)
        entries: list[Entry] = []
        needed: set[bytes] = set()
        for entry in reader.entries():
            cancel.check()
            entries.append(entry)
            is_wanted = wanted.match(entry.path, directory=entry.type == "directory")
            if entry.type == "file" and (is_wanted or entry.path in also):
                pack.add(entry, reader, cancel)
            elif entry.type == "hardlink" and is_wanted:
                needed.add(entry.target)
        stored = writer.commit(sync=False) if writer.size else None
    listing = _Listing(
        control=reader.control,
        entries=entries,
        extents=pack.extents,
        pack=str(stored.digest) if stored else None,
        pack_size=stored.size if stored else 0,
    )
    return listing, frozenset(needed - {extent.path for extent in pack.extents})


def _contents(listing: _Listing, store: Store) -> PackageContents:
    control = listing.control
    entries = {entry.path: entry for entry in listing.entries}
    scripts = {
        name: data.decode("utf-8", "replace")
        for name, data in control.items()
        if name in _SCRIPTS or name == "triggers"
    }
    return PackageContents(
        id=_id(control["control"]),
        control=control["control"],
        md5sums=_md5sums(control.get("md5sums", b"")),
        conffiles=_conffiles(control.get("conffiles", b"")),
        scripts=scripts,
        control_files=control,
        entries=entries,
        blobs=_blobs(listing, entries, store),
    )


def _id(control: bytes) -> PackageId:
    try:
        fields = parse_paragraph(control)
    except HomeportError as error:
        error.at(file="control")
        raise
    values = [fields.get(name) for name in ("Package", "Version", "Architecture")]
    if not all(values):
        raise BadDeb("its control file lacks Package, Version or Architecture")
    return PackageId(name=values[0], version=values[1], architecture=values[2])


def _md5sums(data: bytes) -> dict[bytes, str]:
    sums: dict[bytes, str] = {}
    for line in data.splitlines():
        digits, _, path = line.partition(b"  ")
        text = digits.decode("ascii", "replace")
        # Some packages have broken lines here; Homeport does not rely on these sums.
        if len(text) == _MD5 and text.isalnum() and path:
            sums[path.removeprefix(b"./")] = text
    return sums


def _conffiles(data: bytes) -> tuple[bytes, ...]:
    # A line may begin with a flag, "remove-on-upgrade", for files that are no longer shipped.
    return tuple(line.strip()[1:] for line in data.splitlines() if line.startswith(b"/"))


def _blobs(listing: _Listing, entries: Mapping[bytes, Entry], store: Store) -> dict[bytes, Blob]:
    pack = store.get(Digest.parse(listing.pack), listing.pack_size) if listing.pack else None
    blobs: dict[bytes, Blob] = {}
    for extent in listing.extents:
        if extent.size == 0:
            blobs[extent.path] = BytesBlob(b"")
        elif pack is not None:
            digest = Digest.parse(extent.digest)
            blobs[extent.path] = PackedBlob(pack, extent.offset, extent.size, digest, store)
    for path, entry in entries.items():
        if entry.type == "hardlink" and entry.target in blobs:
            blobs[path] = blobs[entry.target]
    return blobs


def _parents(path: bytes) -> list[bytes]:
    steps = path.split(b"/")
    return [b"/".join(steps[:depth]) for depth in range(1, len(steps))]
