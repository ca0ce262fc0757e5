"""How requests to one registry prove who makes them.

Nothing is sent before the registry has asked (its challenge says how), then with every
request. Credentials go to the registry's own origin and to the token service that it
named, over TLS or within this machine, and nowhere else; without TLS only where the user
asked for that registry without TLS (``--plain-http``).
"""

from __future__ import annotations

import shlex
import threading

import msgspec
from msgspec.structs import replace

from homeport.net.client import Client
from homeport.net.clock import Deadline
from homeport.net.credentials import Credential
from homeport.net.response import Response, Sender
from homeport.net.url import BadUrl, Url
from homeport.registry.challenge import Challenge, best, parse_challenges
from homeport.registry.errors import ProtocolBroken, Unauthorized, failure
from homeport.registry.login import Login, Lookup
from homeport.registry.tokens import Realm, Scopes, TokenCache

#: Fresh tokens that one request may use up: a busy service may revoke one that was just given.
_RENEWALS = 3


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """The ``Authorization`` header of one attempt; ``secret`` identifies what it was made of."""

    header: str | None = None
    secret: str = ""

    def __repr__(self) -> str:
        return f"Ticket({'none' if self.header is None else 'hidden'})"


class Authenticator:
    """The state of being logged in to one registry. Safe to use from threads."""

    def __init__(
        self, client: Client, lookup: Lookup, deadline: Deadline | None = None, *,
        unencrypted_password: bool = False,
    ) -> None:  # fmt: skip
        self._lookup = lookup
        self._unencrypted_password = unencrypted_password
        self._tokens = TokenCache(client, deadline)
        self._lock = threading.Lock()
        self._scheme = ""
        self._realm: Realm | None = None
        self._more_scopes: dict[Scopes, Scopes] = {}
        self._login: Login | None = None
        self._looked_up = False

    def login(self) -> Login | None:
        """The credential in use, looked up once."""
        with self._lock:
            if not self._looked_up:
                self._login, self._looked_up = self._lookup(None), True
            return self._login

    @property
    def requires_login(self) -> bool:
        """Whether the registry requires authentication."""
        return bool(self._scheme)

    def ticket(self, scopes: Scopes) -> Ticket:
        """What the next request for ``scopes`` carries; may ask the token service."""
        if self._scheme == "bearer" and self._realm is not None:
            login = self.login()
            if login is not None and login.registry_token:
                return Ticket(header=f"Bearer {login.registry_token}", secret=login.registry_token)
            asked = self._more_scopes.get(scopes, scopes)
            token = self._tokens.get(self._realm, asked, self.login)
            return Ticket(header=f"Bearer {token.value}", secret=token.value)
        if self._scheme == "basic" and (login := self.login()) is not None:
            credential = Credential(username=login.username, password=login.password)
            return Ticket(header=credential.basic(), secret=login.password)
        return Ticket()

    def challenged(
        self, response: Response, scopes: Scopes, ticket: Ticket, base: Url, refused: list[str]
    ) -> None:
        """Learn from a 401; return if another attempt makes sense, else raise ``Unauthorized``.

        ``refused`` collects the secrets that this request was refused with.
        """
        challenges = parse_challenges(response.header_values("www-authenticate"))
        challenge = best(challenges)
        if challenge is None and not challenges and self.login() is not None:
            challenge = Challenge(scheme="basic")  # some old registries ask without saying how
        if challenge is None:
            raise self._rejected(response, scopes)
        self._require_safe(base)
        if challenge.scheme == "bearer":
            self._learn_bearer(challenge, scopes, ticket, replace(response.sender, url=base))
        else:
            self._learn_basic(ticket)
        if ticket.header is not None:
            # Some fresh tokens; a password only if it is another one by now.
            same = challenge.scheme == "basic" and self.ticket(scopes).secret == ticket.secret
            renewed = len([secret for secret in refused if secret])
            useless = challenge.parameters.get("error") == "insufficient_scope" and renewed
            if renewed >= _RENEWALS or same or useless:
                raise self._rejected(response, scopes)
        elif challenge.scheme == "basic" and self.login() is None:
            raise self._rejected(response, scopes)
        refused.append(ticket.secret)
        response.close()

    def _learn_bearer(
        self, challenge: Challenge, scopes: Scopes, ticket: Ticket, sender: Sender
    ) -> None:
        base = sender.url
        realm = challenge.parameters.get("realm", "")
        try:
            url = Url.parse(realm)
        except BadUrl as error:
            raise ProtocolBroken(
                f"{base.netloc}: invalid URL of its token service ({realm[:80]!r})",
                where={"registry": base.netloc},
            ) from error
        exposed = base.scheme != "https" and not url.is_loopback and not self._unencrypted_password
        if exposed and self.login() is not None:
            raise ProtocolBroken(
                f"{base.netloc} does not use TLS; refused to send the password to {url.netloc}",
                where={"registry": base.netloc},
            )
        with self._lock:
            self._scheme = "bearer"
            service = challenge.parameters.get("service", "")
            self._realm = Realm(url=url, service=service, named_by=sender)
            asked = self._more_scopes.get(scopes, scopes)
            wider = merge_scopes(asked | challenge.scopes)
            self._more_scopes[scopes] = wider
        if ticket.secret:
            self._tokens.drop(asked, ticket.secret)

    def _learn_basic(self, ticket: Ticket) -> None:
        with self._lock:
            self._scheme = "basic"
            rejected = self._login
            if ticket.header is not None and rejected and rejected.password == ticket.secret:
                self._login = self._lookup(rejected)  # a helper may have a newer secret by now

    def _require_safe(self, base: Url) -> None:
        if base.scheme == "https" or base.is_loopback or self._unencrypted_password:
            return
        if self.login() is None:
            return
        raise Unauthorized(
            f"{base.netloc} requires a password without TLS; refused to send it",
            where={"registry": base.netloc},
            hint="serve the registry over https, or send the password unencrypted: --plain-http",
        )

    def _rejected(self, response: Response, scopes: Scopes) -> Unauthorized:
        login = self.login()
        asked = ", ".join(sorted(scopes))
        error = failure(response, "authenticate")
        who = f"as {login.username or 'token'} (from {login.source})" if login else "anonymously"
        return Unauthorized(
            f"{error.what}, {who}",
            status=error.status,
            codes=error.codes,
            where={**error.where, "scope": asked},
            hint=f"log in: homeport login {shlex.quote(response.url.netloc)}"
            if login is None
            else "the password or token may be wrong, or not valid for this scope",
        )


def merge_scopes(scopes: Scopes) -> Scopes:
    """One scope per resource, with all its actions."""
    merged: dict[str, set[str]] = {}
    for scope in scopes:
        resource, _, actions = scope.rpartition(":")
        merged.setdefault(resource, set()).update(actions.split(","))
    return frozenset(
        f"{resource}:{','.join(sorted(actions))}" if resource else ",".join(sorted(actions))
        for resource, actions in merged.items()
    )
