"""The one place that turns errors of sockets, TLS and HTTP parsing into Homeport's errors."""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl

import urllib3.exceptions

from homeport.net.errors import (
    BadResponse,
    ConnectionCut,
    ConnectTimeout,
    NameNotFound,
    NameServerBusy,
    NetError,
    ProxyFailed,
    Refused,
    Stalled,
)
from homeport.net.response_check import NotHttp
from homeport.net.tls import tls_ended, tls_error
from homeport.net.url import Url
from homeport.printable import printable

CHECK_PROXIES = "check http_proxy, https_proxy and no_proxy"


def mapped(
    error: BaseException, url: Url, proxy: Url | None = None, *, stall: float | None = None
) -> NetError:
    """The Homeport error for ``error`` of urllib3, ssl or a socket.

    proxy: the proxy between here and ``url``, if there is one
    stall: seconds without data after which the connection was given up
    """
    cause = _root(error)
    place = {"url": str(url)}
    if isinstance(error, urllib3.exceptions.ProxyError) and proxy is not None:
        why = tls_error(cause, proxy).what if isinstance(cause, ssl.SSLError) else _reason(cause)
        return ProxyFailed(
            f"the proxy {proxy.netloc} on the way to {url.host} failed: {why}",
            where=place | {"proxy": proxy.netloc},
            hint=CHECK_PROXIES,
        )
    if isinstance(cause, ssl.SSLError):
        return tls_error(cause, url)
    if isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError):
        seconds = "" if stall is None else f" for {stall:g} s"
        return Stalled(f"{url.host}: no data received{seconds}", where=place)
    if ended_early(error):
        return ConnectionCut(
            f"{url.host} closed the connection in the middle of its response", where=place
        )
    # Bytes that are not HTTP at all may be left over from an earlier response: retry.
    if isinstance(cause, OSError | NotHttp | http.client.BadStatusLine):
        return ConnectionCut(f"the connection to {url.host} failed: {_reason(cause)}", where=place)
    return BadResponse(f"{url.host}: invalid HTTP response: {_reason(cause)}", where=place)


def ended_early(error: BaseException) -> bool:
    """Whether the connection ended before the response was whole."""
    cause = _root(error)
    return tls_ended(cause) or isinstance(
        cause, http.client.IncompleteRead | urllib3.exceptions.IncompleteRead
    )


def _root(error: BaseException) -> BaseException:
    """The innermost error that urllib3 wrapped."""
    inner = [getattr(error, "reason", None), getattr(error, "original_error", None), *error.args]
    for each in inner:
        if isinstance(each, BaseException):
            return _root(each)
    return error


def name_failure(error: socket.gaierror, host: str) -> NameNotFound:
    """DNS does not know the name (``NameNotFound``) or did not respond (``NameServerBusy``)."""
    if error.errno == socket.EAI_AGAIN:
        return NameServerBusy(
            f"cannot resolve {host}: the DNS server did not respond",
            where={"host": host},
            hint="check this machine's network and DNS",
        )
    return NameNotFound(
        f"unknown host {host}", hint="check the name, and this machine's network and DNS"
    )


def connect_failure(error: OSError | None, host: str, port: int, waited: float) -> NetError:
    """No address of ``host`` accepted the connection.

    waited: seconds after which an attempt that nothing answered was given up
    """
    place: dict[str, str | int] = {"host": host, "port": port}
    if error is None or isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return ConnectTimeout(
            f"cannot connect to {host} port {port}: no answer for {waited:g} s",
            where=place,
            hint="check the name, the network and firewalls in between; "
            "HOMEPORT_CONNECT_TIMEOUT=30 waits longer",
        )
    return Refused(
        f"cannot connect to {host} port {port}: {os.strerror(error.errno or 0).lower()}",
        where=place,
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    text = str(error) or type(error).__name__
    return printable(text[:200])
