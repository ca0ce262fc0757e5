"""Identity tokens (OpenID Connect) that a CI system gives its jobs.

GitHub Actions answers a request (``permissions: id-token: write``); GitLab sets a variable
(``id_tokens: {SIGSTORE_ID_TOKEN: {aud: sigstore}}``). The token is not verified here: the
certificate authority does that.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from homeport.attest.errors import SigningFailed
from homeport.attest.sigstore.services import ask, expect
from homeport.known_secrets import keep_secret
from homeport.net.client import Client

TOKEN_VARIABLE = "SIGSTORE_ID_TOKEN"  # noqa: S105  the name of a variable
_GITHUB_URL = "ACTIONS_ID_TOKEN_REQUEST_URL"
_GITHUB_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"  # noqa: S105  the name of a variable
_AUDIENCE = "sigstore"
_SOURCES = (
    "make a key with homeport key generate -o cosign and name it with --key cosign.key; or for an"
    f" identity: set {TOKEN_VARIABLE}, or run in GitHub Actions with permissions: id-token: write"
)


class IdentityToken(msgspec.Struct, frozen=True):
    """A token and what it claims; ``repr`` hides it."""

    text: str
    issuer: str
    subject: str
    email: str = ""

    def __repr__(self) -> str:
        return f"IdentityToken({self.email or self.subject!r}, {self.issuer!r})"


class _Claims(msgspec.Struct):
    iss: str
    sub: str
    exp: float
    email: str = ""


class _GitHub(msgspec.Struct):
    value: str


_GITHUB_DECODER = msgspec.json.Decoder(_GitHub)
_CLAIMS_DECODER = msgspec.json.Decoder(_Claims)


def find_token(
    given: str, environment: Mapping[str, str], client: Callable[[], Client], now: datetime
) -> IdentityToken:
    """The token that was given, of a variable, or of GitHub. Raises ``SigningFailed``."""
    if given.startswith("env://"):
        given = environment.get(given.removeprefix("env://"), "")
    text = given or environment.get(TOKEN_VARIABLE, "")
    if not text and environment.get(_GITHUB_URL) and environment.get(_GITHUB_TOKEN):
        keep_secret(environment[_GITHUB_TOKEN])
        url = f"{environment[_GITHUB_URL]}&audience={_AUDIENCE}"
        answer = ask(client(), "GitHub", "GET", url, token=environment[_GITHUB_TOKEN])
        text = expect(answer, "GitHub", _GITHUB_DECODER, (200,)).value
    if not text:
        raise SigningFailed("there is no key and no identity token to sign with", hint=_SOURCES)
    keep_secret(text.strip())
    return _read(text.strip(), now)


def _read(text: str, now: datetime) -> IdentityToken:
    parts = text.split(".")
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = _CLAIMS_DECODER.decode(base64.urlsafe_b64decode(padded))
        end = datetime.fromtimestamp(claims.exp, UTC)
    except (IndexError, ValueError, binascii.Error, msgspec.DecodeError, OverflowError) as error:
        raise SigningFailed("the identity token is not one", hint=_SOURCES) from error
    if end <= now:
        raise SigningFailed(
            f"the identity token expired at {end:%Y-%m-%dT%H:%M:%SZ}",
            hint="get a new one; if it is new, check this machine's clock",
        )
    return IdentityToken(text, claims.iss, claims.sub, claims.email)
