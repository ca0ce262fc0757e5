"""Which transport serves an address: the one list of them.

Registries need a network, credentials and trust, which ``homeport.app`` puts together; it
hands in the function that makes their transport. A transport is imported when an address
needs it: most runs write one layout.
"""

from __future__ import annotations

from collections.abc import Callable

from homeport.images.address import (
    Address,
    ArchiveAddress,
    EngineAddress,
    LayoutAddress,
    RegistryAddress,
    StreamAddress,
)
from homeport.images.transports.base import Destination, Source, Transport

RegistryMaker = Callable[[RegistryAddress], Transport]


def source_for(address: Address, registry: RegistryMaker) -> Source:
    """What reads ``address``."""
    match address:
        case EngineAddress(engine="docker-daemon"):
            from homeport.images.transports.docker_daemon import DockerDaemon

            return DockerDaemon(address)
        case EngineAddress():
            from homeport.images.transports.containers_storage import ContainersStorage

            return ContainersStorage(address)
        case _:
            return _both_ways(address, registry)


def destination_for(address: Address, registry: RegistryMaker) -> Destination:
    """What writes to ``address``, which ``parse_destination`` has accepted."""
    assert not isinstance(address, EngineAddress)
    return _both_ways(address, registry)


def _both_ways(
    address: RegistryAddress | LayoutAddress | ArchiveAddress | StreamAddress,
    registry: RegistryMaker,
) -> Transport:
    match address:
        case RegistryAddress():
            return registry(address)
        case LayoutAddress():
            from homeport.images.transports.oci_layout import OciLayout

            return OciLayout(address)
        case ArchiveAddress(format="oci-archive"):
            from homeport.images.transports.oci_archive import OciArchive

            return OciArchive(address)
        case ArchiveAddress():
            from homeport.images.transports.docker_archive import DockerArchive

            return DockerArchive(address)
        case StreamAddress():
            from homeport.images.transports.stdio import Stream

            return Stream()
