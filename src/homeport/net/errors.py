"""What can go wrong with a request.

``retryable`` says whether the same request may succeed when it is made again; how often
is decided by the retry table (``net.retries``). Messages name the host and never hold a
password. Errors of other libraries become these in ``net.error_mapping``.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar, Self

from homeport.errors import HomeportError
from homeport.net.url import Url


class NetError(HomeportError):
    """A request failed before its response could be used."""

    id = "net"
    #: The failure came before the server can have seen the request.
    unsent: ClassVar[bool] = False
    #: A response had begun: it was its body that could not be read to the end.
    answered: bool = False

    def again(self) -> Self:
        """The same error for another request, with a place of its own."""
        made = type(self)(self.what, where=self.where, hint=self.hint)
        made.answered = self.answered
        return made


class NameNotFound(NetError):
    id = "name-not-found"
    unsent = True


class NameServerBusy(NameNotFound):
    """The name server gave no response; another try may get one."""

    id = "name-server-busy"
    retryable = True


class Refused(NetError):
    """The port is closed, or the host is unreachable."""

    id = "connection-refused"
    retryable = True
    unsent = True


class ConnectTimeout(Refused):
    id = "connect-timeout"


class ForbiddenAddress(NetError):
    """The address is of a class that must not be connected to (``net.address_class``)."""

    id = "forbidden-address"

    def named_by(self, host: str, words: str) -> Self:
        """Add the host that named this one, and the class of its address."""
        self.what = f"{host} ({words}) refers to another host: {self.what}"
        self.where = {**self.where, "sent_by": host}
        return self


class TlsError(NetError):
    """The server's certificate is not trusted, or the server does not use TLS."""

    id = "tls"


class NotTls(TlsError):
    """The server appears to use plain HTTP."""

    id = "not-tls"


class ConnectionCut(NetError):
    """The connection ended before the request or the response was whole."""

    id = "connection-cut"
    retryable = True


class Stalled(NetError):
    """No data moved within the stall limit."""

    id = "stalled"
    retryable = True


class DeadlinePassed(NetError):
    """The deadline of the whole operation has passed."""

    id = "deadline"


class ProxyFailed(NetError):
    id = "proxy"


class BadResponse(NetError):
    """The response violates HTTP, or is not what was requested."""

    id = "bad-response"


class RedirectRefused(NetError):
    """The redirect is unsafe to follow, or redirects do not end."""

    id = "redirect-refused"


class SourceChanged(NetError):
    """The file changed while it was sent."""

    id = "source-changed"


class HttpFailure(NetError):
    """The server returned a status that means failure."""

    id = "http-status"

    def __init__(self, url: Url, status: int, *, hint: str | None = None, more: str = "") -> None:
        phrase = next((known.phrase for known in HTTPStatus if known == status), "")
        answer = f"{status} {phrase}".strip()
        super().__init__(
            f"{url.host} returned {answer} for {url}{more}",
            where={"url": str(url), "status": status},
            hint=hint,
        )
        self.status = status
