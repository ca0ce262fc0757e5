"""Who must have signed: a key, or an identity that a certificate names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from homeport.attest.keys.public_key import PublicKey
from homeport.attest.sigstore.certificate import Identity
from homeport.attest.sigstore.trusted_root import Period, TrustedRoot


class KeySigner(msgspec.Struct, frozen=True, kw_only=True):
    """The holder of one of these keys.

    period: when the keys were in use. Without a verified time of signing, it must cover today
            (GHSA-wqqc-jjcq-vfxm: keys that were used after their end)
    root:   with the logs that a signature must be in; ``None``: in none
    """

    name: str
    keys: tuple[PublicKey, ...]
    period: Period = Period()
    root: TrustedRoot | None = None


class IdentitySigner(msgspec.Struct, frozen=True, kw_only=True):
    """Someone whom an issuer attested, by a certificate of Fulcio.

    names:  subject alternative names; a ``*`` at the end makes it a prefix. No other patterns:
            regular expressions of others can take time and memory without bound (CVE-2023-25656)
    issuer: of the identity token, exactly
    claims: what else the certificate must say, with the same patterns
    root:   the authorities and logs that are believed
    accepts_ref: why a source ref is not right, or ``""``
    """

    name: str
    names: tuple[str, ...]
    issuer: str
    claims: dict[str, tuple[str, ...]] = {}
    root: TrustedRoot
    accepts_ref: Callable[[str], str] = lambda _ref: ""

    def mismatch(self, identity: Identity) -> str:
        """Why the signer is not ``identity``, or ``""``."""
        if identity.issuer != self.issuer:
            return f"the issuer is {identity.issuer!r}, expected {self.issuer!r}"
        if not any(matches(pattern, identity.name) for pattern in self.names):
            return f"the signer is {identity.name!r}, expected {' or '.join(self.names)}"
        for claim, patterns in self.claims.items():
            found = identity.claims.get(claim, "")
            if not any(matches(pattern, found) for pattern in patterns):
                return f"its {claim} is {found!r}, expected {' or '.join(patterns)}"
        return self.accepts_ref(identity.claims.get("source-ref", ""))


Signer = KeySigner | IdentitySigner


def matches(pattern: str, text: str) -> bool:
    """Whether ``text`` is ``pattern``, or begins with what stands before a final ``*``."""
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    return text == pattern


def in_period(period: Period, signed_at: datetime | None, now: datetime) -> bool:
    """Whether keys were in use when a signature was made; the present counts if that is unknown."""
    return period.covers(signed_at or now)
