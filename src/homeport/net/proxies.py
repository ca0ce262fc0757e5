"""Which proxy a request goes through: ``http_proxy``, ``https_proxy``, ``no_proxy``.

Rules as most programs of the field have them (Go's ``httpproxy``): lower case wins over
upper case, loopback is never proxied, ``HTTP_PROXY`` is ignored inside a CGI program
(where a client sets it), ``no_proxy`` takes names, ``.suffix``, ``*``, addresses, networks
and an optional port.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

import msgspec

from homeport.net.url import BadUrl, Url


class Proxies(msgspec.Struct, frozen=True, kw_only=True):
    """The proxy of each scheme, and the hosts that are reached directly."""

    http: Url | None = None
    https: Url | None = None
    no_proxy: tuple[str, ...] = ()

    def proxy_for(self, url: Url) -> Url | None:
        """The proxy that a request for ``url`` goes through, or ``None``."""
        proxy = self.https if url.scheme == "https" else self.http
        if proxy is None or url.is_loopback:
            return None
        return None if any(_matches(entry, url) for entry in self.no_proxy) else proxy


def from_environment(environment: Mapping[str, str]) -> Proxies:
    """Read the variables. Raises ``BadUrl`` that names the variable."""
    no_proxy = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    return Proxies(
        http=_read(environment, ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")),
        https=_read(environment, ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")),
        no_proxy=tuple(part for part in no_proxy.lower().replace(",", " ").split() if part),
    )


def _read(environment: Mapping[str, str], names: tuple[str, ...]) -> Url | None:
    for name in names:
        if name == "HTTP_PROXY" and "REQUEST_METHOD" in environment:
            continue
        text = environment.get(name, "").strip()
        if not text:
            continue
        if "://" not in text:
            text = f"http://{text}"
        try:
            return Url.parse(text)
        except BadUrl as error:
            raise BadUrl(
                f"the variable {name} does not hold the URL of a proxy",
                where={"variable": name},
                hint="write it like http://proxy.example:3128",
            ) from error
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
