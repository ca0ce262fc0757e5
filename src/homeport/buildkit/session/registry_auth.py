"""Registries' credentials for an engine: scoped tokens by choice, a password only if allowed.

An engine that pulls or pushes asks its client. Where the registry uses tokens, we fetch one
for just those scopes and the engine never sees the password; the token service is asked
only if the registry itself names it, or an engine could have our password sent anywhere.
Registries that require the password itself get it through the engine only with
``--engine-credentials``, and only over a connection that others cannot read.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from homeport.buildkit.protobuf import decode, encode
from homeport.buildkit.protocol import control
from homeport.buildkit.session.session import Service
from homeport.errors import HomeportError
from homeport.net.url import Url

# The rest is imported when an engine asks: most builds talk to no registry.
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from homeport.net.client import Client
    from homeport.net.response import Sender
    from homeport.registry.login import Login

_AUTH = "/moby.filesync.v1.Auth/"
_TOKEN_LIFE = 60  # seconds that an engine may keep a token; it asks again
_HUB_HOSTS = ("registry-1.docker.io", "index.docker.io", "https://index.docker.io/v1/")


class RegistryAuth(msgspec.Struct, frozen=True, kw_only=True):
    """Where logins come from, and whether an engine may have them as they are."""

    find: Callable[[str], Login | None]
    client: Callable[[], Client]
    passwords: bool = False
    _seed: bytes = msgspec.field(default_factory=lambda: secrets.token_bytes(32))

    def __repr__(self) -> str:
        return f"RegistryAuth(passwords={self.passwords})"

    def services(self) -> dict[str, Service]:
        """For a session."""
        return {
            _AUTH + "Credentials": self._credentials,
            _AUTH + "FetchToken": self._fetch,
            _AUTH + "GetTokenAuthority": self._authority,
            _AUTH + "VerifyTokenAuthority": self._verify,
        }

    async def _credentials(self, stream: Any) -> None:
        host = decode(control.CredentialsRequest, await stream.recv_message()).host
        login = await asyncio.to_thread(self._login, host)
        answer = control.CredentialsResponse()
        if login is not None and not self.passwords:
            raise GRPCError(
                Status.PERMISSION_DENIED,
                f"{host} requires the password itself, which is sent to engines only with"
                " --engine-credentials",
            )
        if login is not None and login.identity_token:
            answer = control.CredentialsResponse(secret=login.identity_token)
        elif login is not None:
            answer = control.CredentialsResponse(username=login.username, secret=login.password)
        await stream.send_message(encode(answer))

    async def _authority(self, stream: Any) -> None:
        """A key that stands for our login: engines share tokens among those who have it."""
        request = decode(control.TokenAuthorityRequest, await stream.recv_message())
        if await asyncio.to_thread(self._login, request.host) is None:
            raise GRPCError(Status.UNAVAILABLE, f"no login for {request.host}")
        public = self._key(request.host, request.salt).public_key().public_bytes_raw()
        await stream.send_message(encode(control.TokenAuthorityResponse(public_key=public)))

    async def _verify(self, stream: Any) -> None:
        request = decode(control.VerifyAuthorityRequest, await stream.recv_message())
        signature = self._key(request.host, request.salt).sign(request.payload)
        signed = signature + request.payload  # NaCl's form
        await stream.send_message(encode(control.VerifyAuthorityResponse(signed=signed)))

    async def _fetch(self, stream: Any) -> None:
        request = decode(control.FetchTokenRequest, await stream.recv_message())
        try:
            token = await asyncio.to_thread(self._token, request)
        except HomeportError as error:
            raise GRPCError(Status.UNAUTHENTICATED, error.what) from error
        answer = control.FetchTokenResponse(token=token, expires_in=_TOKEN_LIFE)
        await stream.send_message(encode(answer))

    def _token(self, request: control.FetchTokenRequest) -> str:
        # 60 ms that a build without a registry that uses tokens saves
        from homeport.registry.tokens import Realm, fetch_token

        realm = Url.parse(request.realm)
        sender = self._names(request.host, realm)
        named = Realm(url=realm, service=request.service, named_by=sender)
        scopes = frozenset(request.scopes)
        return fetch_token(
            self.client(), named, scopes, self._login(request.host), deadline=None
        ).value

    def _names(self, host: str, realm: Url) -> Sender:
        """The registry, if it names that token service itself; else an error."""
        # 60 ms that a build without a registry that uses tokens saves
        from homeport.net.client import Request
        from homeport.registry.challenge import parse_challenges
        from homeport.registry.endpoint import endpoint_for

        for base in endpoint_for(host).candidates:
            try:
                response = self.client().send(Request(method="GET", url=base))
            except HomeportError:
                continue
            challenges = parse_challenges(response.header_values("www-authenticate"))
            response.close()
            if any(each.parameters.get("realm") == str(realm) for each in challenges):
                return response.sender
        raise HomeportError(
            f"the engine asks for a token from {realm.netloc}, which {host} does not refer to"
        )

    def _login(self, host: str) -> Login | None:
        return self.find("docker.io" if host in _HUB_HOSTS else host)

    def _key(self, host: str, salt: bytes) -> Ed25519PrivateKey:
        # 6 ms that a build without credentials saves
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        seed = hashlib.sha256(self._seed + host.encode() + b"\0" + salt).digest()
        return Ed25519PrivateKey.from_private_bytes(seed)
