"""What can go wrong with a request, and the one place where other libraries' errors become ours.

``retryable`` says whether the same request may succeed when it is made again; how often
is the retry table's business (``net.retries``). Messages name the host and never hold a
password.
"""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
from typing import ClassVar

import urllib3.exceptions

from homeport.errors import HomeportError
from homeport.net.url import Url


class NetError(HomeportError):
    """A request failed before its answer could be used."""

    id = "net"
    #: The failure came before the server can have seen the request.
    unsent: ClassVar[bool] = False
    #: An answer had begun: it was its body that could not be read to the end.
    answered: bool = False


class NameNotFound(NetError):
    id = "name-not-found"
    unsent = True


class NameServerBusy(NameNotFound):
    """The name server gave no answer; another try may get one."""

    id = "name-server-busy"
    retryable = True


class Refused(NetError):
    """Nothing listens there, or no way leads there."""

    id = "connection-refused"
    retryable = True
    unsent = True


class ConnectTimeout(Refused):
    id = "connect-timeout"


class ForbiddenAddress(NetError):
    """A server named an address inside private networks that nobody configured."""

    id = "forbidden-address"


class TlsError(NetError):
    """The other side could not prove who it is, or does not speak TLS."""

    id = "tls"


class NotTls(TlsError):
    """What answers there speaks, as far as one can tell, plain HTTP."""

    id = "not-tls"


class ConnectionCut(NetError):
    """The connection ended before the request or the answer was whole."""

    id = "connection-cut"
    retryable = True


class Stalled(NetError):
    """No byte moved for as long as we are willing to wait."""

    id = "stalled"
    retryable = True


class DeadlinePassed(NetError):
    """The time that the caller gave to the whole work is over."""

    id = "deadline"


class ProxyFailed(NetError):
    id = "proxy"


class BadResponse(NetError):
    """The answer breaks the rules of HTTP, or is not what was asked for."""

    id = "bad-response"


class RedirectRefused(NetError):
    """Following this redirect would be unsafe or would not end."""

    id = "redirect-refused"


class SourceChanged(NetError):
    """What we are sending is no longer the bytes it was."""

    id = "source-changed"


class HttpFailure(NetError):
    """The server answered with a status that means no."""

    id = "http-status"

    def __init__(self, url: Url, status: int, *, hint: str | None = None, more: str = "") -> None:
        reason = http.client.responses.get(status, "")
        said = f"{status} {reason}".strip()
        super().__init__(
            f"{url.host} answered {said} for {url}{more}",
            where={"url": str(url), "status": status},
            hint=hint,
        )
        self.status = status


def mapped(error: BaseException, url: Url) -> NetError:
    """The error of ours that says what ``error`` (of urllib3, ssl, http.client) means."""
    cause = _root(error)
    place = {"url": str(url)}
    if isinstance(error, urllib3.exceptions.ProxyError):
        return ProxyFailed(
            f"the proxy on the way to {url.host} refused or failed: {_reason(cause)}",
            where=place,
            hint="check http_proxy, https_proxy and no_proxy",
        )
    if isinstance(cause, ssl.SSLError):
        return _tls(cause, url)
    if isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError):
        return Stalled(f"{url.host} sent nothing for too long", where=place)
    if isinstance(cause, socket.gaierror):
        return name_failure(cause, url.host).at(**place)
    return _broken(cause, url)


def _broken(cause: BaseException, url: Url) -> NetError:
    """The connection came about; what came over it was not whole, or no HTTP."""
    place = {"url": str(url)}
    if isinstance(cause, _PROTOCOL) and not isinstance(cause, _CUTS):
        return BadResponse(f"{url.host} sent a broken answer: {_reason(cause)}", where=place)
    if isinstance(cause, http.client.IncompleteRead | urllib3.exceptions.IncompleteRead):
        return ConnectionCut(f"{url.host} closed the connection in mid-answer", where=place)
    return ConnectionCut(f"the connection to {url.host} failed: {_reason(cause)}", where=place)


#: The connection ended; RemoteDisconnected and BadStatusLine are what an early end looks like.
_CUTS = (
    http.client.BadStatusLine, http.client.IncompleteRead, urllib3.exceptions.IncompleteRead,
)  # fmt: skip
_PROTOCOL = (http.client.HTTPException, urllib3.exceptions.HTTPError, ValueError)


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


def _tls(error: ssl.SSLError, url: Url) -> NetError:
    place = {"url": str(url)}
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message or str(error)
        hint = "add the authority that signed it with --ca FILE"
        if "mismatch" in why.lower() or "not valid for" in why.lower():
            hint = "use the name that the certificate is made out to"
        elif "expired" in why.lower():
            hint = "the certificate must be renewed by whoever runs the host"
        return TlsError(
            f"the certificate of {url.netloc} cannot be trusted: {why}", where=place, hint=hint
        )
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if "wrong version number" in reason or "http request" in reason:
        return NotTls(
            f"{url.netloc} does not speak TLS there",
            where=place,
            hint="if it is a plain HTTP server, say so: --plain-http, or an http:// URL",
        )
    if "eof occurred" in reason or isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return ConnectionCut(f"{url.host} closed the connection", where=place)
    if "certificate required" in reason:
        return TlsError(
            f"{url.netloc} asks for a client certificate", where=place, hint="give one in certs.d"
        )
    return TlsError(f"no secure connection to {url.netloc}: {reason}", where=place)


def _root(error: BaseException) -> BaseException:
    """The innermost error that urllib3 wrapped."""
    for inner in (getattr(error, "reason", None), *getattr(error, "args", ())):
        if isinstance(inner, BaseException):
            return _root(inner)
    return error


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    text = str(error) or type(error).__name__
    return "".join(char for char in text if char.isprintable())[:200]
