"""Rebuild kits in layouts: attached, read, and built from with nothing but the layout."""

from __future__ import annotations

import io
import tarfile
from typing import Any

from builders.building import BuildWorld
from builders.runtime import runtime
from homeport.attest.attached.layout import LayoutAttached
from homeport.building.rebuild import RebuildResult, rebuild
from homeport.building.request import BuildResult
from homeport.content.blob import Blob, verified
from homeport.content.thread_pools import Pools
from homeport.images.address import LayoutAddress
from homeport.images.image import Image, digest_of
from homeport.images.transports.oci_layout import OciLayout
from homeport.progress import CancelToken


def layout(result: BuildResult) -> LayoutAddress:
    address = result.written[0].address
    assert isinstance(address, LayoutAddress)
    return address


def attach_kit(result: BuildResult, kit: Image) -> None:
    LayoutAttached(layout(result), runtime()).write_referrers([kit])


def build_again(world: BuildWorld, result: BuildResult, **options: Any) -> RebuildResult:
    """Rebuild what stands in the layout of ``result``, with nothing but the layout."""
    with Pools(CancelToken(), processor=2) as pools:
        run = runtime(world.store, pools=pools)
        with OciLayout(layout(result)).open(run) as value, world.connections(pools) as connections:
            attached = LayoutAttached(layout(result), run)
            return rebuild("oci:out", value, attached, run, connections, **options)


def kit_layer(kit: Image) -> Blob:
    return kit.blobs[digest_of(kit.document.parsed.layers[0])]


def kit_contents(kit: Image) -> dict[str, bytes]:
    with verified(kit_layer(kit)) as stream:
        data = stream.readall()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = (
            (member.name, archive.extractfile(member)) for member in archive if member.isfile()
        )
        return {name: file.read() for name, file in files if file is not None}
