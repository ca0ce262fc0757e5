"""Hosts on networks of several classes, all of them on this machine's loopback.

    hosts = Hosts(monkeypatch)
    hosts.name("registry.example", PUBLIC)          # 127.3.0.1, taken for a public address
    with serving(address=hosts.address("registry.example")) as server: ...

Names are resolved, and addresses judged, as the test says; everything else is real.
"""

from __future__ import annotations

import socket
from typing import Any

import pytest

from homeport.net import connect
from homeport.net.address_class import AddressClass, address_class

FORBIDDEN, LOOPBACK = AddressClass.FORBIDDEN, AddressClass.LOOPBACK
PRIVATE, PUBLIC = AddressClass.PRIVATE, AddressClass.PUBLIC
_NETWORKS = {"127.2.": PRIVATE, "127.3.": PUBLIC, "127.4.": FORBIDDEN}


class Hosts:
    """Names and the addresses that they resolve to, which a test may change at any time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._addresses: dict[str, list[str]] = {}
        self._count = 0
        self._resolve = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._getaddrinfo)
        monkeypatch.setattr(connect, "address_class", judge)

    def name(self, name: str, *classes: AddressClass) -> str:
        """Give ``name`` an address of each class; returns the name."""
        self._addresses[name] = [self._new(found) for found in classes]
        return name

    def alias(self, name: str, *others: str) -> str:
        """Give ``name`` all the addresses of the others; returns the name."""
        self._addresses[name] = [each for other in others for each in self._addresses[other]]
        return name

    def address(self, name: str) -> str:
        """The first address of ``name``."""
        return self._addresses[name][0]

    def _new(self, found: AddressClass) -> str:
        self._count += 1
        networks = {number: prefix for prefix, number in _NETWORKS.items()}
        return f"{networks.get(found, '127.1.')}0.{self._count}"

    def _getaddrinfo(self, host: Any, port: Any, *arguments: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        addresses = self._addresses.get(name, [name])
        return [
            entry
            for address in addresses
            for entry in self._resolve(address, port, *arguments, **more)
        ]


def judge(address: str) -> AddressClass:
    """The class that a test's address stands for."""
    for prefix, found in _NETWORKS.items():
        if address.startswith(prefix):
            return found
    return address_class(address)
