"""Classes of IP addresses: where a server may send us.

A server may name hosts of its own class or of a more public one: ``LOOPBACK`` < ``PRIVATE`` <
``PUBLIC``. Self-hosted registries, token services and object storage live on private networks
under different names, and must reach each other; a public server must not reach them. Addresses
that serve no registry (link-local, unspecified, multicast, reserved, benchmark ranges) and those
of cloud metadata services are always ``FORBIDDEN``.

An IPv4 address that is embedded in an IPv6 address (mapped, compatible, NAT64, 6to4, Teredo) is
judged by what it reaches. Sources: IANA's special-purpose registries (RFC 6890), RFC 6598, RFC
4193, RFC 6052, RFC 3056, RFC 4380.
"""

from __future__ import annotations

import enum
import ipaddress
import socket
from collections.abc import Iterable

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressClass(enum.IntEnum):
    """From the most to the least protected; ``FORBIDDEN`` is below them all."""

    FORBIDDEN = 0
    LOOPBACK = 1
    PRIVATE = 2
    PUBLIC = 3

    @property
    def words(self) -> str:
        """The name of the class in messages."""
        return _WORDS[self]


_WORDS = {
    AddressClass.FORBIDDEN: "a link-local, reserved or cloud metadata address",
    AddressClass.LOOPBACK: "a loopback address",
    AddressClass.PRIVATE: "a private address",
    AddressClass.PUBLIC: "a public address",
}

#: Metadata services of clouds, some of them inside ranges that are private or public.
_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        (
            "169.254.169.254",  # AWS, Azure, Google, OpenStack and others
            "fd00:ec2::254",  # AWS
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure's host
            "192.0.0.192",  # Oracle
        ),
    )
)


def _networks(*texts: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(map(ipaddress.ip_network, texts))


#: Also the ranges for documentation, which closed networks use for hosts of their own.
_PRIVATE = _networks(
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7",
    "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20",
)  # fmt: skip
_LOOPBACK = _networks("127.0.0.0/8", "::1/128")
#: What versions of ``ipaddress`` judge differently: protocol assignments, benchmarks and more.
_FORBIDDEN = _networks(
    "0.0.0.0/8", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "2001:2::/48", "100::/64",
    "fec0::/10",
)  # fmt: skip
_NAT64 = _networks("64:ff9b::/96")
_LOCAL_NAT64 = _networks("64:ff9b:1::/48")


def address_class(address: str) -> AddressClass:
    """The class of an address as the resolver or a socket gives it (``fe80::1%eth0`` too)."""
    return _judge(ipaddress.ip_address(address.partition("%")[0]))


def spelled_class(host: str) -> AddressClass | None:
    """The class of a host that spells an address (also ``0x7f.1``); ``None`` for other names."""
    if host == "localhost" or host.endswith(".localhost"):
        return AddressClass.LOOPBACK
    try:
        return address_class(host)
    except ValueError:
        pass
    try:  # 0x7f000001, 127.1 and the like, which the system's resolver accepts
        return address_class(socket.inet_ntoa(socket.inet_aton(host)))
    except OSError:
        return None


def _judge(address: Ip) -> AddressClass:
    if address in _METADATA:
        return AddressClass.FORBIDDEN
    if isinstance(address, ipaddress.IPv6Address) and (inner := _embedded(address)):
        return min(map(_judge, inner))
    if _within(address, _LOOPBACK):
        return AddressClass.LOOPBACK
    if _within(address, _PRIVATE):
        return AddressClass.PRIVATE
    if address.is_multicast or not address.is_global or _within(address, _FORBIDDEN):
        return AddressClass.FORBIDDEN
    return AddressClass.PUBLIC


def _embedded(address: ipaddress.IPv6Address) -> list[Ip]:
    """The IPv4 addresses that an IPv6 address leads to."""
    number = int(address)
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    if _within(address, _NAT64 + _LOCAL_NAT64):
        return [ipaddress.IPv4Address(number & 0xFFFFFFFF)]
    if number >> 32 == 0 and number > 1:  # IPv4-compatible, deprecated (RFC 4291, 2.5.5.1)
        return [ipaddress.IPv4Address(number)]
    return []


def _within(address: Ip, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    return any(address in network for network in networks)
