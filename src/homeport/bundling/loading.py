"""Loading a bundle into a registry: everything is verified, offline, before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from homeport.attest.attached.base import Attached
from homeport.attest.attached.carrying import carry
from homeport.attest.attached.layout import LayoutAttached
from homeport.attest.attached.registry import RegistryAttached
from homeport.attest.attached.select import RegistryMaker
from homeport.bundling.checking_sources import check_sources
from homeport.bundling.model import FILES, FILES_NAME, TITLE, BadBundle, LoadedImage, LoadResult
from homeport.content.blob import verified
from homeport.content.files import explained, write_file
from homeport.content.reading import read_bounded
from homeport.errors import UsageError
from homeport.images.address import LayoutAddress, RegistryAddress, parse_destination
from homeport.images.image import Image, Index, digest_of, walk
from homeport.images.referring import COSIGN_ENDINGS
from homeport.images.storage.archive_files import open_archive
from homeport.images.storage.files import Files
from homeport.images.storage.layout import open_in_layout, read_index, tags_of
from homeport.oci.reference import Reference, parse_reference
from homeport.printable import printable
from homeport.runtime import Runtime

_FILE_LIMIT = 256 << 20

#: The policy's decision about an image under its own name; raises if it must not be loaded.
Decide = Callable[[Image | Index, Attached, Reference], str]


class LoadAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What loading needs from ``homeport.app``."""

    registry: RegistryMaker
    decide: Decide
    runtime: Runtime


def load_bundle(
    file: Path, registry: str, access: LoadAccess, *, files_to: Path | None = None
) -> LoadResult:
    """Verify every image of a bundle, then write them below ``registry``.

    files_to: the directory to write the bundle's keys, policies and the like to
    """
    with open_archive(file, access.runtime) as files:
        images = _images(files, file, registry)
        attached = LayoutAttached(LayoutAddress(path=file), access.runtime, files)
        opened = [(name, to, open_in_layout(files, str(name))) for name, to in images]
        decisions = [access.decide(value, attached, name) for name, _, value in opened]
        for _, _, value in opened:
            _check_blobs(value, access.runtime)
        sources = [check_sources(str(name), one, attached, access.runtime)
                   for name, _, one in opened]  # fmt: skip
        loaded = []
        for (name, to, value), decision, source in zip(opened, decisions, sources, strict=True):
            transport = access.registry(to)
            transport.write(value, access.runtime)
            target = RegistryAttached(transport, access.runtime)
            carry([node.digest for node in walk(value)], attached, target)
            loaded.append(
                LoadedImage(
                    name=str(name),
                    to=str(to.reference),
                    digest=str(value.digest),
                    decision=decision,
                    sources=source,
                )
            )
        written = _write_files(files, files_to) if files_to is not None else ()
    return LoadResult(file=str(file), images=tuple(loaded), files=written)


def _images(files: Files, file: Path, registry: str) -> list[tuple[Reference, RegistryAddress]]:
    """The images of the bundle, each with its place in the registry."""
    _, index = read_index(files)
    names = [
        tag for tag in tags_of(index)
        if tag != FILES_NAME and not (tag.startswith("sha256-") and tag.endswith(COSIGN_ENDINGS))
    ]  # fmt: skip
    found = []
    for text in names:
        name = parse_reference(text)
        if str(name) != text:
            raise BadBundle(f"{file} is not a bundle: it names an image {printable(text)}")
        to = parse_destination(f"docker://{registry}/{name.repository}:{name.tag}")
        assert isinstance(to, RegistryAddress)
        found.append((name, to))
    if not found:
        raise UsageError(f"{file} holds no image", hint="homeport bundle IMAGE -o FILE makes one")
    return found


def _check_blobs(value: Image | Index, runtime: Runtime) -> None:
    """Read everything once, so that a damaged bundle is found before a registry has half of it."""
    for node in walk(value):
        if not isinstance(node, Image):
            continue
        for blob in node.blobs.values():
            with verified(blob, "a blob of the bundle") as stream:
                while stream.read(1 << 20):
                    runtime.cancel.check()


def _write_files(files: Files, folder: Path) -> tuple[str, ...]:
    _, index = read_index(files)
    if FILES_NAME not in tags_of(index):
        return ()
    value = open_in_layout(files, FILES_NAME)
    if not isinstance(value, Image) or value.document.parsed.artifact_type != FILES:
        raise BadBundle(f"{files.place}: {FILES_NAME} is not what it should be")
    written = []
    for layer in value.document.parsed.layers:
        name = layer.annotations.get(TITLE, "")
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise BadBundle(f"{files.place}: a file has the name {printable(name)!r}")
        with verified(value.blobs[digest_of(layer)], name) as stream:
            data = read_bounded(stream, _FILE_LIMIT, name)
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / name, data)
        written.append(str(folder / name))
    return tuple(written)
