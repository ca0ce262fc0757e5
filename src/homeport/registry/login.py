"""What proves who we are to one registry. Where it is found: ``registry.credentials``."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from homeport.known_secrets import keep_secret


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A user name and password, an identity token, or a ready registry token.

    identity_token: exchanged for tokens at the realm (OAuth2 refresh token)
    registry_token: sent as it is
    source:         where it was found, for ``-v``; never the secret itself
    """

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        for secret in (self.password, self.identity_token, self.registry_token):
            keep_secret(secret)

    def __repr__(self) -> str:
        return f"Login(username={self.username!r}, source={self.source!r})"


#: Looks the login up; given a login that the registry rejected, only a different one helps.
Lookup = Callable[[Login | None], Login | None]


def anonymous(_rejected: Login | None = None) -> Login | None:
    return None
