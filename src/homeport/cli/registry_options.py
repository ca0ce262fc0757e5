"""Options of every command that talks to a registry."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import click

from homeport.cli.show import tell
from homeport.errors import UsageError
from homeport.registry.access import RegistryAccess
from homeport.registry.credentials import parse_creds
from homeport.registry.login import Login

_PASSWORD_LIMIT = 64 << 10


_OPTIONS = (
    click.option(
        "--creds",
        metavar="USER:PASSWORD",
        envvar="HOMEPORT_CREDS",
        help="Credentials. Prefer HOMEPORT_CREDS; arguments are visible to other users."
        "  [default: as docker or podman saved them]",
    ),
    click.option(
        "-u", "--username", metavar="USER", help="Use this user name with --password-stdin."
    ),
    click.option("--password-stdin", is_flag=True, help="Read the password from standard input."),
    click.option(
        "--plain-http",
        is_flag=True,
        envvar="HOMEPORT_PLAIN_HTTP",
        help="Connect to this registry without TLS; a password is sent unencrypted, too.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        envvar="HOMEPORT_TIMEOUT",
        help="Fail when all requests together take longer than this.  [default: no limit]",
    ),
)


def registry_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets them as ``access``."""

    @functools.wraps(function)
    def with_options(
        *args: Any,
        creds: str | None,
        username: str | None,
        password_stdin: bool,
        plain_http: bool,
        timeout: float | None,
        **more: Any,
    ) -> Any:
        verbose = more.get("verbose", 0) > 0
        access = RegistryAccess(
            login=_login(creds, username, password_stdin),
            plain_http=plain_http,
            timeout=timeout,
            on_login=_tell_login if verbose else None,
            on_limit=_tell_limit if verbose else None,
        )
        return function(*args, access=access, **more)

    decorated: Callable[..., Any] = with_options
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _tell_login(registry: str, login: Login) -> None:
    tell(f"{registry}: logging in as {login.username or 'a token'} (from {login.source})")


def _tell_limit(registry: str, text: str) -> None:
    tell(f"{registry}: {text}")


def _login(creds: str | None, username: str | None, password_stdin: bool) -> Login | None:
    if creds is None and username is None and not password_stdin:
        return None
    if creds is not None and (username is not None or password_stdin):
        raise UsageError("--creds cannot be combined with --username or --password-stdin")
    if creds is not None:
        return parse_creds(creds)
    if password_stdin:
        if not username:
            raise UsageError("--password-stdin requires --username")
        return Login(username=username, password=read_password(), source="--password-stdin")
    if username is not None:
        return ask_login(username)
    return None


def ask_login(username: str | None = None) -> Login:
    """The user name, unless given, and the password, asked for on the terminal."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            "there is no terminal to ask for a password on",
            hint="pass it on standard input: --username NAME --password-stdin",
        )
    if username is None:
        username = str(click.prompt("User name", err=True))
    password = str(click.prompt("Password", hide_input=True, err=True))
    return Login(username=username, password=password, source="the prompt")


def read_password() -> str:
    """The first line of standard input."""
    text = sys.stdin.read(_PASSWORD_LIMIT + 1)
    if len(text) > _PASSWORD_LIMIT:
        raise UsageError(f"the password is longer than {_PASSWORD_LIMIT} characters")
    password = text.rstrip("\r\n")
    if not password:
        raise UsageError("standard input is empty; a password was expected")
    return password
