"""User names and passwords for plain HTTP authentication, and who may see them.

Callers pass a ``Provider``: a function from the URL of the next request to its
credential. It is called again for every hop of a redirect, so a credential reaches the
host it was made for and no other. ``netrc_provider`` reads apt's ``auth.conf`` files.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable

import msgspec

from homeport.errors import UsageError
from homeport.known_secrets import keep_secret
from homeport.net.url import Url


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A user name and a password that is not printed. ``source`` says where it was found."""

    username: str
    password: str
    source: str = ""

    def __post_init__(self) -> None:
        keep_secret(self.password)
        keep_secret(self.basic().partition(" ")[2])

    def __repr__(self) -> str:
        return f"Credential(username={self.username!r}, source={self.source!r})"

    def basic(self) -> str:
        """The value of an ``Authorization`` header (RFC 7617)."""
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + binascii.b2a_base64(pair, newline=False).decode()


Provider = Callable[[Url], Credential | None]


def no_credentials(url: Url) -> Credential | None:
    """The provider without credentials."""
    return None


def authorization(url: Url, provider: Provider) -> str | None:
    """The header for ``url``: its own user and password, or the provider's.

    Nothing goes to a host in clear text, unless that host is this machine or the user
    wrote ``http://`` and the password into one URL.
    """
    if url.username or url.password:
        return Credential(username=url.username, password=url.password).basic()
    if url.scheme != "https" and not url.is_loopback:
        return None
    found = provider(url)
    return found.basic() if found else None


class _Machine(msgspec.Struct, frozen=True):
    host: str
    port: int | None
    path: str
    scheme: str


def netrc_provider(text: str, source: str = "netrc") -> Provider:
    """A provider from netrc lines as apt reads them (apt_auth.conf(5)).

    ``machine [https://]HOST[:PORT][/PATH] login USER password PASSWORD``; the first that
    fits wins. Raises ``UsageError`` with the line; the password is never in it.
    """
    entries = _parse_netrc(text, source)

    def provide(url: Url) -> Credential | None:
        for machine, credential in entries:
            if (
                machine.host == url.host
                and machine.port in (None, url.port)
                and machine.scheme == url.scheme
                and _below(url.path, machine.path)
            ):
                return credential
        return None

    return provide


def _below(path: str, prefix: str) -> bool:
    """apt compares by prefix; a prefix that ends inside a name is not meant."""
    return path.startswith(prefix) and (
        prefix.endswith("/") or len(path) == len(prefix) or path[len(prefix)] in "/?"
    )


def _parse_netrc(text: str, source: str) -> list[tuple[_Machine, Credential]]:
    tokens = [
        (number, word)
        for number, line in enumerate(text.splitlines(), 1)
        if not line.lstrip().startswith("#")
        for word in line.split()
    ]
    entries: list[tuple[_Machine, Credential]] = []
    machine, fields = None, {"login": "", "password": ""}
    position = 0
    while position < len(tokens):
        line, word = tokens[position]
        if position + 1 >= len(tokens):
            raise UsageError(f"{word!r} has no value", where={"file": source, "line": line})
        value = tokens[position + 1][1]
        position += 2
        if word == "machine":
            if machine:
                entries.append((machine, _credential(fields, source)))
            machine, fields = _machine(value, source, line), {"login": "", "password": ""}
        elif word in ("login", "password", "account") and machine:
            fields[word] = value
        else:
            raise UsageError(
                "expected machine, login or password", where={"file": source, "line": line}
            )
    if machine:
        entries.append((machine, _credential(fields, source)))
    return entries


def _credential(fields: dict[str, str], source: str) -> Credential:
    return Credential(username=fields["login"], password=fields["password"], source=source)


def _machine(value: str, source: str, line: int) -> _Machine:
    scheme, separator, rest = value.partition("://")
    if not separator:
        scheme, rest = "https", value
    authority, _, path = rest.partition("/")
    host, _, port = authority.partition(":")
    if not host or (port and not port.isdigit()):
        raise UsageError("machine has no host name", where={"file": source, "line": line})
    return _Machine(host.lower(), int(port) if port else None, f"/{path}", scheme)
