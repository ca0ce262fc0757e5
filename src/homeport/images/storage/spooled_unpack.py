"""A compressed layer as a plain file, for readers that do not know its codec."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from homeport.content.blob import Blob, FileBlob, verified
from homeport.content.digest import Digest
from homeport.content.files import explained
from homeport.content.reading import CHUNK
from homeport.errors import TooLarge
from homeport.images.storage.archive_files import SPOOL_LIMIT
from homeport.quantities import human_size
from homeport.runtime import Runtime
from homeport.tree.decompression import decompressed


def decompressed_layer(blob: Blob, folder: Path, runtime: Runtime) -> FileBlob:
    """What the layer decompresses to, as a file in ``folder``; the layer is verified.

    Raises ``IntegrityError``, ``TooLarge``, ``CannotWrite``.
    """
    hasher = hashlib.sha256()
    path = folder / blob.digest.hex
    what = f"the layer {blob.digest}"
    size = 0
    source = decompressed(verified(blob, "the layer"), what)
    with contextlib.closing(source), explained(path), path.open("xb") as out:
        while chunk := source.read(CHUNK):
            runtime.cancel.check()
            out.write(chunk)
            hasher.update(chunk)
            size += len(chunk)
            if size > SPOOL_LIMIT:
                raise TooLarge(f"{what} decompresses to more than {human_size(SPOOL_LIMIT)}")
    return FileBlob(path, Digest.finished(hasher), size)
