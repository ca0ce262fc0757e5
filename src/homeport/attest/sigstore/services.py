"""Requests to the services of a Sigstore: one way to ask, one way to fail.

A service that does not answer, or answers no, is ``SigningFailed`` naming it; nothing has been
written by then.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from homeport.attest.errors import SigningFailed
from homeport.errors import HomeportError, Interrupted
from homeport.net.client import Client
from homeport.net.retries import READ, TOKEN
from homeport.net.url import Url
from homeport.printable import printable

T = TypeVar("T")
_LIMIT = 1 << 20
_REASON = 300  # characters of a service's own words


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """An answer: its status, body and the headers that matter."""

    status: int
    body: bytes
    location: str = ""


def ask(
    client: Client, service: str, method: str, url: str, *, body: bytes | None = None,
    content_type: str = "application/json", accept: str = "application/json", token: str = "",
) -> Asked:  # fmt: skip
    """Make a request; ``token`` is sent to the host of ``url`` only. Raises ``SigningFailed``."""
    headers = {"Accept": accept}
    if body is not None:
        headers["Content-Type"] = content_type
    try:
        target = Url.parse(url)
        if token and target.scheme != "https" and not target.is_loopback:
            raise SigningFailed(f"{service}: a token is not sent to {url} without TLS")
        rule = READ if method == "GET" else TOKEN

        def authorize(hop: Url) -> str | None:
            own = (hop.scheme, hop.netloc) == (target.scheme, target.netloc)
            return f"Bearer {token}" if token and own else None

        def once() -> Asked:
            with client.request(
                method, target, headers=headers, body=body, rule=rule, authorize=authorize
            ) as response:
                return Asked(
                    status=response.status,
                    body=response.read_all(_LIMIT, f"the answer of {service}"),
                    location=response.headers.get("location", ""),
                )

        # A service that took a request whose answer was lost says so, or does it once more.
        return client.retrier.reread(once, client.cancel)
    except (Interrupted, SigningFailed):
        raise
    except HomeportError as error:
        raise SigningFailed(
            f"{service}: {error.what}", where={"url": url},
            hint="nothing was signed; run the command again when the service can be reached",
        ) from error  # fmt: skip


def expect(
    answer: Asked, service: str, decoder: msgspec.json.Decoder[T], statuses: tuple[int, ...]
) -> T:
    """The document in an answer. Raises ``SigningFailed`` with the service's reason."""
    if answer.status not in statuses:
        reason = printable(answer.body[:_REASON].decode("utf-8", "replace"))
        raise SigningFailed(f"{service}: status {answer.status}: {reason}")
    try:
        return decoder.decode(answer.body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise SigningFailed(f"{service}: the answer is not valid: {error}") from error
