"""A token service as distribution's specification has it, whose tokens a real registry believes."""

from __future__ import annotations

import base64
import contextlib
import json
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from builders.certificates import Issued, sign, token_key
from builders.http_server import Received, Server, serving


@dataclass
class TokenServer:
    """``users`` may push, everybody may pull. ``asked`` lists the scopes of every request."""

    server: Server
    keys: Issued
    users: dict[str, str]
    identity_tokens: dict[str, str] = field(default_factory=dict)
    life: int = 60
    oauth_only: bool = False
    asked: list[str] = field(default_factory=list)

    @property
    def realm(self) -> str:
        return self.server.url("/token")

    def registry_options(self) -> dict[str, str]:
        """The ``token`` part of the registry's configuration."""
        return {
            "realm": self.realm, "service": "test registry", "issuer": "test",
            "rootcertbundle": str(self.keys.certificate),
        }  # fmt: skip

    def answer(self, request: Received) -> tuple[int, dict[str, str], bytes]:
        if request.method == "POST":
            fields = urllib.parse.parse_qs(request.body.decode())
            scopes = fields.get("scope", [""])[0].split()
            user = self.identity_tokens.get(fields.get("refresh_token", [""])[0], "")
            given = fields.get("username", [""])[0]
            if given and self.users.get(given) == fields.get("password", [""])[0]:
                user = given
        elif self.oauth_only:
            return 404, {}, b""
        else:
            query = urllib.parse.parse_qs(request.path.partition("?")[2])
            scopes = query.get("scope", [])
            user = self._basic(request.headers.get("authorization", ""))
        self.asked += scopes or [""]
        if user is None or (request.method == "POST" and not user):
            return 401, {}, b'{"details":"incorrect username or password"}'
        token = {"access_token": self._token(user, scopes), "expires_in": self.life}
        return 200, {"Content-Type": "application/json"}, json.dumps(token).encode()

    def _basic(self, header: str) -> str | None:
        """The user, ``""`` for nobody, ``None`` for a wrong password."""
        if not header:
            return ""
        pair = base64.b64decode(header.removeprefix("Basic ")).decode()
        user, _, password = pair.partition(":")
        return user if self.users.get(user) == password else None

    def _token(self, user: str, scopes: list[str]) -> str:
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            allowed = [a for a in actions.split(",") if a == "pull" or user]
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        claims = {
            "iss": "test", "sub": user, "aud": "test registry", "exp": now + self.life,
            "nbf": now - 10, "iat": now, "jti": str(time.monotonic_ns()), "access": access,
        }  # fmt: skip
        der = "".join(self.keys.certificate.read_text().splitlines()[1:-1])
        head = {"typ": "JWT", "alg": "RS256", "x5c": [der]}
        text = ".".join(_encode(json.dumps(part).encode()) for part in (head, claims))
        return f"{text}.{_encode(sign(self.keys.key, text.encode()))}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextlib.contextmanager
def token_server(folder: Path, users: dict[str, str]) -> Iterator[TokenServer]:
    with serving() as server:
        tokens = TokenServer(server=server, keys=token_key(folder), users=users)
        server.answers["/token"] = tokens.answer
        yield tokens
