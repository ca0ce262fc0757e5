"""The one HTTP client.

Every body can be sent again from any byte (a Blob or bytes, never a stream). Redirects,
retries, credentials and limits are decided here and in the tables beside, not in the
library below. One client serves many threads; it keeps connections alive.

Not for what a response means: ``net.download``, ``registry`` and ``debian`` know that.
"""

from __future__ import annotations

import http.client
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, cast

import msgspec
import urllib3
import urllib3.exceptions
from msgspec.structs import replace

from homeport import __version__
from homeport.content.blob import Blob
from homeport.content.reading import file_place
from homeport.net.address_class import AddressClass, spelled_class
from homeport.net.clock import Clock, Deadline, SystemClock
from homeport.net.connect import check_spelling
from homeport.net.connection import PlainConnection
from homeport.net.connection_pool import Pools, Route
from homeport.net.credentials import Provider, authorization, no_credentials
from homeport.net.error_mapping import CHECK_PROXIES, mapped
from homeport.net.errors import ForbiddenAddress, NetError, RedirectRefused, SourceChanged
from homeport.net.proxies import Proxies
from homeport.net.rate_limiter import RateLimiter
from homeport.net.response import Response, Sender
from homeport.net.retries import Retrier, Rule, default_rule
from homeport.net.tls_settings import Trust
from homeport.net.url import BadUrl, Url
from homeport.progress import CancelToken
from homeport.quantities import human_size

USER_AGENT = f"homeport/{__version__} (Python {sys.version_info[0]}.{sys.version_info[1]})"
HOPS = 10  # redirects in a row
_BLOCK = 256 << 10  # bytes that are read and sent at once
_FILE_BLOCK = 4 << 20  # bytes of a file that are sent before progress is reported
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

Body = Blob | bytes | None
Authorize = Callable[[Url], str | None]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for every request of a client.

    connect_timeout: seconds in which a connection must be established
    stall:           seconds without a byte after which a connection counts as dead
    trust:           for all hosts for which a request brings none of its own
    trusted_hosts:   hosts that a server may send us to although their address is private
    per_host:        connections to one host that are kept for the next request
    least:           the most protected class of addresses for hosts that are not trusted
    insecure_redirects: follow a redirect from https to http (never with credentials)
    """

    connect_timeout: float = 8.0
    stall: float = 60.0
    per_host: int = 32
    proxies: Proxies = msgspec.field(default_factory=Proxies)
    trust: Trust = msgspec.field(default_factory=Trust)
    trusted_hosts: frozenset[str] = frozenset()
    least: AddressClass = AddressClass.LOOPBACK
    insecure_redirects: bool = False
    user_agent: str = USER_AGENT


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request; it can be sent again after a failure.

    offset, length: the part of ``body`` that is sent (all from ``offset`` by default)
    named_by:       the server whose answer named ``url``; then ``url`` is followed like a redirect
    trust:          for the host of ``url``, not for where it redirects to
    authorize:      the ``Authorization`` header for the URL of each hop
    on_sent:        told how many body bytes more were sent
    """

    method: str
    url: Url
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: Body = None
    offset: int = 0
    length: int | None = None
    named_by: Sender | None = None
    trust: Trust | None = None
    authorize: Authorize | None = None
    rule: Rule | None = None
    follow: bool = True
    deadline: Deadline | None = None
    on_sent: Callable[[int], None] = lambda _count: None
    on_retry: Callable[[str, float], None] = lambda _why, _wait: None

    @property
    def body_length(self) -> int | None:
        """Bytes of the body that are sent, ``None`` without a body."""
        if self.body is None:
            return None
        size = len(self.body) if isinstance(self.body, bytes) else self.body.size
        left = size - self.offset
        return left if self.length is None else min(left, self.length)


