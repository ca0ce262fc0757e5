"""The list of everything in a bundle, which can be signed, and comparing a bundle with it.

It is an artifact of the layout like others, so that it is signed and verified as an image is:
a reader who trusts the signature knows every line of ``index.json`` and every blob by its digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from homeport.attest.attached.collecting import legacy_tag
from homeport.attest.strict_json import Reader
from homeport.bundling.artifacts import named_layer
from homeport.bundling.model import (
    CONTENTS,
    CONTENTS_LIST,
    CONTENTS_NAME,
    CONTENTS_SCHEMA,
    BadBundle,
)
from homeport.content.blob import BytesBlob, read_verified, verified
from homeport.content.digest import Digest
from homeport.content.reading import CHUNK
from homeport.errors import HomeportError, UsageError
from homeport.images.artifact import artifact
from homeport.images.image import Image, digest_of
from homeport.images.referring import COSIGN_ENDINGS
from homeport.images.storage.archive_files import ArchiveFiles
from homeport.images.storage.files import DirectoryFiles, Files, FilesBlob
from homeport.images.storage.layout import (
    INDEX_FILE,
    LAYOUT_FILE,
    REF_NAME,
    SUBJECT_ANNOTATION,
    LayoutContents,
    blob_name,
    open_in_layout,
    read_index,
    tags_of,
)
from homeport.oci.documents import Descriptor, Manifest, read_manifest_or_index
from homeport.printable import printable
from homeport.quantities import human_size
from homeport.runtime import Runtime

_LIMIT = 64 << 20
_BLOBS = "blobs/sha256/"


class _Listed(msgspec.Struct, frozen=True, kw_only=True):
    """``homeport-bundle-contents/v1``.

    manifests: the lines of ``index.json``, without those of the list and its signatures
    blobs:     digest → bytes, of every file below ``blobs/``, without those of these lines
    """

    schema: str = CONTENTS_SCHEMA
    manifests: tuple[dict[str, Any], ...]
    blobs: dict[str, int]


_READER = Reader(_Listed)


def contents_artifact(layout: Path) -> Image:
    """The list of what is in a layout now."""
    files = DirectoryFiles(layout)
    _, index = read_index(files)
    blobs = sorted((layout / _BLOBS).iterdir())
    listed = _Listed(
        manifests=tuple(_line(entry) for entry in index.manifests),
        blobs={f"sha256:{path.name}": path.stat().st_size for path in blobs},
    )
    content = BytesBlob(msgspec.json.encode(listed))
    return artifact(CONTENTS, [named_layer(content, CONTENTS_LIST, "contents.json")], None)


def open_contents_list(files: Files) -> Image | None:
    """The artifact with the list, ``None`` if the bundle has none. Raises ``BadBundle``."""
    _, index = read_index(files)
    if CONTENTS_NAME not in tags_of(index):
        return None
    value = open_in_layout(files, CONTENTS_NAME)
    if not isinstance(value, Image) or value.document.parsed.artifact_type != CONTENTS:
        raise _bad(files, f"{CONTENTS_NAME} is not a list of contents")
    return value


def check_contents(files: ArchiveFiles, contents: Image) -> None:
    """Require that a bundle has exactly what its list says. Raises ``BadBundle``."""
    (first, *_) = (*contents.document.parsed.layers, None)
    if first is None or first.media_type != CONTENTS_LIST:
        raise _bad(files, "its list of contents has no layer")
    raw = read_verified(contents.blobs[digest_of(first)], _LIMIT, "the list of contents")
    listed = _READER.decode(raw, "the list")
    if listed.schema != CONTENTS_SCHEMA:
        raise _bad(files, f"its list of contents has the unknown format {listed.schema!r}")
    _, index = read_index(files)
    own, others = _parted(index.manifests, contents.digest)
    if [_line(entry) for entry in others] != list(listed.manifests):
        raise _bad(files, f"{INDEX_FILE} differs from the signed list of contents")
    there = _blobs(files)
    allowed = dict(_reached(files, own))
    for digest, size in listed.blobs.items():
        if there.get(digest) != size:
            raise _bad(files, f"{digest} of {human_size(size)} is listed and not there")
    for digest in there:
        if digest not in listed.blobs and digest not in allowed:
            raise _bad(files, f"{digest} is there and not listed")


def check_blobs(files: ArchiveFiles, runtime: Runtime) -> int:
    """Read every blob once and compare it with its name; how many bytes it were.

    A damaged bundle is found before a registry has half of it.
    """
    total = 0
    for text, size in _blobs(files).items():
        digest = Digest.parse(text)
        with verified(FilesBlob(files, blob_name(digest), digest, size), text) as stream:
            while data := stream.read(CHUNK):
                runtime.cancel.check()
                total += len(data)
    return total


def _blobs(files: ArchiveFiles) -> dict[str, int]:
    found = {}
    for name in files.names:
        if name in (INDEX_FILE, LAYOUT_FILE):
            continue
        try:
            digest = Digest.parse(f"sha256:{name.removeprefix(_BLOBS)}")
        except UsageError as error:
            raise _bad(files, f"it holds {name!r}") from error
        size = files.size(blob_name(digest))
        if name != blob_name(digest) or size is None:
            raise _bad(files, f"it holds {name!r}")
        found[str(digest)] = size
    return found


def _parted(
    entries: Iterable[Descriptor], contents: Digest
) -> tuple[list[Descriptor], list[Descriptor]]:
    """The lines of the list and its signatures, and all others."""
    tags = {CONTENTS_NAME, *(legacy_tag(contents, ending) for ending in COSIGN_ENDINGS)}
    own: list[Descriptor] = []
    others: list[Descriptor] = []
    for entry in entries:
        is_own = entry.annotations.get(REF_NAME) in tags or entry.annotations.get(
            SUBJECT_ANNOTATION
        ) == str(contents)
        (own if is_own else others).append(entry)
    return own, others


def _reached(files: Files, entries: Sequence[Descriptor]) -> Iterator[tuple[str, int]]:
    """What the list and its signatures consist of; signatures hold no images."""
    for entry in entries:
        yield entry.digest, entry.size
        try:
            raw = LayoutContents(files).manifest(entry)
            parsed = read_manifest_or_index(raw, entry.media_type, digest_of(entry)).parsed
        except HomeportError as error:
            raise _bad(files, error.what) from error
        if isinstance(parsed, Manifest):
            for one in (parsed.config, *parsed.layers):
                yield one.digest, one.size


def _line(entry: Descriptor) -> dict[str, Any]:
    line: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(entry)))
    return line


def _bad(files: Files, why: str) -> BadBundle:
    return BadBundle(f"{files.place} is not the bundle that was written: {printable(why)}")
