"""What a bundle holds, once it is verified: offline, and before anything else is done with it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from homeport.attest.attached.base import Attached
from homeport.attest.attached.select import RegistryMaker
from homeport.bundling.contents import check_blobs, check_contents, open_contents_list
from homeport.bundling.model import CONTENTS_NAME, FILES, FILES_NAME, TITLE, BadBundle, Verdict
from homeport.content.blob import Blob
from homeport.errors import UsageError
from homeport.images.image import Image, Index, digest_of
from homeport.images.storage.archive_files import ArchiveFiles
from homeport.images.storage.files import Files
from homeport.images.storage.layout import (
    check_version,
    is_digest_tag,
    open_in_layout,
    read_index,
    tags_of,
)
from homeport.oci.reference import Reference, parse_reference
from homeport.printable import printable
from homeport.runtime import Runtime

#: Whose signatures of a bundle's list of contents (``None``: it has no list) were verified; raises
#: if they are required and are not there.
VerifyContents = Callable[[Image | None, Attached], tuple[str, ...]]
#: The policy's decision about an image under its own name; raises if it must not be loaded.
Decide = Callable[[Image | Index, Attached, Reference], str]


class LoadAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What loading needs from ``homeport.app``."""

    registry: RegistryMaker
    decide: Decide
    verify_contents: VerifyContents
    runtime: Runtime


def verified_contents(
    files: ArchiveFiles, attached: Attached, access: LoadAccess
) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict on the list of contents, once the bundle is what it says and undamaged.

    The signature comes first: nothing else is read of a bundle whose list is not signed.
    """
    check_version(files)
    contents = open_contents_list(files)
    signers = access.verify_contents(contents, attached)
    if contents is not None:
        check_contents(files, contents)
    check_blobs(files, access.runtime)
    if contents is None:
        return "none", ()
    return ("verified" if signers else "unverified"), signers


def image_names(files: Files) -> list[Reference]:
    """The names of the images in a bundle. Raises ``BadBundle``, ``UsageError`` if none is."""
    _, index = read_index(files)
    found = []
    for text in tags_of(index):
        if text in (FILES_NAME, CONTENTS_NAME) or is_digest_tag(text):
            continue
        try:
            name = parse_reference(text)
        except UsageError as error:
            raise BadBundle(f"{files.place} is not a bundle: {error.what}") from error
        if str(name) != text or name.digest is not None:  # a digest would be one that it says
            raise BadBundle(f"{files.place} is not a bundle: it names an image {printable(text)}")
        found.append(name)
    if not found:
        raise UsageError(
            f"{files.place} holds no image", hint="homeport bundle IMAGE -o FILE makes one"
        )
    return found


def included_files(files: Files) -> list[tuple[str, Blob]]:
    """The further files of the bundle by their names. Raises ``BadBundle``."""
    _, index = read_index(files)
    if FILES_NAME not in tags_of(index):
        return []
    value = open_in_layout(files, FILES_NAME)
    if not isinstance(value, Image) or value.document.parsed.artifact_type != FILES:
        raise BadBundle(f"{files.place}: {FILES_NAME} is not what it should be")
    found = []
    for layer in value.document.parsed.layers:
        name = layer.annotations.get(TITLE, "")
        if name in ("", ".", "..") or "/" in name or name != printable(name):
            raise BadBundle(f"{files.place}: a file has the name {printable(name)!r}")
        found.append((name, value.blobs[digest_of(layer)]))
    return found
