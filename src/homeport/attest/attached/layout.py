"""What is attached to images in an OCI layout.

Referrers are further lines of ``index.json``: with the annotation that containerd and buildx use,
or without a name; cosign's tags are names as in a registry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from homeport.attest.attached.base import Tagged, require_artifact
from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.images.address import LayoutAddress
from homeport.images.image import Image, open_contents
from homeport.images.storage.files import DirectoryFiles, Files
from homeport.images.storage.layout import (
    REF_NAME,
    SUBJECT_ANNOTATION,
    LayoutContents,
    read_index,
)
from homeport.images.transports.oci_layout import OciLayout
from homeport.oci import media_types
from homeport.oci.documents import Descriptor, Index, read_manifest_or_index
from homeport.runtime import Runtime


class LayoutAttached:
    """One layout (``base.Attached``)."""

    repository = ""

    def __init__(
        self, address: LayoutAddress, runtime: Runtime, files: Files | None = None
    ) -> None:
        """files: of a layout in an archive, which can only be read"""
        self._address = address
        self.files = files if files is not None else DirectoryFiles(address.path)
        self._contents = LayoutContents(self.files)
        self._runtime = runtime

    def tagged(self, tag: str) -> Tagged | None:
        for entry in self._entries():
            if entry.annotations.get(REF_NAME) == tag:
                return Tagged(raw=self._contents.manifest(entry), media_type=entry.media_type)
        return None

    def referrers(self, subject: Digest) -> list[Descriptor]:
        listed = [entry for entry in self._entries() if _may_refer(entry, subject)]
        # oras and regctl name the list of a registry's fallback tag in a layout, too.
        fallback = self.tagged(f"{subject.algorithm}-{subject.hex}")
        if fallback is not None and fallback.media_type == media_types.OCI_INDEX:
            parsed = read_manifest_or_index(fallback.raw, fallback.media_type).parsed
            if isinstance(parsed, Index):
                listed += (entry for entry in parsed.manifests if entry not in listed)
        return listed

    def manifest(self, descriptor: Descriptor) -> bytes:
        return self._contents.manifest(descriptor)

    def blob(self, descriptor: Descriptor) -> Blob:
        return self._contents.blob(descriptor)

    def write_referrers(self, values: Sequence[Image]) -> None:
        for value in values:
            OciLayout(self._address).write_referrer(value, self._runtime)

    def change_tagged(self, tag: str, change: Callable[[Image | None], Image]) -> None:
        found, current = self.tagged(tag), None
        if found is not None:
            opened = open_contents(self._contents, found.raw, found.media_type)
            current = require_artifact(opened, tag)
        address = msgspec.structs.replace(self._address, tag=tag, digest=None)
        OciLayout(address).write(change(current), self._runtime)

    def _entries(self) -> tuple[Descriptor, ...]:
        _, index = read_index(self.files)
        return index.manifests


def _may_refer(entry: Descriptor, subject: Digest) -> bool:
    """Whether the manifest is worth opening; its own ``subject`` decides."""
    named = entry.annotations.get(SUBJECT_ANNOTATION)
    if named is not None:
        return named == str(subject)
    is_manifest = entry.media_type in media_types.MANIFESTS and entry.platform is None
    return is_manifest and REF_NAME not in entry.annotations
