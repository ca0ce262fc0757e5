"""Everything that an image or index consists of, as blobs: what a copy has to move."""

from __future__ import annotations

from collections.abc import Iterable

from homeport.content.blob import Blob, BytesBlob
from homeport.content.digest import Digest
from homeport.images.image import Image, Index, digest_of, walk
from homeport.oci.documents import Descriptor


def all_blobs(value: Image | Index) -> dict[Digest, Blob]:
    """Blobs and documents by digest, each once, parts before what names them.

    Non-distributable layers that their place does not hold are left out. Opens every manifest.
    """
    found: dict[Digest, Blob] = {}
    for node in walk(value):
        for digest, blob in blobs_of([node]).items():
            found.setdefault(digest, blob)
        found[node.digest] = BytesBlob(node.document.raw, node.digest.algorithm)
    return found


def blobs_of(nodes: Iterable[Image | Index]) -> dict[Digest, Blob]:
    """Configs and layers of the images among ``nodes``, by digest, each once."""
    found: dict[Digest, Blob] = {}
    for node in nodes:
        if not isinstance(node, Image):
            continue
        for descriptor in node.content():
            digest = digest_of(descriptor)
            if digest in node.blobs:
                found.setdefault(digest, node.blobs[digest])
    return found


def nondistributable_left_out(value: Image | Index) -> list[Descriptor]:
    """The layers that ``value`` only refers to (``images.nondistributable``). Opens manifests."""
    found: dict[str, Descriptor] = {}
    for image in walk(value):
        if isinstance(image, Image) and image.nondistributable:
            for descriptor in image.content():
                digest = digest_of(descriptor)
                if digest in image.nondistributable and digest not in image.blobs:
                    found[descriptor.digest] = descriptor
    return list(found.values())
