"""Docker's credential helpers: programs ``docker-credential-NAME`` that keep secrets.

Protocol: the verb as argument, the server or a JSON object on standard input, JSON on
standard output. Secrets travel through pipes only, never as arguments.
"""

from __future__ import annotations

import re
import subprocess

import msgspec

from homeport.errors import HomeportError, UsageError
from homeport.registry.login import Login

_NAME = r"[A-Za-z0-9_.-]+"
_PATIENCE = 30.0  # seconds; some helpers ask the user
_LIMIT = 1 << 20


class HelperFailed(HomeportError):
    """A credential helper is missing, hangs or answers nonsense; its name is told."""

    id = "credential-helper"


class HelperMissing(HelperFailed):
    """A credential helper is not installed: it has given no login, and may never have."""


class _Secret(msgspec.Struct, rename="pascal"):
    username: str = ""
    secret: str = ""


_SECRET_DECODER = msgspec.json.Decoder(_Secret)


def get(helper: str, server: str) -> Login | None:
    """The login that the helper keeps for ``server``, or ``None``."""
    code, out = _run(helper, "get", server.encode())
    if code != 0:
        if b"not found" in out.lower() or not out.strip():
            return None
        raise _failed(helper, f"ended with code {code}")
    try:
        found = _SECRET_DECODER.decode(out)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _failed(helper, "returned invalid JSON") from error
    if not found.secret:
        return None
    source = f"docker-credential-{helper}"
    if found.username == "<token>":
        return Login(identity_token=found.secret, source=source)
    return Login(username=found.username, password=found.secret, source=source)


def store(helper: str, server: str, login: Login) -> None:
    """Give the helper a login to keep."""
    document = {"ServerURL": server, "Username": login.username, "Secret": login.password}
    code, _ = _run(helper, "store", msgspec.json.encode(document))
    if code != 0:
        raise _failed(helper, f"could not store the login (code {code})")


def erase(helper: str, server: str) -> bool:
    """Make the helper forget a login; whether it says so."""
    code, _ = _run(helper, "erase", server.encode())
    return code == 0


def _run(helper: str, verb: str, given: bytes) -> tuple[int, bytes]:
    if not re.fullmatch(_NAME, helper):
        raise UsageError(f"invalid credential helper name {helper!r}")
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, verb], input=given, capture_output=True, timeout=_PATIENCE, check=False
        )
    except FileNotFoundError as error:
        raise HelperMissing(
            f"the credential helper {program} is not installed",
            hint="install it, or remove it from docker's config.json",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise _failed(helper, f"did not answer within {_PATIENCE:.0f} s") from error
    except OSError as error:
        raise _failed(helper, f"could not be started: {error.strerror}") from error
    return done.returncode, done.stdout[:_LIMIT]


def _failed(helper: str, why: str) -> HelperFailed:
    return HelperFailed(f"the credential helper docker-credential-{helper} {why}")
