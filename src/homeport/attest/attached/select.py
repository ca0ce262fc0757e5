"""What reads and writes the signatures of an address: registries and OCI layouts have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from homeport.attest.attached.base import Attached
from homeport.attest.attached.layout import LayoutAttached
from homeport.attest.attached.registry import RegistryAttached
from homeport.errors import UsageError
from homeport.images.address import Address, LayoutAddress, RegistryAddress
from homeport.images.image import Image, Index
from homeport.images.transports.oci_layout import OciLayout
from homeport.images.transports.registry import RegistryTransport
from homeport.runtime import Runtime

RegistryMaker = Callable[[RegistryAddress], RegistryTransport]


@contextmanager
def open_attached(
    address: Address, registry: RegistryMaker, runtime: Runtime
) -> Iterator[tuple[Image | Index, Attached]]:
    """The image at an address and what is attached to it. Raises ``UsageError`` elsewhere."""
    if isinstance(address, RegistryAddress):
        transport = registry(address)
        with transport.open(runtime) as value:
            yield value, RegistryAttached(transport, runtime)
    elif isinstance(address, LayoutAddress):
        with OciLayout(address).open(runtime) as value:
            yield value, LayoutAttached(address, runtime)
    else:
        raise UsageError(
            f"{address}: signatures are kept in registries and OCI layouts only",
            hint=f"homeport pull {address} oci:DIR",
        )


def attached_at(address: Address, registry: RegistryMaker, runtime: Runtime) -> Attached | None:
    """What writes beside an image that was written to ``address``; ``None`` for archives."""
    if isinstance(address, RegistryAddress):
        return RegistryAttached(registry(address), runtime)
    if isinstance(address, LayoutAddress):
        return LayoutAttached(address, runtime)
    return None
