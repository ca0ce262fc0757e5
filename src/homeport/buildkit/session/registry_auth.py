"""Registries' credentials for an engine: scoped tokens by choice, a password only if allowed.

An engine that pulls or pushes asks its client. It is answered about registries that the build
names, no others: it could make this machine send requests anywhere. Where the registry uses
tokens, we fetch one to pull (or push) the repositories that the build names, and the engine
never sees the password; the token service is asked only if the registry itself names it, or an
engine could have our password sent anywhere. Registries that require the password itself get it
through the engine only with ``--engine-credentials``, and only over a connection that others
cannot read.
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
from homeport.buildkit.session.repositories import Repositories, registry_of
from homeport.buildkit.session.session import Service
from homeport.errors import HomeportError
from homeport.net.url import Url

# The rest is imported when an engine asks: most builds talk to no registry.
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from homeport.net.client import Client
    from homeport.registry.login import Login
    from homeport.registry.tokens import Realm

_AUTH = "/moby.filesync.v1.Auth/"
_TOKEN_LIFE = 60  # seconds that an engine may keep a token; it asks again
_MOST_SCOPES = 5  # that an error names


class RegistryAuth(msgspec.Struct, frozen=True, kw_only=True):
    """Where logins come from, and what an engine may have of them.

    named:     the repositories that the build names, found when an engine asks
    passwords: whether it may have passwords as they are
    """

    find: Callable[[str], Login | None]
    client: Callable[[], Client]
    named: Callable[[], Repositories] = Repositories
    passwords: bool = False
    _found: list[Repositories] = msgspec.field(default_factory=list)
    _seed: bytes = msgspec.field(default_factory=lambda: secrets.token_bytes(32))

    def __repr__(self) -> str:
        return f"RegistryAuth(passwords={self.passwords})"

    def _repositories(self) -> Repositories:
        if not self._found:
            self._found.append(self.named())
        return self._found[0]

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
        from homeport.registry.tokens import fetch_token

        host = request.host
        scopes = self._repositories().permitted(host, request.scopes)
        if not scopes:
            asked = ", ".join(request.scopes[:_MOST_SCOPES])
            raise HomeportError(
                f"refused to give the engine a token of {host} for {asked or 'no repository'}: the"
                " build does not name it; --allow-pull REPOSITORY lets the engine pull more"
            )
        realm = self._realm(host, Url.parse(request.realm))
        return fetch_token(self.client(), realm, scopes, self._login(host), deadline=None).value

    def _realm(self, host: str, url: Url) -> Realm:
        """The token service at ``url``, if the registry itself names it; else an error."""
        # 60 ms that a build without a registry that uses tokens saves
        from homeport.net.client import Request
        from homeport.registry.challenge import parse_challenges
        from homeport.registry.endpoint import endpoint_for
        from homeport.registry.tokens import Realm

        for base in endpoint_for(host).candidates:
            try:
                response = self.client().send(Request(method="GET", url=base))
            except HomeportError:
                continue
            challenges = parse_challenges(response.header_values("www-authenticate"))
            response.close()
            for each in challenges:
                if each.parameters.get("realm") == str(url):
                    service = each.parameters.get("service", "")
                    return Realm(url=url, service=service, named_by=response.sender)
        raise HomeportError(
            f"the engine asks for a token from {url.netloc}, which {host} does not refer to"
        )

    def _login(self, host: str) -> Login | None:
        if not self._repositories().has_registry(host):
            return None
        return self.find(registry_of(host))

    def _key(self, host: str, salt: bytes) -> Ed25519PrivateKey:
        # 6 ms that a build without credentials saves
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        seed = hashlib.sha256(self._seed + host.encode() + b"\0" + salt).digest()
        return Ed25519PrivateKey.from_private_bytes(seed)
