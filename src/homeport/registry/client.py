"""One registry: every request to it goes through here, logged in and counted.

Requests are replayable (``net.client``), so a 401 at any time, also after a body was
sent, is answered with a fresh token and the same request. Not for what a request means:
``manifests``, ``blobs``, ``upload`` and ``listing`` know that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from homeport.content.digest import Digest
from homeport.errors import HomeportError
from homeport.net.address_class import AddressClass
from homeport.net.client import Client, Request
from homeport.net.clock import Deadline
from homeport.net.errors import ConnectTimeout, NetError
from homeport.net.response import WEB_PAGES, Response, Sender
from homeport.net.retries import ONCE, READ, Rule
from homeport.net.tls_settings import Trust
from homeport.net.url import Url
from homeport.registry.auth import Authenticator, Ticket
from homeport.registry.endpoint import Endpoint
from homeport.registry.errors import ProtocolBroken, failure
from homeport.registry.login import Lookup, anonymous
from homeport.registry.rate_limits import pulls_left
from homeport.registry.tokens import Scopes

NO_SCOPE: Scopes = frozenset()
_LAST_TIMEOUT = 1.0  # seconds that an interrupt waits for the registry


class Registry:
    """A registry and the session with it. Safe to use from threads."""

    def __init__(
        self,
        client: Client,
        endpoint: Endpoint,
        lookup: Lookup = anonymous,
        *,
        deadline: Deadline | None = None,
        trust: Trust | None = None,
    ) -> None:
        self.client = client
        self._trust = trust
        self.endpoint = endpoint
        self.deadline = deadline
        self.auth = Authenticator(
            client, lookup, deadline, unencrypted_password=endpoint.unencrypted_password
        )
        self.quirks = Quirks()
        self.referrers_lock = threading.Lock()
        #: Told once how many pulls are left, where the registry says so.
        self.on_limit: Callable[[str], None] = lambda _text: None
        self._limit_told = False
        #: Blobs that this run saw in a repository of the registry: where to mount them from.
        self.seen_blobs: dict[Digest, str] = {}
        self._base: Url | None = None
        self._class = AddressClass.FORBIDDEN  # until an answer comes
        self._reached_lock = threading.Lock()
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self.endpoint.name

    def base(self) -> Url:
        """The URL that ends in ``/v2/``, found out once; also how to authenticate."""
        with self._lock:
            if self._base is None:
                self._base = self._find_base()
            return self._base

    def url(self, path: str) -> Url:
        """The URL of ``path`` below ``/v2/``."""
        base = self.base()
        target = base.target + path
        if self.endpoint.namespace:
            target += ("&" if "?" in path else "?") + f"ns={self.endpoint.namespace}"
        return base.with_target(target)

    def request(self, method: str, where: str | Url, scopes: Scopes, **more: Any) -> Response:
        """``send`` to a path below ``/v2/`` or to a URL that the registry gave us."""
        if isinstance(where, str):
            return self.send(Request(method=method, url=self.url(where), **more), scopes)
        return self.send(Request(method=method, url=where, named_by=self._sender(), **more), scopes)

    def send(self, request: Request, scopes: Scopes) -> Response:
        """The answer, after logging in as often as it takes. Every status is an answer.

        Raises ``Unauthorized`` when a fresh token is refused too, and ``NetError``.
        """
        base = self.base()
        request = replace(
            request, deadline=request.deadline or self.deadline,
            trust=self._trust if request.url.origin == base.origin else None,
        )  # fmt: skip
        refused: list[str] = []
        while True:
            ticket = self.auth.ticket(scopes)
            response = self.client.send(
                replace(
                    request,
                    authorize=lambda hop, header=ticket.header: (
                        header if hop.origin == base.origin else None
                    ),
                )
            )
            self._tell_limit(response)
            self._reached(response, base)
            # A 401 of another host (storage behind a redirect) is not a reason to log in.
            if response.status != 401 or response.url.origin != base.origin:
                return response
            self.auth.challenged(response, scopes, ticket, base, refused)

    def _sender(self) -> Sender:
        """The registry, with the most public class of address that has answered for it."""
        base = self.base()
        with self._reached_lock:
            return Sender(url=base, address_class=self._class or AddressClass.PUBLIC)

    def _reached(self, response: Response, base: Url) -> None:
        if response.url.origin == base.origin:
            with self._reached_lock:
                self._class = max(self._class, response.sender.address_class)

    def _tell_limit(self, response: Response) -> None:
        if not self._limit_told and (text := pulls_left(response.headers)):
            self._limit_told = True
            self.on_limit(text)

    def send_last(self, method: str, url: Url, scopes: Scopes) -> None:
        """One last request after an interrupt, with a short deadline and no retries."""
        base = self.base()
        ticket = self.auth.ticket(scopes)
        quick = replace(self.client.settings, connect_timeout=_LAST_TIMEOUT, stall=_LAST_TIMEOUT)
        with (
            Client(quick) as client,
            client.send(
                Request(
                    method=method, url=url, named_by=self._sender(), rule=ONCE,
                    trust=self._trust if url.origin == base.origin else None,
                    authorize=lambda hop: ticket.header if hop.origin == base.origin else None,
                )
            ),
        ):  # fmt: skip
            pass

    def ping(self) -> None:
        """Check that the registry can be reached and accepts the login. Raises if not."""
        with self.request("GET", "", NO_SCOPE) as response:
            if response.status == 404:
                raise ProtocolBroken(
                    f"{self.name}: not a registry: the web server has no /v2/",
                    where={"registry": self.name},
                )
            if response.status != 200:
                raise failure(response, "access the registry")

    def _find_base(self) -> Url:
        candidates = self.endpoint.candidates
        for url in candidates[:-1]:
            try:
                return self._probe(url, msgspec.structs.replace(READ, connect_attempts=1))
            except ConnectTimeout:
                raise  # nothing at the port answers, whatever it speaks
            except (SpeaksTls, NetError):
                continue  # this machine serves it with TLS, if at all
        return self._probe(candidates[-1])

    def _probe(self, url: Url, rule: Rule = READ) -> Url:
        try:
            with self.client.send(
                Request(
                    method="GET",
                    url=url,
                    deadline=self.deadline,
                    rule=rule,
                    trust=self._trust,
                    authorize=lambda _hop: None,
                )
            ) as response:  # fmt: skip
                self._reached(response, url)
                return self._understand(response, url)
        except HomeportError as error:
            raise error.at(registry=self.name)  # noqa: B904  the same error, with its place

    def _understand(self, response: Response, url: Url) -> Url:
        if url.scheme == "http" and response.status == 400:
            raise SpeaksTls(f"{url.netloc} does not answer plain HTTP")
        if response.status == 401 and response.url.origin == url.origin:
            self.auth.challenged(response, NO_SCOPE, Ticket(), url, [])
        elif response.media_type in WEB_PAGES:
            raise ProtocolBroken(
                f"{url.netloc} returned a web page: it is not a registry, or a proxy answered "
                "instead",
                where={"registry": self.name},
                hint="check the name; a login page or a proxy on this network may have answered",
            )
        return url


class SpeaksTls(ProtocolBroken):
    """A TLS server's answer to plain HTTP is 400."""


class LoggedIn:
    """The registry seen as a client for ``net.download``: its requests are logged in."""

    def __init__(self, registry: Registry, scopes: Scopes) -> None:
        self._registry = registry
        self._scopes = scopes
        self.clock = registry.client.clock
        self.retrier = registry.client.retrier
        self.cancel = registry.client.cancel

    def request(self, method: str, url: Url | str, **more: Any) -> Response:
        where = url if isinstance(url, Url) else Url.parse(url)
        registry = self._registry
        more.pop("authorize", None)
        return registry.send(Request(method=method, url=where, **more), self._scopes)


class Quirks:
    """What a registry was found to refuse, so that it is asked once only."""

    def __init__(self) -> None:
        self.no_anonymous_mount = False
        self.no_pieces = False
        self.no_whole = False
        self.largest_piece: int | None = None
        self.no_referrers = False


def scope(repository: str, *actions: str, mount_from: Iterable[str] = ()) -> Scopes:
    """The scopes for ``actions`` (pull, push, delete) on a repository."""
    wanted = {f"repository:{repository}:{','.join(actions)}"}
    wanted |= {f"repository:{source}:pull" for source in mount_from if source != repository}
    return frozenset(wanted)
