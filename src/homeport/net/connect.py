"""Opening a TCP connection: all addresses of a name, and the ones nobody may send us to.

A name whose first address is dead costs a fraction of a second, not a time-out: the next
address is tried beside it ("happy eyeballs", RFC 8305, without its sorting). Addresses in
private networks are refused for hosts that only a server named; that is checked on the
address that is really connected to, so that a name that changes its mind gains nothing.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any

from homeport.net.error_mapping import connect_failure, name_failure
from homeport.net.errors import ForbiddenAddress, NetError

_HEAD_START = 0.25  # seconds that one address gets before the next is tried too

Address = tuple[Any, ...]
Permitted = Callable[[str], bool]


def anywhere(address: str) -> bool:
    """For hosts that the user named: every address will do."""
    return True


def public_only(address: str) -> bool:
    """For hosts that a server named: nothing inside this machine or a private network."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_global and not found.is_multicast


def check_literal(host: str, permitted: Permitted) -> None:
    """Refuse ``host`` at once if it spells an address that is not permitted."""
    if host == "localhost" or host.endswith(".localhost"):
        host = "127.0.0.1"
    try:
        spelled = str(ipaddress.ip_address(host))
    except ValueError:
        try:  # 0x7f000001, 127.1 and the like, which the system's resolver would accept
            spelled = socket.inet_ntoa(socket.inet_aton(host))
        except OSError:
            return
    if not permitted(spelled):
        raise _forbidden(host)


def open_socket(host: str, port: int, timeout: float, permitted: Permitted) -> socket.socket:
    """A connected socket. Raises ``NameNotFound``, ``Refused``, ``ForbiddenAddress``."""
    try:
        # As bytes where that is all the same: text makes Python load its tables for IDNA.
        name = host.encode() if host.isascii() else host
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise name_failure(error, host) from error
    except UnicodeError as error:
        raise name_failure(socket.gaierror(socket.EAI_NONAME), host) from error
    addresses: list[tuple[int, Address]] = [
        (family, address) for family, _, _, _, address in found if permitted(str(address[0]))
    ]
    if found and not addresses:
        raise _forbidden(host)
    return _first_to_answer(host, port, addresses, timeout)


def _first_to_answer(
    host: str, port: int, addresses: list[tuple[int, Address]], timeout: float
) -> socket.socket:
    waiting = list(addresses)
    trying: set[socket.socket] = set()
    last: OSError | None = None
    ends = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        try:
            while (waiting or trying) and time.monotonic() < ends:
                if waiting:
                    last = _start(waiting.pop(0), selector, trying) or last
                if not trying:
                    continue
                left = max(0.0, ends - time.monotonic())
                for key, _ in selector.select(min(_HEAD_START, left) if waiting else left):
                    sock: socket.socket = key.fileobj  # type: ignore[assignment]  # ours
                    selector.unregister(sock)
                    trying.discard(sock)
                    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if code == 0:
                        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        return sock
                    last = OSError(code, os.strerror(code))
                    sock.close()
        finally:
            for sock in trying:
                sock.close()
    raise connect_failure(None if trying else last, host, port)


def _start(
    target: tuple[int, Address], selector: selectors.BaseSelector, trying: set[socket.socket]
) -> OSError | None:
    """Begin to connect; the socket joins ``trying``, or the reason why not is returned."""
    family, address = target
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:  # no IPv6 on this machine
        return error
    sock.setblocking(False)
    code = sock.connect_ex(address)
    if code not in (0, errno.EINPROGRESS):
        sock.close()
        return OSError(code, os.strerror(code))
    selector.register(sock, selectors.EVENT_WRITE)
    trying.add(sock)
    return None


def _forbidden(host: str) -> NetError:
    return ForbiddenAddress(
        f"a server sent us to {host}, an address inside a private network",
        where={"host": host},
        hint="if that is right, allow it with HOMEPORT_TRUSTED_HOSTS",
    )
