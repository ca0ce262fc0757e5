"""Kept-alive connections: one set of urllib3 pools per proxy, trust and reach.

urllib3 does pooling, proxies and TLS; opening the socket is ours (``net.connect``), so
that forbidden addresses and slow ones are handled. urllib3 retries and follows nothing.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from typing import Any

import urllib3
import urllib3.connection
import urllib3.util

from homeport.net.connect import Permitted, anywhere, check_literal, open_socket, public_only
from homeport.net.credentials import Credential
from homeport.net.trust import Trust, tls_context
from homeport.net.url import Url

_BLOCK = 256 << 10  # bytes read from a file and sent at once

#: A header that never leaves: the exact request target, for ``_ExactTarget``.
TARGET = ":target"

Live = weakref.WeakSet[urllib3.connection.HTTPConnection]


class Pools:
    """Finds or makes the pool for a URL. Safe to use from threads."""

    def __init__(self, *, connect_timeout: float, per_host: int) -> None:
        self._connect_timeout = connect_timeout
        self._per_host = per_host
        self._managers: dict[tuple[Url | None, Trust, bool, str], urllib3.PoolManager] = {}
        self._lock = threading.Lock()
        self._live: Live = weakref.WeakSet()

    def pool(
        self, url: Url, *, proxy: Url | None, trust: Trust, named_by_server: bool
    ) -> urllib3.HTTPConnectionPool:
        """The pool that reaches ``url``; refuses spelled-out private addresses at once."""
        if named_by_server:
            check_literal(url.host, public_only)
        key = (proxy, trust, named_by_server, url.scheme)
        with self._lock:
            manager = self._managers.get(key)
            if manager is None:
                # Through a proxy the proxy's address is ours to reach and the target's is not.
                guarded = named_by_server and proxy is None
                permitted = public_only if guarded else anywhere
                # Reading the system's authorities takes a while: only where TLS is spoken.
                secure = url.scheme == "https" or (proxy is not None and proxy.scheme == "https")
                manager = self._manager(proxy, trust if secure else None, permitted)
                self._managers[key] = manager
        return manager.connection_from_host(url.host, url.port, url.scheme)

    def abort(self) -> None:
        """Shut every connection down under whoever waits on it (an interrupt)."""
        for connection in list(self._live):
            sock = connection.sock
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            for manager in self._managers.values():
                manager.clear()
            self._managers.clear()

    def _manager(
        self, proxy: Url | None, trust: Trust | None, permitted: Permitted
    ) -> urllib3.PoolManager:
        options: dict[str, Any] = {
            "num_pools": 64, "maxsize": self._per_host, "blocksize": _BLOCK,
        }  # fmt: skip
        if trust is not None:
            options["ssl_context"] = tls_context(trust)
            if not trust.verify:
                options["assert_hostname"] = False
        manager: urllib3.PoolManager
        if proxy is None:
            manager = urllib3.PoolManager(**options)
        else:
            headers = None
            if proxy.username or proxy.password:
                pair = Credential(username=proxy.username, password=proxy.password)
                headers = {"Proxy-Authorization": pair.basic()}
            manager = urllib3.ProxyManager(
                f"{proxy.scheme}://{proxy.netloc}",
                proxy_headers=headers,
                proxy_ssl_context=tls_context(trust) if trust and proxy.scheme == "https" else None,
                **options,
            )
        manager.pool_classes_by_scheme = _classes(self._connect_timeout, permitted, self._live)
        return manager


class _ExactTarget:
    """Sends the request target byte for byte as it was given.

    urllib3 normalises percent-encoding in between, which breaks signed URLs.
    """

    def request(
        self, method: str, url: str, body: Any = None, headers: Any = None, **more: Any
    ) -> None:
        headers = dict(headers or {})
        target = headers.pop(TARGET, url)
        super().request(method, target, body, headers, **more)  # type: ignore[misc]  # a mix-in


def _classes(timeout: float, permitted: Permitted, live: Live) -> dict[str, Any]:
    """urllib3's connections and pools, with our way of opening a socket."""

    class Plain(_ExactTarget, urllib3.connection.HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _open(self, timeout, permitted, live)

    class Secure(_ExactTarget, urllib3.connection.HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            self.is_verified = True  # or the user asked for no verification by name

        def _new_conn(self) -> socket.socket:
            return _open(self, timeout, permitted, live)

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _open(
    connection: urllib3.connection.HTTPConnection,
    connect_timeout: float,
    permitted: Permitted,
    live: Live,
) -> socket.socket:
    limit = connection.timeout
    stall = limit if isinstance(limit, int | float) else connect_timeout
    sock = open_socket(connection.host, connection.port, min(connect_timeout, stall), permitted)
    sock.settimeout(stall)
    live.add(connection)
    return sock
