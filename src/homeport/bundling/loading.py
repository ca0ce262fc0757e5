"""Loading a bundle into a registry: everything is verified, offline, before anything is written."""

from __future__ import annotations

from pathlib import Path

from homeport.attest.attached.carrying import carry
from homeport.attest.attached.layout import LayoutAttached
from homeport.attest.attached.registry import RegistryAttached
from homeport.bundling.checking_sources import check_sources
from homeport.bundling.model import LoadedImage, LoadResult
from homeport.bundling.opening import LoadAccess, image_names, included_files, verified_contents
from homeport.content.blob import read_verified
from homeport.content.files import explained, write_file
from homeport.images.address import LayoutAddress, RegistryAddress, parse_destination
from homeport.images.image import walk
from homeport.images.storage.archive_files import open_archive
from homeport.images.storage.files import Files
from homeport.images.storage.layout import open_in_layout
from homeport.oci.reference import Reference

_FILE_LIMIT = 256 << 20


def load_bundle(
    file: Path, registry: str, access: LoadAccess, *, files_to: Path | None = None
) -> LoadResult:
    """Verify every image of a bundle, then write them below ``registry``.

    files_to: the directory to write the bundle's keys, policies and the like to
    """
    with open_archive(file, access.runtime) as files:
        attached = LayoutAttached(LayoutAddress(path=file), access.runtime, files)
        contents, signers = verified_contents(files, attached, access)
        images = _images(files, registry)
        opened = [(name, to, open_in_layout(files, str(name))) for name, to in images]
        decisions = [access.decide(value, attached, name) for name, _, value in opened]
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
    return LoadResult(
        file=str(file), images=tuple(loaded), files=written, contents=contents, signers=signers
    )


def _images(files: Files, registry: str) -> list[tuple[Reference, RegistryAddress]]:
    """The images of the bundle, each with its place in the registry."""
    found = []
    for name in image_names(files):
        to = parse_destination(f"docker://{registry}/{name.repository}:{name.tag}")
        assert isinstance(to, RegistryAddress)
        found.append((name, to))
    return found


def _write_files(files: Files, folder: Path) -> tuple[str, ...]:
    written = []
    for name, blob in included_files(files):
        data = read_verified(blob, _FILE_LIMIT, name)
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / name, data)
        written.append(str(folder / name))
    return tuple(written)
