"""Manifests, indexes and configs as a registry sends them."""

from __future__ import annotations

from builders.images import everything, image, index
from homeport.errors import HomeportError
from homeport.oci import media_types
from homeport.oci.documents import read_config, read_manifest_or_index

EXPECTED = (HomeportError,)
MAX_LENGTH = 16 << 10


def fuzz_one(data: bytes) -> None:
    """Read the bytes as each kind of document."""
    for media_type in ("", media_types.OCI_MANIFEST, media_types.OCI_INDEX, "text/html"):
        try:
            found = read_manifest_or_index(data, media_type)
        except EXPECTED:
            continue
        assert found.raw == data
    read_config(data, media_types.OCI_CONFIG)


def seeds() -> list[bytes]:
    """The documents of a small image and of an index, Docker's too."""
    found = [*everything(index([image()])).values(), *everything(index(docker=True)).values()]
    return [data for data in dict.fromkeys(found) if data.startswith(b"{")]
