"""Every kind of address has its class, however it is spelled or embedded."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.networks import FORBIDDEN, LOOPBACK, PRIVATE, PUBLIC
from homeport.net.address_class import AddressClass, address_class, spelled_class


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("127.0.0.1", LOOPBACK), ("127.255.255.254", LOOPBACK), ("::1", LOOPBACK),
        ("10.0.0.1", PRIVATE), ("172.16.0.1", PRIVATE), ("172.31.255.255", PRIVATE),
        ("192.168.1.1", PRIVATE), ("100.64.0.1", PRIVATE), ("100.127.255.255", PRIVATE),
        ("fd00::1", PRIVATE), ("fc00::1", PRIVATE),
        ("1.1.1.1", PUBLIC), ("172.32.0.1", PUBLIC), ("100.128.0.1", PUBLIC),
        ("2606:4700::1111", PUBLIC), ("11.0.0.1", PUBLIC), ("192.169.0.1", PUBLIC),
        ("0.0.0.0", FORBIDDEN), ("0.1.2.3", FORBIDDEN), ("::", FORBIDDEN),
        ("169.254.1.1", FORBIDDEN), ("fe80::1", FORBIDDEN), ("fe80::1%eth0", FORBIDDEN),
        ("224.0.0.1", FORBIDDEN), ("239.1.1.1", FORBIDDEN), ("ff02::1", FORBIDDEN),
        ("240.0.0.1", FORBIDDEN), ("255.255.255.255", FORBIDDEN), ("fec0::1", FORBIDDEN),
        ("198.18.0.1", FORBIDDEN), ("198.19.255.255", FORBIDDEN), ("2001:2::1", FORBIDDEN),
        ("192.0.2.1", PRIVATE), ("203.0.113.80", PRIVATE), ("2001:db8::1", PRIVATE),
        # metadata services of clouds, wherever they lie
        ("169.254.169.254", FORBIDDEN), ("fd00:ec2::254", FORBIDDEN),
        ("100.100.100.200", FORBIDDEN), ("168.63.129.16", FORBIDDEN), ("192.0.0.192", FORBIDDEN),
        # IPv4 inside IPv6: mapped, compatible, NAT64 (also the local prefix), 6to4, Teredo
        ("::ffff:10.0.0.1", PRIVATE), ("::ffff:127.0.0.1", LOOPBACK), ("::ffff:1.1.1.1", PUBLIC),
        ("::169.254.169.254", FORBIDDEN), ("::192.168.0.1", PRIVATE),  # above 2^31
        ("::127.0.0.1", LOOPBACK), ("::10.0.0.1", PRIVATE), ("::ffff:169.254.169.254", FORBIDDEN),
        ("64:ff9b::10.0.0.1", PRIVATE), ("64:ff9b::169.254.169.254", FORBIDDEN),
        ("64:ff9b::1.1.1.1", PUBLIC), ("64:ff9b:1::127.0.0.1", LOOPBACK),
        ("2002:7f00:1::", LOOPBACK), ("2002:a00:1::", PRIVATE), ("2002:a9fe:a9fe::", FORBIDDEN),
        ("2002:101:101::1", PUBLIC),
        ("2001:0:101:101::f5ff:fffe", PRIVATE),  # Teredo client 10.0.0.1
    ],
)  # fmt: skip
def test_an_address_has_its_class(address: str, found: AddressClass) -> None:
    assert address_class(address) is found


@given(st.ip_addresses(v=4))
def test_an_address_embedded_in_another_is_judged_alike(address: ipaddress.IPv4Address) -> None:
    number, found = int(address), address_class(str(address))
    embedded = [
        ipaddress.IPv6Address((0xFFFF << 32) | number),
        ipaddress.IPv6Address((0x64FF9B << 96) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80)),
    ]
    assert {address_class(str(each)) for each in embedded} == {found}


@given(st.ip_addresses())
def test_what_is_reserved_for_anything_is_never_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    outer = getattr(address, "sixtofour", None) or getattr(address, "teredo", None)
    if not address.is_global and outer is None:
        assert address_class(str(address)) < PUBLIC or _translated(address)


def _translated(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """NAT64's local prefix is not global itself, but leads to addresses that are."""
    return address in ipaddress.ip_network("64:ff9b:1::/48") or int(address) >> 32 == 0


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("localhost", LOOPBACK), ("a.localhost", LOOPBACK), ("127.1", LOOPBACK),
        ("0x7f000001", LOOPBACK), ("2130706433", LOOPBACK), ("017700000001", LOOPBACK),
        ("0xa9fea9fe", FORBIDDEN), ("10.1", PRIVATE), ("8.8.8.8", PUBLIC), ("::1", LOOPBACK),
        ("registry.example", None), ("10.example", None),
    ],
)  # fmt: skip
def test_a_host_that_spells_an_address_is_judged_by_it(
    host: str, found: AddressClass | None
) -> None:
    assert spelled_class(host) is found
