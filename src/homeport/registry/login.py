"""What proves who we are to one registry. Where it is found: ``registry.credentials``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user name and password, an identity token, or a ready registry token.

    identity_token: exchanged for tokens at the realm (OAuth2 refresh token)
    registry_token: sent as it is
    source:         where it was found, for ``-v``; never the secret itself
    """

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)
    source: str = ""


#: Looks the login up, afresh each time: helpers hand out secrets that change.
Lookup = Callable[[], Login | None]


def anonymous() -> Login | None:
    return None
