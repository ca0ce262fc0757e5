"""Adding what is attached to an image to an OCI archive that was just written.

An archive cannot be changed in place: it is written once more, beside, and renamed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.images.address import ArchiveAddress
from homeport.images.image import Image, open_contents
from homeport.images.image_blobs import all_blobs
from homeport.images.storage.archive_files import open_archive
from homeport.images.storage.archive_writer import write_layout_archive
from homeport.images.storage.layout import INDEX_FILE, REF_NAME, LayoutContents, read_index
from homeport.images.transports.oci_layout import referrer_line
from homeport.runtime import Runtime


def add_to_archive(
    address: ArchiveAddress,
    artifacts: Sequence[Image],
    tagged: Sequence[tuple[str, Image]],
    runtime: Runtime,
) -> None:
    """Write an OCI archive again with artifacts as lines without a tag, and images under tags."""
    with open_archive(address.path, runtime) as files:
        raw, index = read_index(files)
        document: dict[str, Any] = msgspec.json.decode(raw)
        contents = LayoutContents(files)
        parts: dict[Digest, Blob] = {}
        for entry in index.manifests:
            parts |= all_blobs(open_contents(contents, contents.manifest(entry), expected=entry))
        for artifact in artifacts:
            parts |= all_blobs(artifact)
            document["manifests"].append(msgspec.to_builtins(referrer_line(artifact)))
        for tag, value in tagged:
            parts |= all_blobs(value)
            line = msgspec.structs.replace(value.descriptor(), annotations={REF_NAME: tag})
            document["manifests"].append(msgspec.to_builtins(line))
        write_layout_archive(
            address.path, parts, {INDEX_FILE: msgspec.json.encode(document)}, runtime
        )
