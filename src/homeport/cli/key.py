"""``homeport key``: key pairs for signing."""

from __future__ import annotations

import click

from homeport.cli.options import Session, common
from homeport.cli.signing_options import ask_new_password
from homeport.cli.subcommand import CommandGroup


@click.group(cls=CommandGroup, name="key")
def command() -> None:
    """Make key pairs for signing images."""


@command.command(
    name="generate",
    epilog="""\b
Example:
  homeport key generate -o cosign
""",
)
@click.option(
    "-o", "--output", "prefix", required=True, metavar="PREFIX",
    help="Write PREFIX.key and PREFIX.pub; existing files are kept.",
)  # fmt: skip
@common
def generate(session: Session, *, prefix: str) -> None:
    """Make a key pair (ECDSA on P-256), encrypted as cosign does.

    The password is read from COSIGN_PASSWORD or asked for on the terminal; it may be empty.
    """
    with session.app() as app:
        made = app.generate_key(prefix, ask_new_password)
    document = {
        "schema": "homeport-key/v1", "private": made.private, "public": made.public,
        "fingerprint": made.fingerprint,
    }  # fmt: skip
    text = f"{made.private}  private key, mode 0600\n{made.public}  public key, {made.fingerprint}"
    session.output.write(document, text, quiet_text=made.public)
