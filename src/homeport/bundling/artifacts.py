"""Artifacts that only bundles have, as images that the writers of layouts take."""

from __future__ import annotations

from collections.abc import Sequence

from homeport.bundling.model import TITLE
from homeport.content.blob import Blob, BytesBlob
from homeport.content.digest import Digest
from homeport.images.image import Image
from homeport.oci import media_types
from homeport.oci.documents import Descriptor, Manifest, written


def layer(blob: Blob, media_type: str, title: str) -> tuple[Descriptor, Blob]:
    """A layer with the name of its file."""
    descriptor = Descriptor(
        media_type=media_type, digest=str(blob.digest), size=blob.size, annotations={TITLE: title}
    )
    return descriptor, blob


def artifact(
    artifact_type: str, layers: Sequence[tuple[Descriptor, Blob]], subject: Descriptor | None
) -> Image:
    """An artifact manifest (OCI image specification, "artifact usage")."""
    empty = BytesBlob(b"{}")
    manifest = Manifest(
        schema_version=2,
        media_type=media_types.OCI_MANIFEST,
        artifact_type=artifact_type,
        config=Descriptor(
            media_type=media_types.OCI_EMPTY, digest=str(empty.digest), size=empty.size
        ),
        layers=tuple(descriptor for descriptor, _ in layers),
        subject=subject,
    )
    blobs: dict[Digest, Blob] = {empty.digest: empty, **{one.digest: one for _, one in layers}}
    return Image(document=written(manifest, media_types.OCI_MANIFEST), blobs=blobs)
