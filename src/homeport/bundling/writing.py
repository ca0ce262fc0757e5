"""Writing a bundle: images with all that is attached to them, and what rebuilding them needs.

Gathered in a layout beside the file, then written as one archive.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from homeport.attest.attached.base import Attached
from homeport.attest.attached.carrying import carry
from homeport.attest.attached.layout import LayoutAttached
from homeport.attest.attached.select import RegistryMaker, open_attached
from homeport.building.rebuild import NoRebuildKit, open_kit
from homeport.building.request import Connections
from homeport.bundling.artifacts import named_layer
from homeport.bundling.contents import contents_artifact
from homeport.bundling.gathering_sources import gather_sources, sources_artifact
from homeport.bundling.model import (
    CONTENTS_NAME,
    FILE_LAYER,
    FILES,
    FILES_NAME,
    PACKAGE_LAYER,
    PACKAGES,
    BundledImage,
    BundleResult,
)
from homeport.content.blob import Blob, BytesBlob
from homeport.content.digest import Digest
from homeport.content.files import explained, read_input
from homeport.debian.package import PackageFile
from homeport.errors import UsageError
from homeport.images.address import LayoutAddress, RegistryAddress, parse_source
from homeport.images.artifact import artifact
from homeport.images.image import Image, Index, walk
from homeport.images.storage.archive_writer import write_layout_archive
from homeport.images.storage.files import DirectoryFiles, FilesBlob
from homeport.images.storage.layout import INDEX_FILE, blob_name
from homeport.images.transports.oci_layout import OciLayout
from homeport.locking.fetching import fetch_locked
from homeport.oci.platform import parse_platform
from homeport.recipe.lock.reading import read_lockfile
from homeport.runtime import Runtime

#: Bytes of one further file: the security tracker's data are the largest.
_FILE_LIMIT = 256 << 20


#: Signs the list of contents in the layout; gives the signer's name.
Sign = Callable[[Image, Attached], str]


class BundleAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What writing needs from ``homeport.app``. sign: ``None`` leaves the list unsigned."""

    registry: RegistryMaker
    connections: Connections
    runtime: Runtime
    sign: Sign | None = None


def write_bundle(
    images: Sequence[str], file: Path, files: Sequence[Path], access: BundleAccess, *,
    mirrors: tuple[str, ...] = (), trust_kit: bool = False, sources: bool | None = None,
) -> BundleResult:  # fmt: skip
    """Write ``images`` and all that belongs to them to ``file``.

    files:     to take along: keys, a trusted root, a policy, data of the security tracker, wheels
    trust_kit: fetch packages from archives that a rebuild kit brings itself
    sources:   of the packages, too: all of them, none, or (``None``) those that archives have
    """
    fetching = _Fetching(access=access, mirrors=mirrors, trust_kit=trust_kit, sources=sources)
    names = [each.name for each in files]
    if len(set(names)) != len(names):
        raise UsageError(f"two files have the same name: {', '.join(sorted(names))}")
    with explained(file.parent), tempfile.TemporaryDirectory(
        dir=file.parent, prefix=f".{file.name}-"
    ) as folder:  # fmt: skip
        layout = Path(folder) / "layout"
        taken = tuple(_take(image, layout, fetching) for image in images)
        if files:
            address = LayoutAddress(path=layout, tag=FILES_NAME)
            OciLayout(address).write(_files(files), access.runtime)
        signer = _list_contents(layout, access)
        _archive(layout, file, access.runtime)
    return BundleResult(
        file=str(file), size=file.stat().st_size, images=taken, files=tuple(names), signer=signer
    )


def _list_contents(layout: Path, access: BundleAccess) -> str:
    """Add the list of everything that is in the layout, and sign it; the signer's name."""
    contents = contents_artifact(layout)
    address = LayoutAddress(path=layout, tag=CONTENTS_NAME)
    OciLayout(address).write(contents, access.runtime)
    if access.sign is None:
        return ""
    return access.sign(contents, LayoutAttached(address, access.runtime))


