"""Time-stamp tokens (RFC 3161): when a signature existed, by an authority of the trusted root.

Tokens are parsed and verified by ``rfc3161-client``, which is loaded when one is there.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from homeport.attest.errors import BadSignature
from homeport.attest.sigstore.rfc3161 import library
from homeport.attest.sigstore.trusted_root import Authority, TrustedRoot

if TYPE_CHECKING:
    from rfc3161_client import Verifier


def timestamp_of(token: bytes, signature: bytes, root: TrustedRoot) -> datetime:
    """The time of a token over ``signature``. Raises ``BadSignature``."""
    rfc3161_client = library()

    try:
        response = rfc3161_client.decode_timestamp_response(token)
        time: datetime = response.tst_info.gen_time
    except ValueError as error:
        raise BadSignature(f"the time stamp is not valid: {error}") from error
    reason = "no time-stamp authority of the trusted root made the time stamp"
    for authority in root.timestamp_authorities:
        try:
            _verifier(authority).verify_message(response, signature)
        except (rfc3161_client.VerificationError, ValueError) as error:
            if "Mismatch" in str(error):
                reason = "the time stamp is of another signature"
            continue
        if authority.period.covers(time):
            return time
        reason = f"the time-stamp authority was not trusted at {time:%Y-%m-%dT%H:%M:%SZ}"
    raise BadSignature(reason)


def _verifier(authority: Authority) -> Verifier:
    # 70 ms that images without time-stamp tokens save
    import rfc3161_client

    leaf, *others = authority.chain
    builder = rfc3161_client.VerifierBuilder(
        tsa_certificate=leaf, intermediates=others[:-1], roots=[others[-1] if others else leaf]
    )
    return builder.build()
