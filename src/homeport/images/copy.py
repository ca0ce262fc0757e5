"""Copying an image from one address to another.

What is not changed is sent as it was received. What comes from a registry is fetched in
parallel. Not for building or changing images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from homeport.content.blob import Blob
from homeport.errors import HomeportError
from homeport.images.address import Address, EngineAddress, LayoutAddress, RegistryAddress
from homeport.images.image import Image, Index, Missing
from homeport.images.platforms import (
    artifacts_for,
    images_for,
    nearest,
    platforms_of,
    select,
)
from homeport.images.transports.base import Destination, NamedDestination, Source, Written
from homeport.images.transports.registry import RegistryTransport, open_manifests, prefetch
from homeport.oci.platform import Platform
from homeport.oci.reference import BadReference, parse_reference
from homeport.printable import printable
from homeport.quantities import counted
from homeport.runtime import Runtime

#: Verifies the image that an address leads to before anything of it is written; raises if it must
#: not be copied, and returns the verdict in a word.
Verify = Callable[[Image | Index], str]

#: What is done with an image before anything of it travels (``nondistributable``).
Prepare = Callable[[Image | Index], Image | Index]


def unchanged(value: Image | Index) -> Image | Index:
    """The image as it is."""
    return value


def copy(
    source: Source,
    destination: Destination,
    runtime: Runtime,
    *,
    platforms: Sequence[Platform] | None = None,
    prepare: Prepare = unchanged,
) -> Written:
    """Copy the image at ``source`` to ``destination``; ``platforms`` as for ``select``.

    Every manifest and blob is verified on its way. Safe to run again after any failure.
    """
    network = runtime.pools.network
    try:
        with source.open(runtime) as value:
            chosen = select(value, platforms)
            tell_of_others(value, chosen, platforms, runtime)
            if isinstance(source, RegistryTransport):
                open_manifests(chosen, network)
            chosen = prepare(chosen)
            if not isinstance(destination, RegistryTransport):
                prefetch(chosen, network, wanted=_missing_in(destination.address))
            if isinstance(destination, NamedDestination):
                destination.name = _name(source.address)
            return destination.write(chosen, runtime)
    except Missing as error:
        if platforms is None:
            error.hint = error.hint or (
                "if only some platforms are there, choose one, such as --platform native"
            )
        error.at(source=str(source.address), destination=str(destination.address))
        raise
    except HomeportError as error:
        error.at(source=str(source.address), destination=str(destination.address))
        raise


def _name(source: Address) -> str:
    """The name under which an image is known where it comes from, if it has one with a tag."""
    name = ""
    if isinstance(source, RegistryAddress):
        name = str(msgspec.structs.replace(source.reference, digest=None))
    elif isinstance(source, EngineAddress):
        name = source.name
    try:
        return name if name and parse_reference(name, default_tag="").tag else ""
    except BadReference:  # an image id
        return ""


def tell_of_others(
    value: Image | Index,
    chosen: Image | Index,
    platforms: Sequence[Platform] | None,
    runtime: Runtime,
) -> None:
    """Name what is for the chosen platform, too, and is left out: other images, artifacts.

    Where an older variant stands in for a platform, that is named as well.
    """
    tell_of_variants(value, platforms or (), runtime)
    if not platforms or len(platforms) > 1 or value.digest == chosen.digest:
        return
    others = dict.fromkeys(one.descriptor.digest for one in images_for(value, platforms[0]))
    others.pop(str(chosen.digest), None)
    if others:
        count = counted(len(others), "other image")
        runtime.progress.note(
            "platforms",
            f"warning: {count} for {platforms[0]} left out: {', '.join(others)}; took the first, "
            f"{chosen.digest}",
        )
    for one in artifacts_for(value, platforms):
        runtime.progress.note(
            "platforms",
            f"warning: {platforms[0]}: left out {one.descriptor.digest}, an artifact of the type "
            f"{printable(one.descriptor.artifact_type)}; several platforms, or all, keep it",
        )


def tell_of_variants(value: Image | Index, platforms: Sequence[Platform], runtime: Runtime) -> None:
    """Name each platform that has no image of its own, and the older variant taken for it."""
    there = platforms_of(value) if platforms else []
    for wanted in platforms:
        if (found := nearest(wanted, there)) != wanted:
            text = f"no image for {wanted}: took {found}, which it runs"
            runtime.progress.note("platforms", text)


def _missing_in(destination: Address) -> Callable[[Blob], bool]:
    """Whether a layout at the destination lacks a blob, so that it must be fetched."""
    if not isinstance(destination, LayoutAddress):
        return lambda _blob: True
    folder = destination.path / "blobs"

    def missing(blob: Blob) -> bool:
        try:
            return (folder / blob.digest.algorithm / blob.digest.hex).stat().st_size != blob.size
        except OSError:
            return True

    return missing
