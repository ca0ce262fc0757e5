"""Artifacts as images that every transport takes: a manifest of layers that are no filesystem.

OCI image specification, "Guidelines for Artifact Usage": the type is in ``artifactType``, the
config is the empty document ``{}``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from homeport.content.blob import Blob, BytesBlob
from homeport.content.digest import Digest
from homeport.images.image import Image
from homeport.oci import media_types
from homeport.oci.documents import Descriptor, Manifest, written

#: A layer's descriptor, and its bytes.
Layer = tuple[Descriptor, Blob]


def artifact_layer(
    blob: Blob, media_type: str, annotations: Mapping[str, str] | None = None
) -> Layer:
    """A layer of an artifact."""
    descriptor = Descriptor(
        media_type=media_type, digest=str(blob.digest), size=blob.size,
        annotations=dict(annotations or {}),
    )  # fmt: skip
    return descriptor, blob


def artifact(
    artifact_type: str, layers: Sequence[Layer], subject: Descriptor | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Image:  # fmt: skip
    """An artifact manifest; ``subject`` is what it refers to."""
    empty = BytesBlob(b"{}")
    manifest = Manifest(
        schema_version=2,
        media_type=media_types.OCI_MANIFEST,
        artifact_type=artifact_type,
        config=Descriptor(
            media_type=media_types.OCI_EMPTY, digest=str(empty.digest), size=empty.size
        ),
        layers=tuple(descriptor for descriptor, _ in layers),
        subject=subject and Descriptor(
            media_type=subject.media_type, digest=subject.digest, size=subject.size
        ),
        annotations=dict(annotations or {}),
    )  # fmt: skip
    blobs: dict[Digest, Blob] = {empty.digest: empty, **{one.digest: one for _, one in layers}}
    return Image(document=written(manifest, media_types.OCI_MANIFEST), blobs=blobs)
