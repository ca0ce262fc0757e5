"""The one HTTP client.

Every body can be sent again from any byte (a Blob or bytes, never a stream). Redirects,
retries, credentials and limits are decided here and in the tables beside, not in the
library below. One client serves many threads; it keeps connections alive.

Not for what an answer means: ``net.download``, ``registry`` and ``debian`` know that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import msgspec

from homeport import __version__
from homeport.content.blob import Blob
from homeport.content.reading import file_place
from homeport.net.clock import Clock, Deadline, SystemClock
from homeport.net.connection import Answer, Connection
from homeport.net.connection_pool import Pools, Route, proxy_authorization, route_to
from homeport.net.credentials import Provider, authorization, nobody
from homeport.net.error_mapping import mapped
from homeport.net.errors import NetError, RedirectRefused, SourceChanged
from homeport.net.http1 import Malformed, request_head
from homeport.net.proxies import Proxies
from homeport.net.rate_limiter import Crowd
from homeport.net.response import Response
from homeport.net.retries import Retrier, Rule, default_rule
from homeport.net.tls_settings import Trust
from homeport.net.url import BadUrl, Url
from homeport.progress import CancelToken

USER_AGENT = f"homeport/{__version__} (Python {sys.version_info[0]}.{sys.version_info[1]})"
HOPS = 10  # redirects in a row
_BLOCK = 256 << 10  # bytes that are read and sent at once
_FILE_BLOCK = 4 << 20  # bytes of a file that are sent before somebody is told
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

Body = Blob | bytes | None
Authorize = Callable[[Url], str | None]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for every request of a client.

    connect_timeout: seconds for a connection to come about
    stall:           seconds without a byte after which a connection counts as dead
    trust:           for all hosts for which a request brings none of its own
    trusted_hosts:   hosts that a server may send us to although their address is private
    insecure_redirects: follow a redirect from https to http (never with credentials)
    """

    connect_timeout: float = 15.0
    stall: float = 60.0
    per_host: int = 16
    proxies: Proxies = msgspec.field(default_factory=Proxies)
    trust: Trust = msgspec.field(default_factory=Trust)
    trusted_hosts: frozenset[str] = frozenset()
    insecure_redirects: bool = False
    user_agent: str = USER_AGENT


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request, which can be made as often as it takes.

    offset, length: the part of ``body`` that is sent (all from ``offset`` by default)
    named_by:       the URL whose answer named ``url``; then ``url`` is followed like a redirect
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
    named_by: Url | None = None
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
        credentials: Provider = nobody,
        cancel: CancelToken | None = None,
        clock: Clock | None = None,
        retrier: Retrier | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.cancel = cancel or CancelToken()
        self.clock = clock or SystemClock()
        self.retrier = retrier or Retrier(self.clock)
        self._credentials = credentials
        self._crowd = Crowd()
        self._pools = Pools(
            connect_timeout=self.settings.connect_timeout, per_host=self.settings.per_host
        )

    def request(self, method: str, url: Url | str, **more: Any) -> Response:
        """``send`` a request made of the fields of ``Request``."""
        where = url if isinstance(url, Url) else Url.parse(url)
        return self.send(Request(method=method, url=where, **more))

    def send(self, request: Request) -> Response:
        """Make the request, again where the retry table says so, and follow its redirects.

        Every status is an answer, not an error. Close the response, or use it in a ``with``
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
        """Break every connection at once, whoever waits on it; for interrupts."""
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
        home = request.named_by or request.url
        if request.named_by is not None:
            self._check_hop(request.named_by, request.url)
        url = request.url
        for _ in range(HOPS + 1):
            response = self._once(request, url, home)
            location = response.headers.get("location")
            if not request.follow or response.status not in _REDIRECTS or location is None:
                return response
            response.close()
            url = self._next(request.method, url, response.status, location)
        raise RedirectRefused(
            f"{request.url.host} redirects more than {HOPS} times", where={"url": str(request.url)}
        )

    def _next(self, method: str, url: Url, status: int, location: str) -> Url:
        """Where a redirect leads, if it may be followed at all."""
        if method not in ("GET", "HEAD") and status not in (307, 308):
            # A client that turned this into a GET, as browsers do, would look successful.
            raise RedirectRefused(
                f"{url.host} answered {method} with a redirect ({status}) that would change it",
                where={"url": str(url)},
                hint="check the address: a proxy in front of it seems to rewrite paths",
            )
        try:
            target = url.join(location)
        except BadUrl as error:
            raise RedirectRefused(
                f"{url.host} redirects to something that is no URL", where={"url": str(url)}
            ) from error
        self._check_hop(url, target)
        return target

    def _check_hop(self, source: Url, target: Url) -> None:
        if source.scheme == "https" and target.scheme == "http":
            if self.settings.insecure_redirects:
                return
            raise RedirectRefused(
                f"{source.host} sends us from https to {target}, which is not secure",
                where={"url": str(source)},
            )

    def _once(self, request: Request, url: Url, home: Url) -> Response:
        """One request to one place; nothing is followed or made again."""
        self.cancel.check()
        settings = self.settings
        proxy = settings.proxies.proxy_for(url)
        trust = settings.trust
        if request.trust is not None and url.origin == request.url.origin:
            authorities = request.trust.ca_files + trust.ca_files
            trust = msgspec.structs.replace(request.trust, ca_files=authorities)
        route = route_to(
            url,
            proxy=proxy,
            trust=trust,
            named_by_server=url.host != home.host and url.host not in settings.trusted_hosts,
        )
        stall = settings.stall
        if request.deadline is not None:
            stall = min(stall, request.deadline.left())
        with self._crowd.place(url.netloc, lambda: self._check(request)) as answered:
            answer = self._exchange(route, request, url, stall)
            answered(answer.head.status)
        return Response(
            answer, url, clock=self.clock, cancel=self.cancel, deadline=request.deadline,
            stall=settings.stall,
            release=lambda reusable: self._pools.give_back(
                route, answer.connection, reusable=reusable
            ),
        )  # fmt: skip

    def _exchange(self, route: Route, request: Request, url: Url, stall: float) -> Answer:
        head = self._head(route, request, url)
        connection: Connection | None = None
        try:
            connection = opened = self._pools.take(route, stall)
            return opened.ask(request.method, head, lambda: self._send_body(request, opened))
        except BaseException as error:
            if connection is not None:
                self._pools.give_back(route, connection, reusable=False)
            if not isinstance(error, OSError | EOFError | Malformed):
                raise
            self._check(request)
            raise mapped(error, url) from error

    def _check(self, request: Request) -> None:
        """Whether the work is called off, or its time is over."""
        self.cancel.check()
        if request.deadline is not None:
            request.deadline.left()

    def _head(self, route: Route, request: Request, url: Url) -> bytes:
        """The request's own head: where to, and all of its fields."""
        target, fields = url.target, [("Host", url.netloc)]
        if route.proxy is not None and url.scheme == "http":
            target = url.wire()  # a proxy wants to know the host
            fields += proxy_authorization(route.proxy)
        fields += [("User-Agent", self.settings.user_agent), ("Accept-Encoding", "identity")]
        fields += request.headers.items()
        if request.body_length is not None:
            # Always said, never chunked: storage in front of registries refuses the latter.
            fields.append(("Content-Length", str(request.body_length)))
        if request.authorize is not None:
            granted = request.authorize(url)
        else:
            granted = authorization(url, self._credentials)
        if granted is not None:
            fields.append(("Authorization", granted))
        try:
            return request_head(request.method, target, fields)
        except ValueError as error:  # a user name, a token
            raise NetError(
                f"this cannot be sent to {url.host}: {error}", where={"url": str(url)}
            ) from error

    def _send_body(self, request: Request, connection: Connection) -> None:
        """The body, opened afresh for this attempt; files without a detour through Python."""
        body, left = request.body, request.body_length
        if not left or body is None:
            return
        if isinstance(body, bytes):
            connection.send(body[request.offset : request.offset + left])
            request.on_sent(left)
            return
        with body.open(request.offset) as stream:
            place = file_place(stream)
            while left:
                self._check(request)
                if place is not None:
                    descriptor, start = place
                    sent = connection.send_file(descriptor, start, min(left, _FILE_BLOCK))
                    place = (descriptor, start + sent)
                else:
                    block = stream.read(min(left, _BLOCK))
                    sent = len(block)
                    connection.send(block)
                if not sent:
                    raise SourceChanged(
                        f"the content ends {left} bytes early while it is being sent",
                        where={"digest": str(body.digest)},
                        hint="a file was changed meanwhile; run the command again",
                    )
                left -= sent
                request.on_sent(sent)
