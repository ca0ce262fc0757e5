"""Tokens: how long one is used, and when asking for another one makes no sense."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from builders.http_server import Received, Server, serving
from builders.net import FakeClock, quick_client
from homeport.registry.client import Registry, scope
from homeport.registry.endpoint import endpoint_for
from homeport.registry.errors import RegistryError, Unauthorized
from homeport.registry.login import Login

PULL = scope("a", "pull")


@dataclass
class Service:
    """A registry with a token service. ``life``: what it says of a token, as JSON."""

    server: Server
    life: object = 300
    error: str = ""
    refuse_all: bool = False
    given: list[str] = field(default_factory=list)

    def token(self, _request: Received) -> tuple[int, dict[str, str], bytes]:
        self.given.append(f"token-{len(self.given) + 1}")
        return 200, {}, json.dumps({"token": self.given[-1], "expires_in": self.life}).encode()

    def registry(self, request: Received) -> tuple[int, dict[str, str], bytes]:
        if request.headers.get("authorization") and not self.refuse_all:
            return 200, {}, b"{}"
        challenge = f'Bearer realm="{self.server.url("/token")}",scope="repository:a:pull"'
        if self.error and request.headers.get("authorization"):
            challenge += f',error="{self.error}"'
        return 401, {"WWW-Authenticate": challenge}, b""


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as server:
        found = Service(server)
        server.answers["/token"] = found.token
        server.answers["/v2/"] = server.answers["/v2/a/tags/list"] = found.registry
        yield found


def ask(registry: Registry) -> None:
    with registry.request("GET", "a/tags/list", PULL) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("life", "seconds"),
    [
        (300, 300),
        (30 * 24 * 3600, 24 * 3600),  # nobody can take back a token that is kept for a month
        (1e300, 24 * 3600),
        ("120", 120),
        (0, 60),
        (-5, 60),
        (None, 60),
        ("soon", 60),
        ([], 60),
    ],
)
def test_a_token_is_used_for_four_fifths_of_its_life_and_of_a_day_at_most(
    service: Service, life: object, seconds: int
) -> None:
    service.life = life
    clock = FakeClock()
    with quick_client(clock=clock) as client:
        registry = Registry(client, endpoint_for(f"127.0.0.1:{service.server.port}"))
        ask(registry)
        clock.now += 0.8 * seconds - 1
        ask(registry)
        assert len(service.given) == 1
        clock.now += 2
        ask(registry)
        assert len(service.given) == 2


@pytest.mark.parametrize(
    ("error", "tokens"), [("insufficient_scope", 2), ("invalid_token", 4), ("", 4)]
)
def test_fresh_tokens_are_not_asked_for_without_end(
    service: Service, error: str, tokens: int
) -> None:
    """One that was revoked may be replaced; more rights do not come by asking again."""
    service.error, service.refuse_all = error, True
    with quick_client() as client:
        registry = Registry(client, endpoint_for(f"127.0.0.1:{service.server.port}"))
        with pytest.raises(Unauthorized, match="401"):
            ask(registry)
    assert len(service.given) == tokens


LOGIN = Login(username="me", password="secret")


def test_the_password_goes_to_the_token_service_and_not_to_where_that_redirects(
    service: Service,
) -> None:
    with serving() as other, quick_client() as client:
        other.answers["/token"] = service.token
        service.server.answer("/token", 307, b"", Location=other.url("/token"))
        registry = Registry(
            client, endpoint_for(f"127.0.0.1:{service.server.port}"), lambda _rejected: LOGIN
        )
        ask(registry)
    [first] = [one for one in service.server.requests if one.path.startswith("/token")]
    assert first.headers["authorization"].startswith("Basic ")
    assert ["authorization" in one.headers for one in other.requests] == [False]


@pytest.mark.parametrize(
    ("login", "status", "methods"),
    [
        (None, 200, ["GET"]),
        (LOGIN, 200, ["GET"]),
        (LOGIN, 404, ["GET", "POST"]),
        (LOGIN, 405, ["GET", "POST"]),
    ],
)
def test_a_form_with_the_password_is_sent_only_to_a_service_that_takes_nothing_else(
    service: Service, login: Login | None, status: int, methods: list[str]
) -> None:
    service.server.answers["/token"] = lambda request: (
        service.token(request) if status == 200 or request.method == "POST" else (status, {}, b"")
    )
    with quick_client() as client:
        endpoint = endpoint_for(f"127.0.0.1:{service.server.port}")
        ask(Registry(client, endpoint, lambda _rejected: login))
    asked = [one for one in service.server.requests if one.path.startswith("/token")]
    assert [one.method for one in asked] == methods
    assert [b"password=secret" in one.body for one in asked] == [m == "POST" for m in methods]


def test_without_a_login_no_form_is_sent(service: Service) -> None:
    service.server.answer("/token", 404)
    with quick_client() as client:
        registry = Registry(client, endpoint_for(f"127.0.0.1:{service.server.port}"))
        with pytest.raises(RegistryError):
            ask(registry)
    assert "POST" not in [one.method for one in service.server.requests]
