"""What an image is made of, as one digest: the Dockerfile, the build context, bases, platforms.

The digest is a label of the built image; an image is published when the registry's tag has it.
Parents of the tree count by their own inputs, so that it is known before anything is built.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from homeport.buildkit.dockerfile import context_offer
from homeport.buildkit.protocol import go_filemode
from homeport.buildkit.session.context_folder import Filters, Folder
from homeport.dockerpkg.tree import SourceImage
from homeport.oci.platform import Platform
from homeport.progress import CancelToken

#: The label of built images with the digest of their inputs.
INPUTS_LABEL = "dev.homeport.docker-pkg.inputs"
_CHUNK = 1 << 20


def inputs_digest(
    image: SourceImage,
    dockerfile: str,
    *,
    platforms: Sequence[Platform],
    parents: Mapping[str, str],
    bases: Mapping[str, str],
    cancel: CancelToken,
) -> str:
    """``sha256:…`` of everything that decides the image.

    dockerfile: rendered; empty for a recipe, which is a file of the context
    parents:    images of the tree → their inputs
    bases:      other images → their digests; empty where it is not known
    """
    digest = hashlib.sha256(b"docker-pkg inputs 1\n")
    document = {
        "dockerfile": dockerfile,
        "platforms": [str(platform) for platform in platforms],
        "parents": dict(sorted(parents.items())),
        "bases": dict(sorted(bases.items())),
    }
    digest.update(msgspec.json.encode(document) + b"\n")
    for line in _context(image, cancel):
        digest.update(line)
    return f"sha256:{digest.hexdigest()}"


def _context(image: SourceImage, cancel: CancelToken) -> Iterator[bytes]:
    """A line for each file that an engine would be sent."""
    folder = Folder.open(context_offer(image.path))
    try:
        for entry in folder.entries(Filters()):
            cancel.check()
            name = msgspec.json.encode(os.fsdecode(entry.path))
            content = entry.linkname.hex()
            if not entry.mode & go_filemode.TYPES and not content:
                content = _hashed(folder.open_file(entry.path), cancel)
            yield b"%s %o %s\n" % (name, entry.mode, content.encode())
    finally:
        folder.close()


def _hashed(descriptor: int, cancel: CancelToken) -> str:
    digest = hashlib.sha256()
    with os.fdopen(descriptor, "rb") as stream:
        while data := stream.read(_CHUNK):
            cancel.check()
            digest.update(data)
    return digest.hexdigest()