class Client:
    """Makes requests. Close it, or use it in a ``with`` block."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        credentials: Provider = no_credentials,
        cancel: CancelToken | None = None,
        clock: Clock | None = None,
        retrier: Retrier | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.cancel = cancel or CancelToken()
        self.clock = clock or SystemClock()
        self.retrier = retrier or Retrier(self.clock)
        self.credentials = credentials
        self._limiter = RateLimiter()
        self._pools = Pools(
            connect_timeout=self.settings.connect_timeout, per_host=self.settings.per_host
        )

    def request(self, method: str, url: Url | str, **more: Any) -> Response:
        """``send`` a request made of the fields of ``Request``."""
        where = url if isinstance(url, Url) else Url.parse(url)
        return self.send(Request(method=method, url=where, **more))

    def send(self, request: Request) -> Response:
        """Make the request, again where the retry table says so, and follow its redirects.

        Every status is a response, not an error. Close the response, or use it in a ``with``
        block. Raises ``NetError`` and, when cancelled, ``Interrupted``.
        """
        return self.retrier.run(
            request.rule or default_rule(request.method),
            request.url.netloc,
            lambda: self._follow(request),
            cancel=self.cancel,
            deadline=request.deadline,
            on_retry=request.on_retry,
        )

    def abort(self) -> None:
        """Break every connection at once under the threads that wait; for interrupts."""
        self.cancel.cancel()
        self._pools.abort()

    def close(self) -> None:
        """Close all connections that are kept alive."""
        self._pools.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _follow(self, request: Request) -> Response:
        sender = request.named_by
        home = request.url if sender is None else sender.url
        if sender is not None:
            self._check_hop(sender.url, request.url)
        url = request.url
        for _ in range(HOPS + 1):
            response = self._once(request, url, home, sender)
            location = response.headers.get("location")
            if not request.follow or response.status not in _REDIRECTS or location is None:
                return response
            sender = response.sender
            response.close()
            url = self._next(request.method, url, response.status, location)
        raise RedirectRefused(
            f"{request.url.host} redirects more than {HOPS} times", where={"url": str(request.url)}
        )

    def _next(self, method: str, url: Url, status: int, location: str) -> Url:
        """The target of a redirect. Raises ``NetError`` if it must not be followed."""
        if method not in ("GET", "HEAD") and status not in (307, 308):
            # A GET in its place, as browsers send, would succeed without having done the work.
            raise RedirectRefused(
                f"{url.host}: a redirect ({status}) would turn {method} into GET",
                where={"url": str(url)},
                hint="check the address: a proxy in front of the server may rewrite paths",
            )
        try:
            target = url.join(location)
        except BadUrl as error:
            raise RedirectRefused(
                f"{url.host}: invalid redirect URL", where={"url": str(url)}
            ) from error
        self._check_hop(url, target)
        return target

    def _check_hop(self, source: Url, target: Url) -> None:
        if source.scheme == "https" and target.scheme == "http":
            if self.settings.insecure_redirects:
                return
            raise RedirectRefused(
                f"{source.host}: refused to follow a redirect from https to {target}",
                where={"url": str(source)},
            )

    def _once(self, request: Request, url: Url, home: Url, sender: Sender | None) -> Response:
        """One request to one URL, without redirects or retries."""
        self.cancel.check()
        least = self.settings.least
        if url.host in self.settings.trusted_hosts:
            least = AddressClass.FORBIDDEN
        elif sender is not None and url.host != home.host:
            least = max(least, sender.address_class)
        try:
            return self._answered(request, url, least)
        except ForbiddenAddress as error:
            if sender is None or url.host == home.host:
                raise
            raise error.named_by(sender.url.host, sender.address_class.words) from None

    def _answered(self, request: Request, url: Url, least: AddressClass) -> Response:
        settings = self.settings
        proxy = settings.proxies.proxy_for(url)
        if proxy is not None or least > AddressClass.LOOPBACK:
            check_spelling(url.host, least)
        trust = settings.trust
        if request.trust is not None and url.origin == request.url.origin:
            authorities = request.trust.ca_files + trust.ca_files
            trust = replace(request.trust, ca_files=authorities)
        route = Route(
            proxy=proxy,
            trust=trust if url.scheme == "https" else None,
            proxy_trust=settings.trust if proxy is not None and proxy.scheme == "https" else None,
            least=least,
        )
        stall = settings.stall
        if request.deadline is not None:
            stall = min(stall, request.deadline.left())
        outgoing = _Outgoing(self, request, url, proxied=proxy is not None)
        with self._limiter.slot(url.netloc, lambda: self.check(request)) as answered:
            raw, found = self._exchange(route, url, outgoing, stall)
            answered(raw.status)
        if proxy is not None:  # the address is the proxy's, not the host's
            found = spelled_class(url.host) or AddressClass.PUBLIC
        return Response(
            raw, url, address_class=found, clock=self.clock, cancel=self.cancel,
            deadline=request.deadline, stall=settings.stall, method=request.method,
        )  # fmt: skip

    def _exchange(
        self, route: Route, url: Url, outgoing: _Outgoing, stall: float
    ) -> tuple[urllib3.BaseHTTPResponse, AddressClass]:
        headers = outgoing.headers()
        try:
            raw = self._pools.pool(route, url).urlopen(
                outgoing.request.method, outgoing.place,
                body=cast(Any, outgoing), headers=headers, retries=False, redirect=False,
                assert_same_host=False, preload_content=False, decode_content=False,
                timeout=urllib3.Timeout(connect=stall, read=stall),
            )  # fmt: skip
        except NetError as error:
            if route.proxy is None:
                raise
            error.hint = CHECK_PROXIES
            raise error.at(proxy=route.proxy.netloc)  # noqa: B904  the same, with its place
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            self.check(outgoing.request)
            raise mapped(error, url, route.proxy, stall=stall) from error
        connection = raw.connection
        assert isinstance(connection, PlainConnection)
        return raw, connection.address_class

    def check(self, request: Request) -> None:
        """Raise if the work was cancelled or its deadline has passed."""
        self.cancel.check()
        if request.deadline is not None:
            request.deadline.left()


class _Outgoing:
    """One attempt at a request: its target, its headers, and its body, opened afresh."""

    def __init__(self, client: Client, request: Request, url: Url, *, proxied: bool) -> None:
        self._client = client
        self.request = request
        self._url = url
        self._forwarded = proxied and url.scheme == "http"
        #: What urllib3 needs to know of the target; it sends what ``target`` says.
        self.place = f"{url.scheme}://{url.netloc}/" if proxied else "/"
        #: A proxy that forwards needs to know the host.
        self.target = url.wire() if self._forwarded else url.target

    def headers(self) -> dict[str, str]:
        """All header fields. Raises ``NetError`` for a value that is not one."""
        request, url = self.request, self._url
        fields = {
            "Host": url.netloc,
            "User-Agent": self._client.settings.user_agent,
            "Accept-Encoding": "identity",
            **request.headers,
        }
        if request.body_length is not None:
            # Always set, never chunked: storage in front of registries refuses the latter.
            fields["Content-Length"] = str(request.body_length)
        if request.authorize is not None:
            granted = request.authorize(url)
        else:
            granted = authorization(url, self._client.credentials)
        if granted is not None:
            fields["Authorization"] = granted
        for name, value in fields.items():  # a user name, a token
            if not (value.isascii() and value.isprintable()):
                raise NetError(
                    f"invalid value for the header {name} of a request to {url.host}:"
                    " it holds line breaks, control characters or non-ASCII letters",
                    where={"url": str(url)},
                )
        return fields

    def send_body(self, connection: PlainConnection, /) -> None:
        """Send the body; a file by ``sendfile`` where nothing is checked."""
        request = self.request
        body, left = request.body, request.body_length
        if not left or body is None:
            return
        if isinstance(body, bytes):
            connection.send_bytes(body[request.offset : request.offset + left])
            request.on_sent(left)
            return
        with body.open(request.offset) as stream:
            place = file_place(stream)
            while left:
                self._client.check(request)
                if place is not None:
                    descriptor, start = place
                    sent = connection.send_file(descriptor, start, min(left, _FILE_BLOCK))
                    place = (descriptor, start + sent)
                else:
                    block = stream.read(min(left, _BLOCK))
                    sent = len(block)
                    connection.send_bytes(block)
                if not sent:
                    raise SourceChanged(
                        f"the content ended {human_size(left)} early while it was sent",
                        where={"digest": str(body.digest)},
                        hint="a file changed during the upload; run the command again",
                    )
                left -= sent
                request.on_sent(sent)
