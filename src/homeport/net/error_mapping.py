"""Errors of sockets, TLS and HTTP parsing become errors of ours, here alone."""

from __future__ import annotations

import errno
import os
import socket
import sys

from homeport.net.errors import (
    BadResponse,
    ConnectionCut,
    ConnectTimeout,
    NameNotFound,
    NameServerBusy,
    NetError,
    Refused,
    Stalled,
)
from homeport.net.http1 import Malformed, NoAnswer
from homeport.net.url import Url
from homeport.printable import printable


def mapped(error: BaseException, url: Url) -> NetError:
    """The error of ours that says what ``error`` (of a socket, ssl, ``net.connection``) means."""
    place = {"url": str(url)}
    ssl = sys.modules.get("ssl")  # not loaded where nobody speaks TLS
    if ssl is not None and isinstance(error, ssl.SSLError):
        from homeport.net.tls import tls_error  # ssl: 7 ms that plain HTTP saves

        return tls_error(error, url)
    if isinstance(error, TimeoutError):
        return Stalled(f"{url.host} sent nothing for too long", where=place)
    if isinstance(error, Malformed) and not isinstance(error, NoAnswer):
        return BadResponse(f"{url.host} sent a broken answer: {_reason(error)}", where=place)
    if isinstance(error, EOFError):
        return ConnectionCut(f"{url.host} closed the connection {error}", where=place)
    return ConnectionCut(f"the connection to {url.host} failed: {_reason(error)}", where=place)


def name_failure(error: socket.gaierror, host: str) -> NameNotFound:
    """DNS said no (``NameNotFound``) or said nothing (``NameServerBusy``)."""
    if error.errno == socket.EAI_AGAIN:
        return NameServerBusy(
            f"the name {host} could not be looked up: the name server gave no answer",
            hint="check this machine's network and DNS",
        )
    return NameNotFound(f"there is no host {host}", hint="check the spelling of the name")


def connect_failure(error: OSError | None, host: str, port: int) -> NetError:
    """No address of ``host`` took the connection."""
    place: dict[str, str | int] = {"host": host, "port": port}
    if error is None or isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return ConnectTimeout(f"{host} port {port} did not answer in time", where=place)
    return Refused(
        f"cannot connect to {host} port {port}: {os.strerror(error.errno or 0).lower()}",
        where=place,
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    text = str(error) or type(error).__name__
    return printable(text[:200])
