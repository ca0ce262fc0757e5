"""``homeport verify``: whether an image is signed by whom it should be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.cli.verification_options import policy_option
from homeport.cli.verify_text import verification_document, verification_text

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.command(
    name="verify",
    epilog="""\b
Examples:
  homeport verify registry.example/team/tool:1.0 --key cosign.pub
  homeport verify registry.example/team/tool:1.0 --issuer https://accounts.google.com \\
      --identity release@example.org
  homeport verify docker.io/docker/dockerfile:1
""",
)
@click.argument("image")
@click.option(
    "--key", "keys", multiple=True, metavar="KEY",
    help="Accept signatures of this public key: a file, or env://VARIABLE. Repeatable.",
)  # fmt: skip
@click.option(
    "--identity", "identities", multiple=True, metavar="NAME",
    help="Accept certificates of this e-mail address or URI; a final * makes a prefix."
    " Repeatable.",
)  # fmt: skip
@click.option("--issuer", default="", metavar="URL", help="Require this issuer of the identities.")
@click.option(
    "--trusted-root", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE", help="Trust these authorities and logs.  [default: those of sigstore.dev]",
)  # fmt: skip
@click.option(
    "--type", "types", multiple=True, metavar="TYPE",
    help="Require this attestation: spdx, cyclonedx, slsa, vex or a URI; 'signature' requires"
    " a signature too. Repeatable.  [default: a signature]",
)  # fmt: skip
@policy_option
@click.option(
    "--threshold", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
    help="Require this many different signers.",
)  # fmt: skip
@click.option(
    "--signed-as", multiple=True, metavar="REPOSITORY",
    help="Accept legacy signatures made for this repository, of which the image is a copy."
    " Repeatable.",
)  # fmt: skip
@click.option(
    "--every-platform", is_flag=True, help="Require signatures of every platform manifest too."
)
@registry_options
@common
def command(session: Session, *, image: str, access: RegistryAccess, **given: Any) -> None:
    """Verify who signed an image in a registry or an OCI layout.

    The digest that IMAGE leads to must be signed by one of the keys or identities, or, if none is
    given, as the policy says. Exits with 3 if it is not, with the reason for
    every signature that does not count.
    """
    # 230 ms that --help saves
    from homeport.attest.operations import VerifyOptions, refuse_unverified

    with session.app() as app:
        result = app.verify(image, VerifyOptions(**given), access=access)
    session.output.write(
        verification_document(image, result), verification_text(image, result),
        quiet_text=result.digest if result.verified else "",
    )  # fmt: skip
    refuse_unverified(image, result)
