"""Everything that an image or index consists of, as blobs: what a copy has to move."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.images.image import Image, Index, digest_of, walk


@dataclass(frozen=True, slots=True)
class DocumentBlob:
    """The received bytes of a manifest or index."""

    data: bytes
    digest: Digest

    @property
    def size(self) -> int:
        return len(self.data)

    def open(self, offset: int = 0) -> BinaryIO:
        return io.BytesIO(self.data[offset:])

    def local_path(self) -> Path | None:
        return None


def all_parts(value: Image | Index) -> dict[Digest, Blob]:
    """Blobs and documents by digest, each once, parts before what names them.

    Foreign layers that their place does not hold are left out. Opens every manifest.
    """
    found: dict[Digest, Blob] = {}
    for node in walk(value):
        if isinstance(node, Image):
            for descriptor in node.parts():
                digest = digest_of(descriptor)
                if digest in node.blobs:
                    found.setdefault(digest, node.blobs[digest])
        found[node.digest] = DocumentBlob(node.document.raw, node.digest)
    return found
