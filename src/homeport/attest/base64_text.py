"""Base64 as the formats of signatures use it: the standard alphabet, padded, nothing else.

Not the URL-safe alphabet: the same bytes could be written in two ways.
"""

from __future__ import annotations

import base64
import binascii

from homeport.attest.errors import BadSignature


def encode(data: bytes) -> str:
    """``data`` as text."""
    return base64.b64encode(data).decode()


def decode(text: str, what: str) -> bytes:
    """The bytes of ``text``. Raises ``BadSignature`` naming ``what``."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSignature(f"{what} is not valid base64") from error
