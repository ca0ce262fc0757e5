"""Options and results of commands that sign, and the password of a key on a terminal."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.key_values import key_values
from homeport.cli.screen import Column
from homeport.cli.show import Output
from homeport.errors import UsageError

if TYPE_CHECKING:
    from homeport.attest.operations.signing import SignOptions, SignResult

_OPTIONS = (
    click.option(
        "--key", default="", metavar="KEY",
        help="Sign with this private key: a file, or env://VARIABLE. Its password is"
        " COSIGN_PASSWORD or asked for.  [default: sign for the identity of a token]",
    ),
    click.option(
        "--identity-token", default="", metavar="TOKEN",
        help="Sign for the identity of this token; better env://VARIABLE.  [default:"
        " SIGSTORE_ID_TOKEN, or GitHub's]",
    ),
    click.option(
        "--signing-config", type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE", help="Use the services of this Sigstore.  [default: those of sigstore.dev]",
    ),
    click.option(
        "--trusted-root", type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE", help="Trust these authorities and logs.  [default: those of sigstore.dev]",
    ),
    click.option("--dry-run", is_flag=True, help="Show what would be signed; write nothing."),
)  # fmt: skip


def signing_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of ``sign`` and ``attest``."""
    return functools.reduce(lambda decorated, option: option(decorated), _OPTIONS[::-1], function)


def sign_options(
    *, key: str, dry_run: bool, reference: str = "", annotations: Sequence[str] = (),
    **keyless: Any,
) -> SignOptions:  # fmt: skip
    """What the options say."""
    # 230 ms that --help saves
    from homeport.attest.operations.signing import SignOptions

    return SignOptions(
        key=key, dry_run=dry_run, reference=reference,
        annotations=key_values(annotations, "--annotation"), **keyless,
    )  # fmt: skip


def write_signed(output: Output, done: SignResult, what: str) -> None:
    """Print what was signed."""
    document = {
        "schema": "homeport-sign/v1", "image": done.image, "digest": done.digest,
        "signer": done.signer, "dry_run": done.dry_run,
        "subjects": [
            {
                "digest": str(one.digest), "platform": one.platform,
                "forms": {form.form: form.state for form in one.forms},
            }
            for one in done.subjects
        ],
    }  # fmt: skip
    rows = [(one.platform or "index", str(one.digest), _state(one.forms)) for one in done.subjects]
    columns = (Column(name="platform"), Column(name="digest"), Column(name=what, least=16))
    head = f"{done.image}: {what} by {done.signer}"
    text = f"{head}\n{output.screen.table(columns, rows)}"
    output.write(document, text, quiet_text=done.digest)


def ask_password() -> Callable[[], bytes] | None:
    """What asks for a key's password, ``None`` where there is no terminal."""
    return _ask if sys.stdin is not None and sys.stdin.isatty() else None


def ask_new_password() -> bytes:
    """A new password, asked for twice."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            "a new key requires a password, and there is no terminal to ask on",
            hint="set COSIGN_PASSWORD, which may be empty",
        )
    found: str = click.prompt(
        "Password for the private key (empty: none)", hide_input=True, confirmation_prompt=True,
        default="", show_default=False, err=True,
    )  # fmt: skip
    return found.encode()


def _ask() -> bytes:
    found: str = click.prompt(
        "Password of the private key", hide_input=True, default="", show_default=False, err=True
    )
    return found.encode()


def _state(forms: Sequence[Any]) -> str:
    """``written``, ``present``, or what became of each form if that differs."""
    states = {one.state for one in forms}
    if len(states) == 1:
        return str(states.pop())
    return ", ".join(f"{one.form} {one.state}" for one in forms)
