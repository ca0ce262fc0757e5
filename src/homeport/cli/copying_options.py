"""What push, pull, mirror and import have in common: platforms, and one copy with its report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.show import counted, human_size
from homeport.errors import UsageError

if TYPE_CHECKING:
    from homeport.app import App
    from homeport.cli.registry_options import RegistryOptions
    from homeport.content.blob import Blob
    from homeport.images.address import Address
    from homeport.images.image import Image, Index
    from homeport.images.transports.base import Destination, Source, Written
    from homeport.oci.platform import Platform

platform_option = click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="OS/ARCH[/VARIANT]",
    envvar="HOMEPORT_PLATFORM",
    help="Only this platform, or several separated by commas; 'native' is this machine's."
    " Repeatable.  [default: all, byte for byte]",
)


foreign_option = click.option(
    "--allow-nondistributable-artifacts",
    "take_foreign",
    is_flag=True,
    help="Include non-distributable layers (check that your licence permits it).",
)


no_clobber_option = click.option(
    "--no-clobber", is_flag=True, help="Exit with 3 if the tag already points to another image."
)


def foreign_layers(app: App, *, take: bool) -> Callable[[Image | Index], Image | Index]:
    """What becomes of foreign layers: taken along, or left where they are and told so."""
    if take:
        from homeport.images.nondistributable import ForeignLayers

        if app.settings.offline:
            raise UsageError("--allow-nondistributable-artifacts cannot be combined with --offline")
        return ForeignLayers(client=app.client, runtime=app.runtime).take

    def leave(value: Image | Index) -> Image | Index:
        from homeport.images.image_blobs import foreign_parts

        left = foreign_parts(value)
        if left:
            many = f"{counted(len(left), 'layer')} {'is' if len(left) == 1 else 'are'}"
            app.runtime.progress.note(
                "non-distributable layers",
                f"{many} not copied; clients download from {left[0].urls[0]}. "
                "Use --allow-nondistributable-artifacts to include non-distributable layers",
            )
        return value

    return leave


def read_platforms(texts: Sequence[str]) -> list[Platform] | None:
    """The platforms asked for; ``None`` for all."""
    from homeport.oci.platform import native_platform, parse_platform

    words = [word for text in texts for word in text.split(",") if word.strip()]
    if not words or "all" in words:
        return None
    found = [native_platform() if word == "native" else parse_platform(word) for word in words]
    return list(dict.fromkeys(found))


def registry_of(*addresses: Address) -> str:
    """The registry that options such as ``--creds`` are meant for: the first that is named."""
    from homeport.images.address import RegistryAddress

    for address in addresses:
        if isinstance(address, RegistryAddress):
            return address.reference.registry
    return ""


def copy_image(
    app: App,
    options: RegistryOptions,
    source: Address,
    destination: Address,
    platforms: Sequence[Platform] | None,
    *,
    about: str,
    no_clobber: bool = False,
    take_foreign: bool = False,
) -> Written:
    """Copy one image; what comes from a registry is fetched in parallel."""
    from homeport.images.transports.registry import RegistryTransport, open_manifests, prefetch
    from homeport.images.transports.select import destination_for, source_for

    maker = options.maker(app, about, no_clobber=no_clobber)
    reader: Source = source_for(source, maker)
    writer: Destination = destination_for(destination, maker)
    from homeport.images.platforms import select

    with reader.open(app.runtime) as value:
        chosen = select(value, platforms)
        if isinstance(reader, RegistryTransport):
            open_manifests(chosen, app.runtime.pools.network)
        chosen = foreign_layers(app, take=take_foreign)(chosen)
        if not isinstance(writer, RegistryTransport):
            prefetch(chosen, app.runtime.pools.network, wanted=_not_in(destination))
        return writer.write(chosen, app.runtime)


def report(source: Address, written: Written) -> tuple[dict[str, Any], str]:
    """The result of a copy as a document and as text."""
    document = {
        "schema": "homeport-transfer/v1",
        "source": str(source),
        "destination": str(written.address),
        "digest": str(written.digest),
        "copied": written.copied,
        "copied_bytes": written.copied_bytes,
        "present": written.present,
    }
    text = f"{written.digest}  {written.address}  " + (
        f"{counted(written.copied, 'blob')} copied ({human_size(written.copied_bytes)}), "
        f"{written.present} already present"
        if written.copied
        else "nothing to copy: all blobs are present"
    )
    return document, text


def _not_in(destination: Address) -> Callable[[Blob], bool]:
    """Whether a layout at the destination lacks a blob, so that it must be fetched."""
    from homeport.images.address import LayoutAddress

    if not isinstance(destination, LayoutAddress):
        return lambda _blob: True
    folder = destination.path / "blobs"

    def wanted(blob: Blob) -> bool:
        try:
            return (folder / blob.digest.algorithm / blob.digest.hex).stat().st_size != blob.size
        except OSError:
            return True

    return wanted
