"""Asking a time-stamp authority (RFC 3161 over HTTP)."""

from __future__ import annotations

from homeport.attest.errors import SigningFailed
from homeport.attest.sigstore.rfc3161 import library
from homeport.attest.sigstore.services import ask
from homeport.net.client import Client


def request_timestamp(client: Client, url: str, signature: bytes) -> bytes:
    """A time-stamp response over ``signature``, as DER. Raises ``SigningFailed``."""
    rfc3161_client = library()
    builder = rfc3161_client.TimestampRequestBuilder().data(signature)
    request = (
        builder.hash_algorithm(rfc3161_client.base.HashAlgorithm.SHA256).nonce(nonce=True).build()
    )
    answer = ask(
        client, "the time-stamp authority", "POST", url, body=request.as_bytes(),
        content_type="application/timestamp-query", accept="application/timestamp-reply",
    )  # fmt: skip
    if answer.status not in (200, 201):
        raise SigningFailed(f"the time-stamp authority: status {answer.status}")
    return answer.body
