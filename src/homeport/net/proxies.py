"""Which proxy a request goes through: ``http_proxy``, ``https_proxy``, ``no_proxy``.

The rules are those of Go's ``httpproxy``: lower case wins over
upper case, loopback is never proxied, ``HTTP_PROXY`` is ignored inside a CGI program
(where a client sets it), ``no_proxy`` takes names, ``.suffix``, ``*``, addresses, networks
and an optional port.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

import msgspec

from homeport.errors import UsageError
from homeport.net.url import BadUrl, Url


class BadProxy(UsageError):
    """A proxy variable with an invalid value."""

    id = "bad-proxy"


class Proxies(msgspec.Struct, frozen=True, kw_only=True):
    """The proxy of each scheme, and the hosts that are reached directly."""

    http: Url | BadProxy | None = None
    https: Url | BadProxy | None = None
    no_proxy: tuple[str, ...] = ()

    def proxy_for(self, url: Url) -> Url | None:
        """The proxy that a request for ``url`` goes through, or ``None``.

        Raises ``BadProxy`` if the variable that decides it cannot be used.
        """
        proxy = self.https if url.scheme == "https" else self.http
        if proxy is None or url.is_loopback or any(_matches(each, url) for each in self.no_proxy):
            return None
        if isinstance(proxy, BadProxy):
            raise proxy
        return proxy


def from_environment(environment: Mapping[str, str]) -> Proxies:
    """Read the variables; an invalid one is an error only for requests that need it."""
    no_proxy = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    return Proxies(
        http=_read(environment, ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")),
        https=_read(environment, ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")),
        no_proxy=tuple(part for part in no_proxy.lower().replace(",", " ").split() if part),
    )


def _read(environment: Mapping[str, str], names: tuple[str, ...]) -> Url | BadProxy | None:
    for name in names:
        if name == "HTTP_PROXY" and "REQUEST_METHOD" in environment:
            continue
        text = environment.get(name, "").strip()
        if not text:
            continue
        if "://" not in text:
            text = f"http://{text}"
        scheme = text.partition("://")[0].lower()
        if scheme.startswith("socks"):
            return BadProxy(
                f"the variable {name} names a {scheme}:// proxy: SOCKS is not supported",
                where={"variable": name},
                hint="use an http:// or https:// proxy, or list the host in no_proxy",
            )
        try:
            return Url.parse(text)
        except BadUrl:
            return BadProxy(
                f"invalid proxy URL in the variable {name}",
                where={"variable": name},
                hint="write it like http://proxy.example:3128",
            )
    return None


def _matches(entry: str, url: Url) -> bool:
    if entry == "*":
        return True
    entry, port = _split_port(entry)
    if port is not None and port != url.port:
        return False
    try:
        network = ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass
    else:
        try:
            return ipaddress.ip_address(url.host) in network
        except ValueError:
            return False
    name = entry.removeprefix("*").removeprefix(".")
    if entry != name:  # ".example.org" means what is below it, not itself
        return url.host.endswith(f".{name}")
    return url.host == name or url.host.endswith(f".{name}")


def _split_port(entry: str) -> tuple[str, int | None]:
    host, colon, port = entry.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.endswith("]")):
        return host, int(port)
    return entry, None
