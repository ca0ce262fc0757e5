"""Build caches in a folder of ours: ``--cache-to type=local,dest=DIR`` and ``--cache-from``.

The folder is an OCI layout whose tag leads to the cache's manifest, the same that buildx
and buildctl write and read. The engine sends and fetches its blobs through the session
(``homeport.buildkit.session.content_store``). Blobs are verified before they get their name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from homeport.buildkit.protocol.control import CacheOptionsEntry
from homeport.buildkit.session.content_store import ContentStore
from homeport.content.blob import Blob, FileBlob
from homeport.content.digest import Digest
from homeport.content.files import explained
from homeport.errors import HomeportError, IntegrityError, UsageError
from homeport.images.storage.files import DirectoryFiles
from homeport.images.storage.layout import REF_NAME, blob_name, read_index
from homeport.images.transports.oci_layout import open_layout, set_tag
from homeport.oci.documents import Descriptor
from homeport.oci.reference import DEFAULT_TAG
from homeport.progress import CancelToken
from homeport.quantities import apart

_MANIFEST = "cache.manifest"  # in the engine's answer: the descriptor of what it wrote
_DESCRIPTOR_DECODER = msgspec.json.Decoder(Descriptor)


class CacheFolder(msgspec.Struct, frozen=True):
    """The blobs of one folder, read and written."""

    root: Path

    def find(self, digest: str) -> Blob | None:
        name = Digest.parse(digest)
        path = self.root / blob_name(name)
        try:
            return FileBlob(path, name, os.stat(path, follow_symlinks=False).st_size)
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def ingest(self) -> Iterator[_Ingest]:
        folder = self.root / "blobs/sha256"
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=".ingest-", dir=folder)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                yield _Ingest(cast("BinaryIO", stream), temporary, folder)
        finally:
            temporary.unlink(missing_ok=True)


class _Ingest(msgspec.Struct):
    stream: BinaryIO
    temporary: Path
    folder: Path
    hasher: hashlib._Hash = msgspec.field(default_factory=hashlib.sha256)
    size: int = 0

    def write(self, data: bytes) -> None:
        with explained(self.folder):
            self.stream.write(data)
        self.hasher.update(data)
        self.size += len(data)

    def restart(self) -> None:
        self.stream.seek(0)
        self.stream.truncate()
        self.hasher, self.size = hashlib.sha256(), 0

    def commit(self, size: int, digest: str) -> str:
        found = Digest.finished(self.hasher)
        if digest not in ("", str(found)) or size not in (0, self.size):
            announced, sent = apart(size, self.size)
            raise IntegrityError(
                f"the engine announced {digest or 'a blob'} of {announced}, but sent"
                f" {found} of {sent}"
            )
        with explained(self.folder):
            self.stream.flush()
            os.fchmod(self.stream.fileno(), 0o644)
            os.fsync(self.stream.fileno())
            os.replace(self.temporary, self.folder / found.hex)
        return str(found)


class LocalCaches(msgspec.Struct, frozen=True, kw_only=True):
    """What a build's caches mean here.

    imports, exports: as the engine gets them, imports with the digest that their tag has
    stores:   what the session offers for them
    missing:  imports that do not exist yet; not an error, because the first build has none
    """

    imports: Sequence[CacheOptionsEntry]
    exports: Sequence[CacheOptionsEntry]
    stores: Mapping[str, ContentStore]
    missing: Sequence[str]

    def finish(self, response: Mapping[str, str], cancel: CancelToken) -> None:
        """After the build: let each folder's tag lead to the cache that was written."""
        if not (written := response.get(_MANIFEST)):
            return
        try:
            descriptor = _DESCRIPTOR_DECODER.decode(written)
        except msgspec.DecodeError as error:
            raise HomeportError(
                f"the engine's descriptor of the cache is invalid: {error}"
            ) from error
        for entry in self.exports:
            if entry.type == "local":
                tag = entry.attrs.get("tag", DEFAULT_TAG)
                set_tag(Path(entry.attrs["dest"]), tag, descriptor, cancel)


def local_caches(
    imports: Sequence[CacheOptionsEntry], exports: Sequence[CacheOptionsEntry]
) -> LocalCaches:
    """Look into folders to read, and make those to write. Raises ``UsageError``."""
    stores: dict[str, ContentStore] = {}
    known, missing = [], []
    for entry in imports:
        if entry.type != "local":
            known.append(entry)
            continue
        root = Path(_place(entry, "src", "--cache-from"))
        digest = entry.attrs.get("digest") or _tagged(root, entry.attrs.get("tag", DEFAULT_TAG))
        if not digest or CacheFolder(root).find(digest) is None:
            missing.append(str(root))
            continue
        stores[f"local:{entry.attrs['src']}"] = CacheFolder(root)
        known.append(CacheOptionsEntry(type="local", attrs={**entry.attrs, "digest": digest}))
    for entry in exports:
        if entry.type == "local":
            root = Path(_place(entry, "dest", "--cache-to"))
            with open_layout(root):
                pass
            stores[f"local:{entry.attrs['dest']}"] = CacheFolder(root)
    return LocalCaches(imports=known, exports=exports, stores=stores, missing=missing)


def _place(entry: CacheOptionsEntry, key: str, option: str) -> str:
    place = entry.attrs.get(key, "")
    if not place:
        raise UsageError(f"{option} type=local has no {key}", hint=f"type=local,{key}=DIR")
    return place


def _tagged(root: Path, tag: str) -> str:
    """The digest that a layout's tag leads to; nothing if there is no layout or no such tag."""
    files = DirectoryFiles(root)
    if not root.is_dir() or files.size("index.json") is None:
        return ""
    _, index = read_index(files)
    found = [each for each in index.manifests if each.annotations.get(REF_NAME) == tag]
    return found[0].digest if found else ""
