"""Kept-alive connections, by where they lead, how, and whom they believe.

Opening the socket is ``net.connect``'s, where forbidden addresses and slow ones are handled.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

import msgspec

from homeport.net.connect import anywhere, check_literal, open_socket, public_only
from homeport.net.connection import Connection
from homeport.net.credentials import Credential
from homeport.net.error_mapping import mapped
from homeport.net.errors import NetError, ProxyFailed
from homeport.net.http1 import Malformed, request_head
from homeport.net.tls_settings import Trust
from homeport.net.url import Url, bracketed

if TYPE_CHECKING:
    import ssl

_CHECK_PROXIES = "check http_proxy, https_proxy and no_proxy"
_MOST_PLACES = 64  # places for which idle connections are kept


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Where a connection leads and how; requests that share it share connections.

    trust:   ``None`` where no TLS is spoken
    guarded: a server named the host: no address inside a private network will do
    """

    scheme: str
    host: str
    port: int
    proxy: Url | None
    trust: Trust | None
    guarded: bool


def route_to(url: Url, *, proxy: Url | None, trust: Trust, named_by_server: bool) -> Route:
    """The route to ``url``; refuses spelled-out private addresses at once."""
    if named_by_server:
        check_literal(url.host, public_only)
    secure = url.scheme == "https" or (proxy is not None and proxy.scheme == "https")
    return Route(
        scheme=url.scheme, host=url.host, port=url.port, proxy=proxy,
        trust=trust if secure else None,
        # Through a proxy the proxy's address is ours to reach and the target's is not.
        guarded=named_by_server and proxy is None,
    )  # fmt: skip


def proxy_authorization(proxy: Url) -> list[tuple[str, str]]:
    """The header with the proxy's own user and password, if its URL has them."""
    if not proxy.username and not proxy.password:
        return []
    pair = Credential(username=proxy.username, password=proxy.password)
    return [("Proxy-Authorization", pair.basic())]


class Pools:
    """Hands out connections and takes them back. Safe to use from threads."""

    def __init__(self, *, connect_timeout: float, per_host: int) -> None:
        self._connect_timeout = connect_timeout
        self._per_host = per_host
        self._idle: dict[Route, list[Connection]] = {}
        self._busy: set[Connection] = set()
        self._contexts: dict[Trust, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        # A client that was forgotten and not closed takes its idle connections along.
        weakref.finalize(self, _close_all, self._idle)

    def take(self, route: Route, stall: float) -> Connection:
        """A connection to use alone and to give back.

        stall: seconds that a byte may be waited for. Raises ``NetError``, ``OSError``,
        ``EOFError``, ``Malformed``.
        """
        connection = self._idle_one(route)
        if connection is None:
            return self._open(route, stall)
        connection.settimeout(stall)
        with self._lock:
            self._busy.add(connection)
        return connection

    def give_back(self, route: Route, connection: Connection, *, reusable: bool) -> None:
        """The request is over; ``reusable`` if another may follow on the connection."""
        with self._lock:
            self._busy.discard(connection)
            surplus = self._keep(route, connection) if reusable else [connection]
        for one in surplus:
            one.close()

    def abort(self) -> None:
        """Shut every connection down under whoever waits on it (an interrupt)."""
        with self._lock:  # so that none is closed meanwhile and its number another's
            for connection in self._busy:
                connection.abort()

    def close(self) -> None:
        """Close all connections that nobody uses."""
        with self._lock:
            _close_all(self._idle)

    def _keep(self, route: Route, connection: Connection) -> list[Connection]:
        """Have an idle connection more; what is too many then is returned. Under the lock."""
        idle = self._idle.setdefault(route, [])
        if len(idle) >= self._per_host:
            return [connection]
        idle.append(connection)
        if len(self._idle) <= _MOST_PLACES:
            return []
        return self._idle.pop(next(iter(self._idle)))

    def _idle_one(self, route: Route) -> Connection | None:
        while True:
            with self._lock:
                idle = self._idle.get(route)
                if not idle:
                    return None
                connection = idle.pop()
            if not connection.stale:
                return connection
            connection.close()

    def _open(self, route: Route, stall: float) -> Connection:
        first = route.proxy or route
        try:
            sock = open_socket(
                first.host, first.port, min(self._connect_timeout, stall),
                public_only if route.guarded else anywhere,
            )  # fmt: skip
        except NetError as error:
            if route.proxy is None:
                raise
            error.hint = _CHECK_PROXIES
            raise error.at(proxy=route.proxy.netloc)  # noqa: B904  the same, with its place
        sock.settimeout(stall)
        connection = Connection(sock)
        with self._lock:
            self._busy.add(connection)
        try:
            if route.proxy is not None:
                self._go_through(route.proxy, route, connection)
            if route.scheme == "https":
                self._secure(connection, route, route.host)
        except BaseException:
            self.give_back(route, connection, reusable=False)
            raise
        return connection

    def _go_through(self, proxy: Url, route: Route, connection: Connection) -> None:
        """Speak to ``proxy``, or for TLS through it (RFC 9110, 9.3.6)."""
        try:
            if proxy.scheme == "https":
                self._secure(connection, route, proxy.host)
            if route.scheme != "https":
                return
            place = f"{bracketed(route.host)}:{route.port}"
            fields = [("Host", place), *proxy_authorization(proxy)]
            answer = connection.ask("CONNECT", request_head("CONNECT", place, fields))
        except (OSError, EOFError, Malformed) as error:
            raise _proxy_failed(route.host, mapped(error, proxy).what) from error
        if not 200 <= answer.head.status < 300:
            raise _proxy_failed(route.host, f"it answered {answer.head.status}")

    def _secure(self, connection: Connection, route: Route, host: str) -> None:
        from homeport.net.tls import secured, tls_context  # ssl: 7 ms that plain HTTP saves

        assert route.trust is not None
        with self._lock:
            context = self._contexts.get(route.trust)
        if context is None:
            # Reading the system's authorities takes a while: once, and only for TLS.
            context = tls_context(route.trust)
            with self._lock:
                context = self._contexts.setdefault(route.trust, context)
        connection.change(lambda channel: secured(channel, context, host))


def _close_all(idle: dict[Route, list[Connection]]) -> None:
    for connections in idle.values():
        for connection in connections:
            connection.close()
    idle.clear()


def _proxy_failed(host: str, why: str) -> ProxyFailed:
    return ProxyFailed(
        f"the proxy on the way to {host} refused or failed: {why}",
        hint=_CHECK_PROXIES,
    )
