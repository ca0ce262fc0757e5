"""An open upload: where its next request goes, and how much the registry has.

``Location`` may be absolute or relative, on another host, with a signed query; the newest one
counts. Registries behind a proxy that ends TLS name ``http`` for what is reached by ``https``.
"""

from __future__ import annotations

import re

import msgspec

from homeport.net.response import Response
from homeport.net.url import BadUrl, Url
from homeport.registry.errors import ProtocolBroken

PIECE = 32 << 20  # bytes of a piece where the registry does not ask for more
LARGEST_MINIMUM = 1 << 30  # a registry that asks for larger pieces gets the blob whole


class UploadSession(msgspec.Struct, kw_only=True):
    """An open upload: where the next request goes, and how much the registry has."""

    location: Url
    offset: int = 0
    piece: int | None = None


def open_session(response: Response) -> UploadSession:
    """The session that the answer to a POST opened; closes the answer."""
    with response:
        session = UploadSession(location=newest_location(response, None))
        smallest = _smallest_piece(response.headers.get("oci-chunk-min-length", ""))
        if smallest is not None:
            session.piece = max(PIECE, smallest)
    return session


def _smallest_piece(text: str) -> int | None:
    """Bytes that a piece must have; a value that is not a number from 1 B to 1 GiB is ignored."""
    if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        return None
    return int(text) if 0 < int(text) <= LARGEST_MINIMUM else None


def newest_location(response: Response, current: Url | None) -> Url:
    """Where the upload goes on: the newest ``Location``, read where it was seen."""
    location = response.headers.get("location", "")
    if not location and current is not None:
        return current
    try:
        found = response.url.join(location)
    except BadUrl as error:
        raise ProtocolBroken(
            f"{response.url.netloc} returned no valid upload location ({location[:80]!r})"
        ) from error
    return upgraded(found, response.url)


def upgraded(found: Url, seen_at: Url) -> Url:
    """``found`` over https if it is the same host: behind a proxy it does not know better."""
    if seen_at.scheme == "https" and found.scheme == "http" and found.host == seen_at.host:
        port = seen_at.port if found.port == 80 else found.port
        return Url(scheme="https", host=found.host, port=port, target=found.target)
    return found
