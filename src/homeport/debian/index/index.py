"""Packages indexes, cached so that only the wanted stanzas are ever decoded.

An index of Debian has 57 MB of text and 69,000 stanzas, of which a lock reads thirty. It
is unpacked once and kept as two blobs (docs/formats/index-cache.md):

    frames  the stanzas, some 64 KiB of text in each zstd frame, with checksums
    table   lines "name TAB locations TAB providers", sorted by bytes, found by bisection

An index is a multimap: one name may have several versions. ``MergedIndex`` shows several
suites as one and is the ``PackageIndex`` that resolution uses. Not for fetching
(``debian.archive.index_fetch``) nor for reading a stanza (``debian.package``).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import cast

import msgspec
import zstandard

from homeport.content.blob import Blob, FileBlob, verified
from homeport.content.digest import Digest
from homeport.content.reading import Readable
from homeport.content.store import Store
from homeport.debian.architecture import ALL
from homeport.debian.index.stanzas import index_text
from homeport.debian.index.table import IndexTable, frame_texts, whole_stanzas
from homeport.debian.listed_file import ListedFile
from homeport.debian.package import Package, parse_package
from homeport.errors import IntegrityError
from homeport.progress import CancelToken
from homeport.tree.decompression import Source, decoded

FORMAT = 2  # of the cache; increased with any change of what is written
_NAMESPACE = "debian-packages"
_LEVEL = 3
_NEAR = 3


class PackedIndex(msgspec.Struct, frozen=True, kw_only=True):
    """One unpacked index in the store."""

    frames: FileBlob
    table: bytes

    def __repr__(self) -> str:
        return f"PackedIndex(frames={self.frames})"

    @contextmanager
    def open_text(self) -> Iterator[Source]:
        """The text of the whole index, byte for byte."""
        with self.frames.open() as stream:
            if self.frames.size == 0:
                yield stream
            else:
                yield decoded(cast("Readable", stream), "zstd", "the index", padded=False)

    def stanzas(self, name: str) -> list[bytes]:
        """Every stanza of the package ``name``."""
        return [self._stanza(location) for location in self._line(name)[0].split()]

    def providers(self, virtual: str) -> list[str]:
        """Names of the packages that provide ``virtual``."""
        return [name.decode() for name in self._line(virtual)[1].split()]

    def names(self) -> Iterator[str]:
        """All names of packages, in byte order."""
        for line in self.table.splitlines():
            name, _, rest = line.partition(b"\t")
            if not rest.startswith(b"\t"):
                yield name.decode()

    def _line(self, name: str) -> tuple[bytes, bytes]:
        """Locations and providers of a name, found by bisection over the sorted lines."""
        key = name.encode() + b"\t"
        low, high = 0, len(self.table)
        while low < high:
            start = self.table.rfind(b"\n", 0, (low + high) // 2) + 1
            start = max(start, low)
            end = self.table.index(b"\n", start)
            if self.table.startswith(key, start):
                locations, _, providers = self.table[start + len(key) : end].partition(b"\t")
                return locations, providers
            if self.table[start : start + len(key)] < key:
                low = end + 1
            else:
                high = start
        return b"", b""

    def _stanza(self, location: bytes) -> bytes:
        offset, length, start, size = (int(number) for number in location.split(b":"))
        try:
            with self.frames.open(offset) as stream:
                text = zstandard.ZstdDecompressor().decompress(stream.read(length))
        except (zstandard.ZstdError, OSError) as error:
            raise IntegrityError(
                "the cached package index is damaged",
                where={"file": str(self.frames.path)},
                hint="run 'homeport cache verify', then the same command again",
            ) from error
        return text[start : start + size]


class IndexPart(msgspec.Struct, frozen=True, kw_only=True):
    """An index, with the archive and suite that its packages belong to."""

    packed: PackedIndex
    archive: str
    suite: str


class MergedIndex:
    """The ``PackageIndex`` of one architecture: several suites as one.

    A package in several suites (the security archive repeats much of main) is returned
    once, as the first part has it.
    """

    def __init__(self, architecture: str, parts: Iterable[IndexPart]) -> None:
        self.architecture = architecture
        self.parts = tuple(parts)
        self._named: dict[str, tuple[Package, ...]] = {}
        self._providers: dict[str, tuple[Package, ...]] = {}

    def named(self, name: str) -> tuple[Package, ...]:
        """Every package of this name, highest version first."""
        found = self._named.get(name)
        if found is None:
            found = self._named[name] = self._read(name)
        return found

    def providers(self, virtual: str) -> tuple[Package, ...]:
        """Every package whose Provides names ``virtual``, in byte order of their names."""
        found = self._providers.get(virtual)
        if found is None:
            names = {name for part in self.parts for name in part.packed.providers(virtual)}
            found = self._providers[virtual] = tuple(
                package
                for name in sorted(names, key=str.encode)
                for package in self.named(name)
                if any(relation.name == virtual for relation in package.provides)
            )
        return found

    def near_names(self, name: str) -> tuple[str, ...]:
        """Similar names, best first; for hints."""
        known = {
            other
            for part in self.parts
            for other in part.packed.names()
            if other[:1] == name[:1] and abs(len(other) - len(name)) <= max(3, len(name) // 2)
        }
        longer = sorted(other for other in known if other.startswith(name))
        close = difflib.get_close_matches(name, sorted(known), n=_NEAR, cutoff=0.7)
        return tuple(dict.fromkeys([*close, *longer[:_NEAR]]))[:_NEAR]

    def _read(self, name: str) -> tuple[Package, ...]:
        packages: dict[tuple[object, Digest], Package] = {}
        for part in self.parts:
            for stanza in part.packed.stanzas(name):
                package = parse_package(stanza, part.archive, part.suite)
                if package.id.architecture in (self.architecture, ALL):
                    packages.setdefault((package.id, package.file.sha256), package)
        return tuple(sorted(packages.values(), key=lambda package: package.version, reverse=True))


def open_index(digest: Digest, store: Store) -> PackedIndex | None:
    """The cached index whose unpacked text (or else whose file) has ``digest``, or ``None``."""
    answer = store.recall(_NAMESPACE, f"{FORMAT} {digest}")
    if answer is None:
        return None
    try:
        known = json.loads(answer)
        frames = store.get(Digest.parse(known["frames"]), known["frames_size"])
        table = store.get(Digest.parse(known["table"]), known["table_size"])
    except (ValueError, KeyError, TypeError):
        return None
    if frames is None or table is None:
        return None
    try:
        with verified(table, "index table") as stream:
            return PackedIndex(frames=frames, table=stream.read(-1))
    except (IntegrityError, OSError):
        store.drop(table.digest)
        return None


def pack_index(
    blob: Blob, form: ListedFile, plain: ListedFile | None, store: Store, cancel: CancelToken
) -> PackedIndex:
    """Unpack and verify the index in ``blob`` and keep it in the store.

    Raises ``IntegrityError`` or ``TooLarge``; then nothing is kept.
    """
    table = IndexTable()
    with store.writer() as writer:
        compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
        for stanzas in whole_stanzas(index_text(blob, form, plain, cancel)):
            texts = frame_texts(stanzas)
            # One call each for compressing, hashing and writing: see BLOCK.
            packed = compressor.multi_compress_to_buffer(texts)
            written = [packed[number].tobytes() for number in range(len(texts))]
            offset = writer.size
            writer.write(b"".join(written))
            for text, frame in zip(texts, written, strict=True):
                table.add(bytes(text), offset, len(frame))
                offset += len(frame)
        frames = writer.commit(sync=False)
    kept = store.put_bytes(table.finished())
    answer = {
        "frames": str(frames.digest),
        "frames_size": frames.size,
        "table": str(kept.digest),
        "table_size": kept.size,
    }
    digest = index_digest(form, plain)
    store.remember(_NAMESPACE, f"{FORMAT} {digest}", json.dumps(answer).encode())
    with kept.open() as stream:
        return PackedIndex(frames=frames, table=stream.read())


def index_digest(form: ListedFile, plain: ListedFile | None) -> Digest:
    """The key of an index in the cache: the digest of its text, whatever form was fetched."""
    return (plain or form).digest
