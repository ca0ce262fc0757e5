"""What a registry's error response means, in the user's words (distribution spec, "Error Codes").

A body may be anything: JSON in several dialects, a web page, nothing. Only a short,
printable part of it is shown, with the place and the status.
"""

from __future__ import annotations

import contextlib
import shlex
from typing import Any

import msgspec

from homeport.errors import HomeportError
from homeport.net.errors import NetError
from homeport.net.response import Response
from homeport.net.url import redact
from homeport.printable import printable
from homeport.registry.rate_limits import pulls_allowed

_BODY_LIMIT = 64 << 10
_SHOWN = 300


class RegistryError(HomeportError):
    """The registry returned an error; ``status`` and ``codes`` are from its response."""

    id = "registry"

    def __init__(self, what: str, *, status: int = 0, codes: tuple[str, ...] = (), **more: Any):
        super().__init__(what, **more)
        self.status = status
        self.codes = codes


class Unauthorized(RegistryError):
    """Authentication failed: wrong credentials, or none."""

    id = "unauthorized"


class Denied(RegistryError):
    """Authenticated, but not permitted."""

    id = "denied"


class NotFound(RegistryError):
    """The registry has no such repository, tag, manifest or blob."""

    id = "not-found"


class RateLimited(RegistryError):
    """Too many requests; the hint says how long to wait."""

    id = "rate-limited"


class PartsMissing(RegistryError):
    """A manifest was refused because the registry lacks what it names."""

    id = "parts-missing"


class TagTaken(RegistryError):
    """The tag must not be moved: the registry's rule or ``--no-clobber``."""

    id = "tag-taken"
    exit_code = 3


class Unsupported(RegistryError):
    """The registry does not support this."""

    id = "unsupported"


class ProtocolBroken(RegistryError):
    """The registry's response violates the protocol."""

    id = "protocol"


class ServerFailed(RegistryError):
    """The registry returned a server error, after all retries."""

    id = "server-failed"


_MISSING = frozenset({"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"})
_IMMUTABLE = frozenset({"TAG_INVALID", "PRECONDITION", "IMAGETAGALREADYEXISTS"})


def failure(response: Response, doing: str, *, scopes: str = "") -> RegistryError:
    """The error that ``response`` means while ``doing`` something; the response is closed."""
    codes, text = read_errors(response)
    status = response.status
    host = response.url.netloc
    where: dict[str, str | int] = {"registry": host, "status": status}
    for name in ("x-request-id", "docker-request-id", "x-amzn-requestid"):
        if found := response.headers.get(name):
            where["request"] = printable(found[:80])
            break
    details = f": {text}" if text else ""
    what = f"{host}: cannot {doing} ({status}){details}"
    more: dict[str, Any] = {"status": status, "codes": codes, "where": where}
    kind: type[RegistryError] = RegistryError
    hint = None
    if status == 401:
        kind, hint = Unauthorized, f"log in: homeport login {shlex.quote(host)}"
        what = f"{host}: authentication failed (401){details}"
    elif status == 412 or (status in (400, 409) and _IMMUTABLE.intersection(codes)):
        kind, hint = TagTaken, "a rule of the registry makes this tag immutable"
    elif status == 403 or "DENIED" in codes:
        kind = Denied
        hint = (
            f"requested scope: {scopes}" if scopes else "ask the registry's operator for permission"
        )
    elif status == 429:
        kind, hint = RateLimited, _wait_hint(response)
    elif status == 413:
        hint = "the registry, or a proxy in front of it, limits the size of uploads"
    elif doing.startswith("upload") and status in (400, 404) and _MISSING.intersection(codes):
        kind = PartsMissing
    elif status == 404:
        kind = NotFound
    elif status in (405, 501) or "UNSUPPORTED" in codes:
        kind = Unsupported
    elif status >= 500:
        kind = ServerFailed
        what = f"{host}: cannot {doing}: server error ({status}){details}"
    return kind(what, hint=hint, **more)


def read_errors(response: Response) -> tuple[tuple[str, ...], str]:
    """The error codes and a short printable text in the body of ``response``."""
    raw = b""
    # The status is what counts; a body that is cut or too long adds nothing.
    with contextlib.suppress(NetError), response:
        while len(raw) < _BODY_LIMIT and (chunk := response.read(_BODY_LIMIT)):
            raw += chunk
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        text = raw.decode(errors="replace") if response.media_type == "text/plain" else ""
        return (), _short(text)
    return _from_json(document)


def _from_json(document: Any) -> tuple[tuple[str, ...], str]:
    if not isinstance(document, dict):
        return (), ""
    found = document.get("errors")
    if not isinstance(found, list):
        for key in ("error_description", "details", "message", "error"):
            if isinstance(document.get(key), str):
                return (), _short(document[key])
        return (), ""
    codes, texts = [], []
    for one in found[:20]:
        if not isinstance(one, dict):
            continue
        code = one.get("code")
        if isinstance(code, str):
            codes.append(code.upper()[:64])
        text = one.get("message")
        detail = one.get("detail")
        parts = [part for part in (code, text, detail) if isinstance(part, str) and part]
        texts.append(" ".join(dict.fromkeys(parts)))
    return tuple(codes), _short("; ".join(dict.fromkeys(texts)))


def _wait_hint(response: Response) -> str:
    wait = response.headers.get("retry-after", "")
    if wait.isascii() and wait.isdigit():
        return f"retry after {wait} s"
    if wait:
        return f"retry after {printable(wait[:60])}"
    if allowed := pulls_allowed(response.headers):
        return f"the registry allows {allowed}; log in for a higher limit"
    return "the registry gave no time to wait; log in for a higher limit"


def _short(text: str) -> str:
    text = redact(printable(" ".join(text.split())))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
