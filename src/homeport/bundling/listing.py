"""What is in a bundle, for people who got one."""

from __future__ import annotations

from pathlib import Path

from homeport.attest.attached.carrying import attached_to
from homeport.attest.attached.layout import LayoutAttached
from homeport.bundling.checking_sources import check_sources
from homeport.bundling.model import PACKAGES, SOURCES, BundledImage, ListResult
from homeport.bundling.opening import (
    LoadAccess,
    image_names,
    included_files,
    verified_contents,
)
from homeport.images.address import LayoutAddress
from homeport.images.image import walk
from homeport.images.storage.archive_files import open_archive
from homeport.images.storage.layout import open_in_layout


def list_bundle(file: Path, access: LoadAccess) -> ListResult:
    """What is in a bundle; everything is verified as before loading, but for the images' policy."""
    with open_archive(file, access.runtime) as files:
        attached = LayoutAttached(LayoutAddress(path=file), access.runtime, files)
        contents, signers = verified_contents(files, attached, access)
        images = []
        for name in image_names(files):
            value = open_in_layout(files, str(name))
            found = attached_to([node.digest for node in walk(value)], attached)
            own = {PACKAGES: 0, SOURCES: 0}
            for one in found:
                kind = one.document.parsed.artifact_type
                if kind in own:
                    own[kind] += len(one.document.parsed.layers)
            images.append(
                BundledImage(
                    name=str(name), digest=str(value.digest),
                    attached=sum(one.document.parsed.artifact_type not in own for one in found),
                    packages=own[PACKAGES],
                    sources=check_sources(str(name), value, attached, access.runtime),
                )
            )  # fmt: skip
        names = tuple(name for name, _ in included_files(files))
        size = file.stat().st_size
    return ListResult(
        file=str(file), size=size, images=tuple(images), files=names, contents=contents,
        signers=signers,
    )  # fmt: skip
