"""How registries are accessed in one run, where that differs from the user's configuration."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from homeport.registry.login import Login


class RegistryAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What ``--creds``, ``--plain-http`` and ``--timeout`` say, for the one registry they mean.

    login:      instead of the login that docker or podman saved
    plain_http: no TLS; by default only a registry on loopback is accessed so
    timeout:    seconds for all requests together
    on_login:   is told once for each registry which login is used
    on_limit:   is told once for each registry how many pulls are left, if it says so
    """

    login: Login | None = None
    plain_http: bool = False
    timeout: float | None = None
    on_login: Callable[[str, Login], None] | None = None
    on_limit: Callable[[str, str], None] | None = None
