"""URLs that cannot print a password.

A ``Url`` keeps its path and query exactly as they were written, because registries
sign them byte for byte (``_state``, pre-signed storage URLs); ``str()`` and ``repr()``
leave out the password and the values of queries that grant access. Only ``wire()``
gives the true text, for the request line.

Not a general parser: only absolute ``http`` and ``https``.
"""

from __future__ import annotations

import ipaddress
import re
import urllib.parse

import msgspec

from homeport.errors import UsageError
from homeport.known_secrets import keep_secret

_PORTS = {"http": 80, "https": 443}
_UNSAFE = r"[\x00-\x20\x7f<>\"\\^`{|}]"
_NOT_UTF_8 = r"[\ud800-\udfff]"  # bytes of an argument that are not UTF-8
_HOST = r"[A-Za-z0-9._-]+"
_HIDDEN = "***"
#: Query parameters whose value grants access, as a password does.
_GRANTING = (
    r"(?i)((?:^|[?&])(?:[^=&]*(?:signature|token|secret|password|credential|key-pair-id|policy)[^=&]*"
    r"|sig|se|_state|code)=)[^&]+"
)


class BadUrl(UsageError):
    """Text that is not an absolute http or https URL."""

    id = "bad-url"


class Url(msgspec.Struct, frozen=True, kw_only=True):
    """An absolute URL. Equal when everything, the password included, is equal."""

    scheme: str
    host: str
    port: int
    target: str
    username: str = ""
    password: str = ""

    def __post_init__(self) -> None:
        if self.password:
            keep_secret(self.password)

    @classmethod
    def parse(cls, text: str) -> Url:
        """Read an absolute URL; raises ``BadUrl`` (without repeating a password)."""
        if re.search(_UNSAFE, text) or len(text) > 16384:
            raise BadUrl(f"invalid URL {redact(text)!r}: it holds blanks or control characters")
        if re.search(_NOT_UTF_8, text):
            raise BadUrl(f"invalid URL {redact(text)!r}: it is not UTF-8")
        try:
            parts = urllib.parse.urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise BadUrl(f"invalid URL {redact(text)!r}: {error}") from error
        if parts.scheme not in _PORTS:
            raise BadUrl(f"invalid URL {redact(text)!r}: it must start with https:// or http://")
        target = parts.path or "/"
        if parts.query or "?" in text.partition("#")[0]:
            target += f"?{parts.query}"
        return cls(
            scheme=parts.scheme,
            host=_host(parts.hostname or "", text),
            port=_PORTS[parts.scheme] if port is None else port,
            target=urllib.parse.quote(target, safe="".join(map(chr, range(33, 127)))),
            username=urllib.parse.unquote(parts.username or ""),
            password=urllib.parse.unquote(parts.password or ""),
        )

    def join(self, location: str) -> Url:
        """The URL that ``location`` (a header, a link) means when seen here (RFC 3986)."""
        if not location.strip():
            raise BadUrl("the location is empty")
        try:
            joined = urllib.parse.urljoin(self.wire(), location.strip())
        except ValueError as error:
            raise BadUrl(f"invalid URL {redact(location)!r}: {error}") from error
        return Url.parse(joined)

    def with_query(self, addition: str) -> Url:
        """With ``addition`` (already encoded) after the query that is there, kept as it is."""
        mark = "&" if "?" in self.target else "?"
        if self.target.endswith(("?", "&")):
            mark = ""
        return self.with_target(f"{self.target}{mark}{addition}")

    def with_target(self, target: str) -> Url:
        """The same place with another path and query."""
        return Url(
            scheme=self.scheme, host=self.host, port=self.port, target=target,
            username=self.username, password=self.password,
        )  # fmt: skip

    @property
    def origin(self) -> tuple[str, str, int]:
        return (self.scheme, self.host, self.port)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def netloc(self) -> str:
        """Host and port as in the Host header."""
        host = bracketed(self.host)
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether the host is spelled as this machine; no name is resolved."""
        return is_loopback(self.host)

    def wire(self) -> str:
        """The true text without user and password; for requests only."""
        return f"{self.scheme}://{self.netloc}{self.target}"

    def __str__(self) -> str:
        user = f"{self.username}:{_HIDDEN}@" if self.username or self.password else ""
        target = re.sub(_GRANTING, rf"\g<1>{_HIDDEN}", self.target)
        return f"{self.scheme}://{user}{self.netloc}{target}"

    __repr__ = __str__


def bracketed(host: str) -> str:
    """``host`` as it stands before a port: IPv6 in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def redact(text: str) -> str:
    """Free text in which passwords inside URLs and granting queries are hidden."""
    text = re.sub(r"(://[^/\s:@]*):[^/\s@]*@", rf"\1:{_HIDDEN}@", text)
    return re.sub(
        r"((?:signature|token|password|secret|credential|sig|_state)=)[^&\s\"']+",
        rf"\1{_HIDDEN}", text, flags=re.IGNORECASE,
    )  # fmt: skip


def is_loopback(host: str) -> bool:
    """``localhost``, ``*.localhost``, 127.0.0.0/8 and ::1."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host(host: str, text: str) -> str:
    if ":" in host:
        try:
            return str(ipaddress.IPv6Address(host.partition("%")[0]))
        except ValueError as error:
            raise BadUrl(f"{redact(text)!r} has no valid host") from error
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError as error:
            raise BadUrl(f"{redact(text)!r} has no valid host") from error
    if not re.fullmatch(_HOST, host) or len(host) > 253:
        raise BadUrl(f"{redact(text)!r} has no valid host")
    return host.lower()
