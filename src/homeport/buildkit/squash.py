"""An image from an engine that exports none: its files as one layer, its config as it fields.

Every dockerd without the containerd store is such an engine. The config is the frontend's,
with what it does not know (layers, history) replaced; an annotation says what was done.
"""

from __future__ import annotations

from typing import Any

import msgspec

from homeport.content.blob import BytesBlob
from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.errors import HomeportError
from homeport.images.image import Image
from homeport.oci import documents, media_types
from homeport.oci.documents import Descriptor, Manifest
from homeport.oci.platform import Platform
from homeport.progress import CancelToken
from homeport.tree.compression import make_encoder
from homeport.tree.layer_writer import write_layer
from homeport.tree.node import Tree

SQUASHED = "dev.homeport.squashed"
_CONFIG_LIMIT = 4 << 20


class BadResult(HomeportError):
    """The engine's description of the result is unusable."""

    id = "bad-result"


def squashed_image(
    tree: Tree, config: bytes, platform: Platform, store: Store, cancel: CancelToken
) -> Image:
    """The image of one platform. ``config`` may be empty: LLB has none."""
    layer = write_layer(tree, make_encoder("gzip"), store, cancel)
    fields = _read(config)
    fields.setdefault("architecture", platform.architecture)
    fields.setdefault("os", platform.os)
    if platform.variant:
        fields.setdefault("variant", platform.variant)
    fields["rootfs"] = {"type": "layers", "diff_ids": [str(layer.diff_id)]}
    history = fields.get("history")
    last = history[-1] if isinstance(history, list) and history else {}
    created = fields.get("created") or (last.get("created") if isinstance(last, dict) else None)
    fields["history"] = [
        {"created_by": "homeport solve (squashed)", **({"created": created} if created else {})}
    ]
    raw = msgspec.json.encode(fields, order="sorted")
    document = documents.read_config(raw, media_types.OCI_CONFIG, Digest.of(raw))
    manifest = Manifest(
        schema_version=2,
        media_type=media_types.OCI_MANIFEST,
        config=document.descriptor(),
        layers=(
            Descriptor(
                media_type=media_types.OCI_LAYER_GZIP, digest=str(layer.digest), size=layer.size
            ),
        ),
        annotations={SQUASHED: "one layer, because the engine has no OCI exporter"},
    )
    return Image(
        document=documents.written(manifest, media_types.OCI_MANIFEST),
        blobs={document.digest: BytesBlob(raw), layer.digest: layer.blob},
        platform=document.parsed.platform,
    )


def _read(config: bytes) -> dict[str, Any]:
    if len(config) > _CONFIG_LIMIT:
        raise BadResult("the engine's image config is larger than 4 MiB")
    if not config:
        return {}
    try:
        return msgspec.json.decode(config, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadResult(f"the engine's image config is not a JSON object: {error}") from error
