"""urllib3's pools, by proxy, trust and the classes of addresses they may reach.

urllib3 keeps connections, speaks to proxies and does TLS. Opening a socket is ours
(``net.connect``), and so are sending and checking (``net.connection``). urllib3 neither retries
nor follows redirects here.
"""

from __future__ import annotations

import socket
import ssl
import threading
import weakref
from functools import partial
from typing import Any

import msgspec
import urllib3

from homeport.net.address_class import AddressClass
from homeport.net.connect import open_socket
from homeport.net.connection import PlainConnection, TlsConnection, abort
from homeport.net.credentials import Credential
from homeport.net.tls import EarlySSLSocket, tls_context
from homeport.net.tls_settings import Trust
from homeport.net.url import Url

_MOST_HOSTS = 64  # hosts for which idle connections are kept


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """How a host is reached; requests that share it share connections.

    trust:       for the host; ``None`` without TLS
    proxy_trust: for a proxy that is reached by TLS; never what a registry's settings say
    least:       the least public class of addresses that may be connected to
    """

    proxy: Url | None
    trust: Trust | None
    proxy_trust: Trust | None
    least: AddressClass


class Pools:
    """Finds or makes the pool for a host. Safe to use from threads."""

    def __init__(self, *, connect_timeout: float, per_host: int) -> None:
        self._connect_timeout = connect_timeout
        self._per_host = per_host
        self._managers: dict[Route, urllib3.PoolManager] = {}
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[Any] = weakref.WeakSet()
        self._aborted = False

    def pool(self, route: Route, url: Url) -> urllib3.HTTPConnectionPool:
        """The pool whose connections lead to ``url``. Raises ``UsageError`` for a bad CA file."""
        with self._lock:
            manager = self._managers.get(route)
            if manager is None:
                manager = self._managers[route] = self._manager(route)
            return manager.connection_from_host(url.host, url.port, url.scheme)

    def abort(self) -> None:
        """Shut every connection down under the thread that waits on it (an interrupt)."""
        with self._lock:
            self._aborted = True
            sockets = list(self._sockets)
        for sock in sockets:
            abort(sock)

    def close(self) -> None:
        """Close all connections that are kept."""
        with self._lock:
            for manager in self._managers.values():
                manager.clear()
            self._managers.clear()
            # urllib3 leaves this to the garbage collector, which an old response may delay.
            for sock in list(self._sockets):
                sock.close()

    def _add(self, sock: Any) -> None:
        """Remember a socket for ``abort``; one that opened too late for it is shut down at once."""
        with self._lock:
            self._sockets.add(sock)
            aborted = self._aborted
        if aborted:
            abort(sock)

    def _context(self, trust: Trust) -> ssl.SSLContext:
        """A TLS context whose sockets ``abort`` reaches during the handshake, too."""
        opened = self._add

        class Watched(EarlySSLSocket):
            def do_handshake(self, block: bool = False) -> None:
                opened(self)
                super().do_handshake(block)

        context = tls_context(trust)
        context.sslsocket_class = Watched
        return context

    def _manager(self, route: Route) -> urllib3.PoolManager:
        options: dict[str, Any] = {"num_pools": _MOST_HOSTS, "maxsize": self._per_host}
        if route.trust is not None:
            options["ssl_context"] = self._context(route.trust)
        if route.proxy is None:
            manager = urllib3.PoolManager(**options)
        else:
            options["proxy_headers"] = proxy_headers(route.proxy)
            if route.proxy_trust is not None:
                options["proxy_ssl_context"] = self._context(route.proxy_trust)
            place = f"{route.proxy.scheme}://{route.proxy.netloc}"
            manager = urllib3.ProxyManager(place, **options)
        # The proxy's own address is the user's choice.
        least = route.least if route.proxy is None else AddressClass.FORBIDDEN
        manager.pool_classes_by_scheme = self._pool_classes(least)
        return manager

    def _pool_classes(self, least: AddressClass) -> dict[str, Any]:
        """urllib3's pools whose connections are opened by ``net.connect``."""
        open_it = partial(_open, limit=self._connect_timeout, least=least)
        opened = self._add

        class Plain(PlainConnection):
            _open = staticmethod(open_it)
            _opened = staticmethod(opened)

        class Tls(TlsConnection):
            _open = staticmethod(open_it)
            _opened = staticmethod(opened)

        class PlainPool(urllib3.HTTPConnectionPool):
            ConnectionCls = Plain

        class TlsPool(urllib3.HTTPSConnectionPool):
            ConnectionCls = Tls

        return {"http": PlainPool, "https": TlsPool}


def proxy_headers(proxy: Url) -> dict[str, str]:
    """The header with the proxy's own user and password, if its URL has them."""
    if not proxy.username and not proxy.password:
        return {}
    pair = Credential(username=proxy.username, password=proxy.password)
    return {"Proxy-Authorization": pair.basic()}


def _open(
    host: str, port: int, timeout: float, *, limit: float, least: AddressClass
) -> tuple[socket.socket, AddressClass]:
    return open_socket(host, port, min(timeout, limit), least)
