"""Opening a TCP connection: all addresses of a name, and those that are refused.

If the first address of a name does not respond, a fraction of a second is lost: the next
address is tried beside it ("happy eyeballs", RFC 8305, without its sorting). Addresses in
private networks are refused for hosts that only a server named. The check uses the
address of the connected socket, so a name that resolves differently later gains nothing.
"""

from __future__ import annotations

import errno
import os
import selectors
import shlex
import socket
import time
from typing import Any

from homeport.net.address_class import AddressClass, address_class, spelled_class
from homeport.net.error_mapping import connect_failure, name_failure
from homeport.net.errors import ForbiddenAddress, NetError

_HEAD_START = 0.25  # seconds before the next address is tried as well

Address = tuple[Any, ...]


def check_spelling(host: str, least: AddressClass) -> None:
    """Refuse ``host`` at once if it spells an address of a class below ``least``."""
    found = spelled_class(host)
    if found is not None and found < least:
        raise forbidden(host, host, found)


def open_socket(
    host: str, port: int, timeout: float, least: AddressClass
) -> tuple[socket.socket, AddressClass]:
    """A connected socket, and the class of the address that it is connected to.

    timeout: seconds for all addresses together
    least:   ``LOOPBACK`` for hosts that the user named; for one that a server named the class of
             that server, and then all addresses of the host must be as public

    Raises ``NameNotFound``, ``Refused``, ``ForbiddenAddress``.
    """
    try:
        # Bytes, where the name is ASCII: for text Python loads its IDNA tables.
        name = host.encode() if host.isascii() else host
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise name_failure(error, host) from error
    except UnicodeError as error:
        raise name_failure(socket.gaierror(socket.EAI_NONAME), host) from error
    classes = {str(address[0]): address_class(str(address[0])) for *_, address in found}
    lowest = min(classes, key=classes.__getitem__, default="")
    permitted: list[tuple[int, Address]] = [
        (family, address) for family, _, _, _, address in found
        if classes[str(address[0])] >= least
    ]  # fmt: skip
    if lowest and (not permitted or (least > AddressClass.LOOPBACK and classes[lowest] < least)):
        raise forbidden(host, lowest, classes[lowest])
    sock, address = _first_to_answer(host, port, permitted, timeout)
    return sock, classes[address]


def _first_to_answer(
    host: str, port: int, addresses: list[tuple[int, Address]], timeout: float
) -> tuple[socket.socket, str]:
    waiting = list(addresses)
    trying: dict[socket.socket, str] = {}
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
                    address = trying.pop(sock)
                    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if code == 0:
                        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        return sock, address
                    last = OSError(code, os.strerror(code))
                    sock.close()
        finally:
            for sock in trying:
                sock.close()
    raise connect_failure(None if trying else last, host, port, timeout)


def _start(
    target: tuple[int, Address], selector: selectors.BaseSelector, trying: dict[socket.socket, str]
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
    trying[sock] = str(address[0])
    return None


def forbidden(host: str, address: str, found: AddressClass) -> NetError:
    """The refusal of an address; the client adds which host named it."""
    place = found.words if address == host else f"{found.words} ({address})"
    return ForbiddenAddress(
        f"refused to connect to {host}, {place}",
        where={"host": host, "address": address},
        hint=f"if you trust it, set HOMEPORT_TRUSTED_HOSTS={shlex.quote(host)}",
    )
