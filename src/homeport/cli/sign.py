"""``homeport sign``: sign an image in the forms that cosign, skopeo and podman verify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.cli.signing_options import (
    ask_password,
    sign_options,
    signing_options,
    write_signed,
)

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.command(
    name="sign",
    epilog="""\b
Examples:
  homeport sign registry.example/team/tool:1.0 --key cosign.key
  homeport sign oci:tool.oci:latest --key env://COSIGN_PRIVATE_KEY --dry-run
  homeport sign registry.example/team/tool:1.0 --identity-token env://SIGSTORE_ID_TOKEN
""",
)
@click.argument("image")
@signing_options
@click.option(
    "--sign-identity", "reference", default="", metavar="REFERENCE",
    help="Sign this name, for readers of the legacy form.  [default: the repository]",
)  # fmt: skip
@click.option(
    "-a", "--annotation", "annotations", multiple=True, metavar="KEY=VALUE",
    help="Sign this text too. Repeatable.",
)  # fmt: skip
@registry_options
@common
def command(session: Session, *, image: str, access: RegistryAccess, **given: Any) -> None:
    """Sign an image in a registry or an OCI layout.

    Of an index, every platform manifest is signed too. Each signature is written in two forms:
    as a bundle that refers to the image, and under cosign's tag sha256-….sig. Signing again
    writes only what is missing.

    Without --key it is signed for an identity: Fulcio issues a certificate for a key that is thrown
    away, and each signature is recorded in Rekor's public transparency log.
    """
    with session.app() as app:
        done = app.sign(image, sign_options(**given), access=access, ask_password=ask_password())
    write_signed(session.output, done, "signature")