class _Fetching(msgspec.Struct, frozen=True, kw_only=True):
    """How packages are fetched, and which sources (see ``write_bundle``)."""

    access: BundleAccess
    mirrors: tuple[str, ...]
    trust_kit: bool
    sources: bool | None


def _take(image: str, layout: Path, fetching: _Fetching) -> BundledImage:
    access = fetching.access
    address = parse_source(image)
    if not isinstance(address, RegistryAddress) or address.reference.digest is not None:
        raise UsageError(
            f"{image}: a bundle holds images of registries by their tags",
            hint="homeport push it first, or name a tag",
        )
    name = str(address.reference)
    with open_attached(address, access.registry, access.runtime) as (value, attached):
        target = LayoutAddress(path=layout, tag=name)
        OciLayout(target).write(value, access.runtime)
        bundled = LayoutAttached(target, access.runtime)
        count = carry([node.digest for node in walk(value)], attached, bundled)
        found = BundledImage(name=name, digest=str(value.digest), attached=count)
        if isinstance(value, Index):
            return _with_packages(found, value, attached, bundled, fetching)
        return found


def _with_packages(
    found: BundledImage, value: Index, attached: Attached, bundled: LayoutAttached,
    fetching: _Fetching,
) -> BundledImage:  # fmt: skip
    """Write the packages that the image's rebuild kit locks, and their sources."""
    runtime = fetching.access.runtime
    try:
        with open_kit(
            found.name, value, attached, runtime, mirrors=fetching.mirrors,
            trust_kit=fetching.trust_kit,
        ) as kit, runtime.store.lease():  # fmt: skip
            lockfile = read_lockfile(kit.lockfile)
            assert lockfile is not None, "the kit was checked"
            platforms = [parse_platform(text) for text in kit.description.platforms]
            archives = fetching.access.connections.archives(kit.recipe, fetching.mirrors)
            debs = fetch_locked(lockfile, platforms, archives)
            bundled.write_referrers([_packages_artifact(value, debs)] if debs else [])
            found = msgspec.structs.replace(found, packages=len(debs))
            if fetching.sources is False:
                return found
            gathered = gather_sources(
                found.name, kit, lockfile, archives, required=bool(fetching.sources)
            )
            if gathered.sources:
                bundled.write_referrers([sources_artifact(value.document.descriptor(), gathered)])
            return msgspec.structs.replace(found, sources=gathered.summary)
    except NoRebuildKit:
        runtime.progress.note(
            "bundle", f"warning: {found.name} has no rebuild kit: its packages are left out"
        )
        return found


def _packages_artifact(index: Index, debs: dict[PackageFile, Blob]) -> Image:
    layers = {
        blob.digest: named_layer(blob, PACKAGE_LAYER, file.path.rpartition("/")[2])
        for file, blob in sorted(debs.items(), key=lambda item: str(item[1].digest))
    }
    return artifact(PACKAGES, list(layers.values()), index.document.descriptor())


def _files(files: Sequence[Path]) -> Image:
    layers = []
    for path in sorted(files, key=lambda each: each.name):
        blob = BytesBlob(read_input(path, _FILE_LIMIT))
        layers.append(named_layer(blob, FILE_LAYER, path.name))
    return artifact(FILES, layers, None)


def _archive(layout: Path, file: Path, runtime: Runtime) -> None:
    """The layout as one archive."""
    found = DirectoryFiles(layout)
    parts: dict[Digest, Blob] = {}
    for path in sorted((layout / "blobs" / "sha256").iterdir()):
        digest = Digest.parse(f"sha256:{path.name}")
        parts[digest] = FilesBlob(found, blob_name(digest), digest, path.stat().st_size)
    documents = {INDEX_FILE: (layout / INDEX_FILE).read_bytes()}
    write_layout_archive(file, parts, documents, runtime)
