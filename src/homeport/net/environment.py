"""The client's settings as environment variables give them.

http_proxy, https_proxy, no_proxy (and upper case)   net.proxies
HOMEPORT_TRUSTED_HOSTS     hosts that servers may send us to although their address is
                           private; names separated by commas or blanks
HOMEPORT_CONNECT_TIMEOUT   seconds in which a host must answer an attempt to connect
HOMEPORT_STALL             seconds without a byte after which a connection counts as dead
SSL_CERT_FILE, SSL_CERT_DIR   read by OpenSSL itself
"""

from __future__ import annotations

from collections.abc import Mapping

from homeport.errors import UsageError
from homeport.net.client import Settings
from homeport.net.proxies import from_environment
from homeport.net.tls_settings import Trust


def client_settings(environment: Mapping[str, str], trust: Trust | None = None) -> Settings:
    """Settings for a ``Client``. Raises ``UsageError`` that names the variable."""
    hosts = environment.get("HOMEPORT_TRUSTED_HOSTS", "").replace(",", " ").lower().split()
    defaults = Settings()
    return Settings(
        proxies=from_environment(environment),
        trust=trust or defaults.trust,
        trusted_hosts=frozenset(hosts),
        connect_timeout=_seconds(environment, "HOMEPORT_CONNECT_TIMEOUT", defaults.connect_timeout),
        stall=_seconds(environment, "HOMEPORT_STALL", defaults.stall),
    )


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "")
    if not text:
        return default
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 86400:
        raise UsageError(
            f"invalid {name}: expected seconds between 0 and 86400", where={"variable": name}
        )
    return found
