"""Where a registry is: from the host in a reference to the URL that is asked.

TLS always, unless the user chose otherwise and on this machine itself: loopback is
tried without TLS first (it costs less, and no network is in between), then with it. Trust
and mirrors by host: ``registry.hosts``.
"""

from __future__ import annotations

import msgspec

from homeport.net.url import Url, is_loopback
from homeport.oci.reference import DEFAULT_REGISTRY

#: Docker Hub's API is not where its name points (distribution's reference package).
_API_HOSTS = {DEFAULT_REGISTRY: "registry-1.docker.io"}


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One way to a registry.

    name:       the host as references write it, for messages and credentials
    plain_http: without TLS; ``None`` means only if this machine itself serves it so
    root:       path of the API (some registries live below another)
    namespace:  the registry that this mirror stands in for, told as ``ns=``
    unencrypted_password: whether the user allowed a password to travel without TLS
    """

    name: str
    host: str
    plain_http: bool | None = None
    root: str = "/v2/"
    namespace: str = ""
    unencrypted_password: bool = False

    @property
    def candidates(self) -> tuple[Url, ...]:
        """Base URLs to try, best first."""
        secure = Url.parse(f"https://{self.host}{self.root}")
        plain = Url.parse(f"http://{self.host}{self.root}")
        if self.plain_http is not None:
            return (plain,) if self.plain_http else (secure,)
        return (plain, secure) if is_loopback(secure.host) else (secure,)


def endpoint_for(
    registry: str, *, plain_http: bool | None = None, unencrypted_password: bool = False
) -> Endpoint:
    """The endpoint of the registry that a reference names."""
    return Endpoint(
        name=registry,
        host=_API_HOSTS.get(registry, registry),
        plain_http=plain_http,
        unencrypted_password=unencrypted_password,
    )
