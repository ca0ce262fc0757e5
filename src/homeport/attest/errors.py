"""Errors of signing and verification."""

from __future__ import annotations

from homeport.errors import AnswerNo, HomeportError


class BadKey(HomeportError):
    """A key file, or what was given as one, that cannot be used; the reason is named."""

    id = "bad-key"


class WrongPassword(BadKey):
    """A private key that its password does not decrypt."""

    id = "wrong-password"


class BadSignature(HomeportError):
    """A signature or attestation that does not prove what it should; the reason is named.

    Raised for one signature; another one of the same image may be valid.
    """

    id = "bad-signature"


class BadTrustedRoot(HomeportError):
    """A trusted root or signing configuration that cannot be read."""

    id = "bad-trusted-root"


class BadPolicy(HomeportError):
    """A policy that cannot be read."""

    id = "bad-policy"
    exit_code = 2


class NotVerified(AnswerNo):
    """The image is not signed as required."""

    id = "not-verified"


class SigningFailed(HomeportError):
    """A service that signing needs gave no usable answer."""

    id = "signing-failed"
