"""Bearer tokens: asked for once per set of scopes, renewed before they end.

Protocol: distribution's token specification (GET with Basic, or OAuth2 POST). A token is
opaque and never parsed. Its life is counted from when it arrived, on our own clock, so
that a wrong clock on either side does no harm.
"""

from __future__ import annotations

import shlex
import threading
import urllib.parse
from collections.abc import Callable

import msgspec

from homeport.known_secrets import keep_secret
from homeport.net.client import Client, Request
from homeport.net.clock import Deadline
from homeport.net.credentials import Credential
from homeport.net.errors import NetError
from homeport.net.response import Response, Sender
from homeport.net.retries import TOKEN
from homeport.net.url import Url
from homeport.registry.errors import (
    Denied,
    ProtocolBroken,
    RegistryError,
    Unauthorized,
    failure,
    read_errors,
)
from homeport.registry.login import Login

DEFAULT_LIFE = 60.0  # seconds, where the service says nothing usable
_RENEWED_AT = 0.8  # of its life
_LONGEST_LIFE = 24 * 3600.0
_BODY_LIMIT = 1 << 20
_CLIENT_ID = "homeport"

Scopes = frozenset[str]


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A bearer token and the moment (monotonic) after which it is renewed."""

    value: str
    renew_at: float

    def __repr__(self) -> str:
        return f"Token(renew_at={self.renew_at})"


class Realm(msgspec.Struct, frozen=True, kw_only=True):
    """Where tokens come from, as the challenge of the registry ``named_by`` says."""

    url: Url
    service: str
    named_by: Sender


_LEAST_TOKEN = 16  # characters; real ones have hundreds


class TokenCache:
    """Tokens of one registry, by scopes. Of many threads one asks, the others wait."""

    def __init__(self, client: Client, deadline: Deadline | None = None) -> None:
        self._client = client
        self._deadline = deadline
        self._tokens: dict[Scopes, Token] = {}
        self._locks: dict[Scopes, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, realm: Realm, scopes: Scopes, login: Callable[[], Login | None]) -> Token:
        """A token that will last a while."""
        with self._lock:
            lock = self._locks.setdefault(scopes, threading.Lock())
        with lock:
            found = self._tokens.get(scopes)
            now = self._client.clock.monotonic()
            if found is not None and now < found.renew_at:
                return found
            token = fetch_token(self._client, realm, scopes, login(), self._deadline)
            self._tokens[scopes] = token
            return token

    def drop(self, scopes: Scopes, used: str) -> None:
        """Forget the token that was refused, unless another thread renewed it already."""
        with self._lock:
            found = self._tokens.get(scopes)
            if found is not None and found.value == used:
                del self._tokens[scopes]


class _Answer(msgspec.Struct):
    token: object = None
    access_token: object = None
    expires_in: object = None


_ANSWER_DECODER = msgspec.json.Decoder(_Answer)


def fetch_token(
    client: Client, realm: Realm, scopes: Scopes, login: Login | None, deadline: Deadline | None
) -> Token:
    """Ask the realm. Raises ``Unauthorized``, ``Denied``, ``NetError`` that name the realm."""
    try:
        response = _ask(client, realm, scopes, login, deadline)
        if response.status != 200:
            raise _refused(response, realm, scopes, login)
        raw = response.read_json(_BODY_LIMIT, "the token")
    except NetError as error:
        raise error.at(token_service=str(realm.url))  # noqa: B904  the same error, with its place
    return _read(raw, realm, client.clock.monotonic())


def _ask(
    client: Client, realm: Realm, scopes: Scopes, login: Login | None, deadline: Deadline | None
) -> Response:
    if login is not None and login.identity_token:
        form = {"grant_type": "refresh_token", "refresh_token": login.identity_token}
        return _post(client, realm, scopes, form, deadline)
    response = _get(client, realm, scopes, login, deadline)
    if response.status in (404, 405) and login is not None:  # a service that knows OAuth2 only
        response.close()
        form = {"grant_type": "password", "username": login.username, "password": login.password}
        return _post(client, realm, scopes, form, deadline)
    return response


def _get(
    client: Client, realm: Realm, scopes: Scopes, login: Login | None, deadline: Deadline | None
) -> Response:
    query = [("service", realm.service)] if realm.service else []
    query += [("scope", scope) for scope in sorted(scopes)]
    header = None
    if login is not None:
        query.append(("account", login.username))
        header = Credential(username=login.username, password=login.password).basic()
    url = realm.url.with_query(urllib.parse.urlencode(query)) if query else realm.url
    return client.send(
        Request(
            method="GET", url=url, named_by=realm.named_by, rule=TOKEN, deadline=deadline,
            authorize=lambda hop: header if hop.origin == realm.url.origin else None,
        )
    )  # fmt: skip


def _post(
    client: Client, realm: Realm, scopes: Scopes, form: dict[str, str], deadline: Deadline | None
) -> Response:
    fields = {"client_id": _CLIENT_ID, "service": realm.service, "scope": " ".join(sorted(scopes))}
    return client.send(
        Request(
            method="POST",
            url=realm.url,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urllib.parse.urlencode({**fields, **form}).encode(),
            named_by=realm.named_by,
            rule=TOKEN,
            deadline=deadline,
            follow=False,  # the form holds the password
            authorize=lambda _hop: None,
        )
    )


def _refused(
    response: Response, realm: Realm, scopes: Scopes, login: Login | None
) -> RegistryError:
    status = response.status
    asked = ", ".join(sorted(scopes)) or "no scope"
    who = f"the user {login.username!r} (from {login.source})" if login else "anonymous users"
    if status in (400, 401, 403):
        codes, text = read_errors(response)
        kind = Denied if status == 403 else Unauthorized
        return kind(
            f"the token service {realm.url.netloc} denied {who} a token for {asked}"
            + (f": {text}" if text else ""),
            status=status,
            codes=codes,
            where={"token_service": str(realm.url), "scope": asked},
            hint=f"log in: homeport login {shlex.quote(realm.named_by.url.netloc)}",
        )
    error = failure(response, f"get a token for {asked}")
    return error.at(token_service=str(realm.url))


def _read(raw: bytes, realm: Realm, now: float) -> Token:
    host = realm.url.netloc
    try:
        answer = _ANSWER_DECODER.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolBroken(f"the token service {host} returned invalid JSON: {error}") from error
    value = answer.access_token or answer.token
    if not isinstance(value, str) or not value:
        raise ProtocolBroken(f"the token service {host} returned no token")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ProtocolBroken(f"the token service {host} returned a token with invalid characters")
    # A service chooses the token: it may not hide words of our output by it.
    keep_secret(value, least=_LEAST_TOKEN)
    return Token(value=value, renew_at=now + _RENEWED_AT * _life(answer.expires_in))


def _life(seconds: object) -> float:
    """Seconds; services send numbers, texts, zero and worse."""
    try:
        life = float(seconds)  # type: ignore[arg-type]  # whatever it is, it is caught
    except (TypeError, ValueError, OverflowError):
        return DEFAULT_LIFE
    return min(life, _LONGEST_LIFE) if life > 0 else DEFAULT_LIFE
