"""What can go wrong with a request, and the one place where other libraries' errors become ours.

``retryable`` says whether the same request may succeed when it is made again; how often
is the retry table's business (``net.retries``). Messages name the host and never hold a
password.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from typing import ClassVar

from homeport.errors import HomeportError
from homeport.net.http1 import Malformed, NoAnswer
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
        from http import HTTPStatus  # for the words of a refusal

        phrase = next((known.phrase for known in HTTPStatus if known == status), "")
        said = f"{status} {phrase}".strip()
        super().__init__(
            f"{url.host} answered {said} for {url}{more}",
            where={"url": str(url), "status": status},
            hint=hint,
        )
        self.status = status


def mapped(error: BaseException, url: Url) -> NetError:
    """The error of ours that says what ``error`` (of a socket, ssl, ``net.connection``) means."""
    place = {"url": str(url)}
    ssl = sys.modules.get("ssl")  # not loaded where nobody speaks TLS
    if ssl is not None and isinstance(error, ssl.SSLError):
        from homeport.net.tls import tls_error

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
    return "".join(char for char in text if char.isprintable())[:200]
