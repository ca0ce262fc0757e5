"""What reads and writes an address: the class that its row in the table of transports names.

Registries need a network, credentials and trust, which ``homeport.app`` puts together; it
passes the function that makes their transport.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from homeport.images.address import TRANSPORTS, Address, RegistryAddress
from homeport.images.transports.base import Destination, Source, Transport

RegistryMaker = Callable[[RegistryAddress], Transport]


def source_for(address: Address, registry: RegistryMaker) -> Source:
    """What reads ``address``."""
    return _made(address, registry)


def destination_for(address: Address, registry: RegistryMaker) -> Destination:
    """What writes to ``address``, which ``parse_destination`` has accepted."""
    assert TRANSPORTS[address.scheme].writes
    return _made(address, registry)


def _made(address: Address, registry: RegistryMaker) -> Transport:
    if isinstance(address, RegistryAddress):
        return registry(address)
    module, _, name = TRANSPORTS[address.scheme].serves.partition(":")
    transport: Transport = getattr(importlib.import_module(module), name)(address)
    return transport
