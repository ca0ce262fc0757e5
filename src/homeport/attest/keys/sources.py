"""Where keys and passwords come from: files, ``env://NAME``, ``COSIGN_PASSWORD``, a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from homeport.attest.errors import BadKey
from homeport.attest.keys.private_key import (
    AskPassword,
    PrivateKey,
    encrypt_key,
    generate_key,
    read_private_key,
)
from homeport.attest.keys.public_key import PublicKey, read_public_key
from homeport.content.files import read_input, write_file
from homeport.errors import UsageError
from homeport.known_secrets import keep_secret

PASSWORD_VARIABLE = "COSIGN_PASSWORD"  # noqa: S105  the name of a variable
_ENV = "env://"
_LIMIT = 64 << 10  # bytes of a key file
#: Other places that cosign reads keys from.
_UNSUPPORTED = ("awskms://", "gcpkms://", "azurekms://", "hashivault://", "k8s://", "pkcs11:",
                "openbao://", "gitlab://", "github://", "https://", "http://")  # fmt: skip


class KeyPair(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a new key pair."""

    private: str
    public: str
    fingerprint: str


def load_private_key(
    place: str, environment: Mapping[str, str], ask_password: AskPassword | None = None
) -> PrivateKey:
    """The private key in a file or a variable.

    ask_password: asked if ``COSIGN_PASSWORD`` is not set; ``None`` where no person can be asked
    """
    return read_private_key(
        _read(place, environment), lambda: password(environment, ask_password, place), place
    )


def load_public_key(place: str, environment: Mapping[str, str]) -> PublicKey:
    """The public key in a file or a variable."""
    return read_public_key(_read(place, environment), place)


def password(environment: Mapping[str, str], ask_password: AskPassword | None, what: str) -> bytes:
    """The password of a key. Raises ``BadKey`` if there is nowhere to get it from."""
    found = environment.get(PASSWORD_VARIABLE)
    if found is not None:
        keep_secret(found)
        return found.encode("utf-8", "surrogateescape")
    if ask_password is None:
        raise BadKey(
            f"{what} is encrypted, and {PASSWORD_VARIABLE} is not set",
            hint=f"set {PASSWORD_VARIABLE}, or run the command on a terminal",
        )
    answer = ask_password()
    keep_secret(answer.decode("utf-8", "surrogateescape"))
    return answer


def write_key_pair(prefix: str, secret: bytes) -> KeyPair:
    """Make a key pair and write ``PREFIX.key`` (mode 0600) and ``PREFIX.pub``.

    Raises ``UsageError`` if a file exists: a private key that is overwritten is lost.
    """
    private, public = Path(f"{prefix}.key"), Path(f"{prefix}.pub")
    for path in (private, public):
        if path.exists():
            raise UsageError(
                f"{path} exists already",
                where={"file": str(path)},
                hint="choose another prefix; a private key that is overwritten is lost",
            )
    key = generate_key()
    write_file(private, encrypt_key(key, secret), mode=0o600)
    write_file(public, key.public.pem)
    return KeyPair(private=str(private), public=str(public), fingerprint=key.public.fingerprint)


def _read(place: str, environment: Mapping[str, str]) -> bytes:
    if place.startswith(_ENV):
        name = place.removeprefix(_ENV)
        if name not in environment:
            raise BadKey(f"the variable {name} is not set", hint=f"it was named by {place}")
        return environment[name].encode("utf-8", "surrogateescape")
    if place.startswith(_UNSUPPORTED):
        raise UsageError(
            f"unsupported place of a key: {place}", hint="use a file or env://VARIABLE"
        )
    path = Path(place)
    return read_input(path, _LIMIT, place)
