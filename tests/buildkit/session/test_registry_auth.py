"""What an engine may ask of our logins, as the registries that it names see it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from builders.http_server import Received, Server, serving
from builders.net import quick_client
from homeport.buildkit.protobuf import decode, encode
from homeport.buildkit.protocol import control
from homeport.buildkit.session.registry_auth import RegistryAuth
from homeport.buildkit.session.repositories import Repositories
from homeport.registry.login import Login

LOGIN = Login(username="me", password="open sesame")
AUTH = "/moby.filesync.v1.Auth/"


class Stream:
    """One call of the engine."""

    def __init__(self, request: object) -> None:
        self._request = request
        self.sent: list[bytes] = []

    async def recv_message(self) -> bytes:
        return encode(self._request)

    async def send_message(self, data: bytes) -> None:
        self.sent.append(data)


@pytest.fixture
def server() -> Iterator[Server]:
    """A registry that refers to its own token service."""
    with serving() as running:
        challenge = f'Bearer realm="{running.url("/token")}",service="registry"'
        running.answer("/v2/", 401, WWW_Authenticate=challenge)
        running.answers["/token"] = _token
        yield running


def _token(request: Received) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/json"}, json.dumps({"token": "T"}).encode()


def host_of(server: Server) -> str:
    return f"127.0.0.1:{server.port}"


def asked(server: Server, method: str, request: object, **more: Any) -> bytes:
    """What an engine gets, whose build names ``team/base`` of the registry."""
    named = Repositories(pulls=frozenset({f"{host_of(server)}/team/base"}))
    with quick_client() as client:
        auth = RegistryAuth(
            find=lambda _host: LOGIN, client=lambda: client, named=lambda: named, **more
        )
        stream = Stream(request)
        asyncio.run(auth.services()[AUTH + method](stream))
    return stream.sent[0]


def fetch(server: Server, *scopes: str, **more: str) -> control.FetchTokenRequest:
    fields = {"host": host_of(server), "realm": server.url("/token"), "service": "other", **more}
    return control.FetchTokenRequest(scopes=scopes, **fields)  # type: ignore[arg-type]


def test_a_token_is_fetched_for_what_the_build_pulls(server: Server) -> None:
    request = fetch(server, "repository:team/base:pull,push,delete", "repository:private:pull")
    answer = decode(control.FetchTokenResponse, asked(server, "FetchToken", request))
    assert answer.token == "T"
    # The service is the registry's own, not what the engine says.
    query = "/token?service=registry&scope=repository%3Ateam%2Fbase%3Apull&account=me"
    assert server.paths() == ["/v2/", query]


@pytest.mark.parametrize(
    "scopes",
    [
        ("repository:private:pull",),
        ("repository:team/base:push",),
        ("registry:catalog:*",),
        (),
    ],
)
def test_other_tokens_are_refused_without_a_request(server: Server, scopes: tuple[str]) -> None:
    with pytest.raises(GRPCError, match="--allow-pull") as caught:
        asked(server, "FetchToken", fetch(server, *scopes))
    assert caught.value.status is Status.UNAUTHENTICATED
    assert server.paths() == []


@pytest.mark.parametrize("path", ["", "/admin/shutdown?now=1&x=", "/v2/#"])
def test_hosts_that_the_build_does_not_name_are_never_asked(server: Server, path: str) -> None:
    with serving() as internal:
        internal.answer("/", 200, b"internal")
        request = fetch(server, "repository:team/base:pull", host=host_of(internal) + path)
        with pytest.raises(GRPCError):
            asked(server, "FetchToken", request)
        assert internal.paths() == []


def test_a_token_service_that_the_registry_does_not_name_is_never_asked(server: Server) -> None:
    with serving() as hostile:
        hostile.answers["/token"] = _token
        scope = "repository:team/base:pull"
        with pytest.raises(GRPCError, match="does not refer to"):
            asked(server, "FetchToken", fetch(server, scope, realm=hostile.url("/token")))
        assert hostile.paths() == []


def test_passwords_and_keys_are_for_registries_of_the_build(server: Server) -> None:
    for host, known in ((host_of(server), True), ("other.example", False)):
        request = control.CredentialsRequest(host=host)
        answer = asked(server, "Credentials", request, passwords=True)
        found = decode(control.CredentialsResponse, answer)
        assert (found.username, found.secret) == (("me", "open sesame") if known else ("", ""))
        authority = control.TokenAuthorityRequest(host=host, salt=b"s")
        if known:
            assert asked(server, "GetTokenAuthority", authority)
        else:
            with pytest.raises(GRPCError, match="no login"):
                asked(server, "GetTokenAuthority", authority)
    assert server.paths() == []


def test_a_password_is_not_given_unless_it_may_be(server: Server) -> None:
    with pytest.raises(GRPCError, match="--engine-credentials"):
        asked(server, "Credentials", control.CredentialsRequest(host=host_of(server)))
