"""``homeport attest``: a signed statement about an image."""

from __future__ import annotations

from pathlib import Path
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
    name="attest",
    epilog="""\b
Example:
  homeport attest registry.example/team/tool:1.0 --type vex --predicate tool.vex.json \\
      --key cosign.key
""",
)
@click.argument("image")
@click.option(
    "--type", "predicate_type", required=True, metavar="TYPE",
    help="What is attested: spdx, cyclonedx, slsa, vex, or the URI of a predicate type.",
)  # fmt: skip
@click.option(
    "--predicate", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE", help="The predicate: a JSON object.",
)  # fmt: skip
@signing_options
@registry_options
@common
def command(
    session: Session, *, image: str, predicate_type: str, predicate: Path,
    access: RegistryAccess, **given: Any,
) -> None:  # fmt: skip
    """Sign a statement about an image in a registry or an OCI layout.

    It is about exactly the digest that IMAGE leads to: an index, or with @DIGEST one platform.
    Attesting the same again writes only what is missing.
    """
    with session.app() as app:
        done = app.attest(
            image, predicate_type, predicate, sign_options(**given), access=access,
            ask_password=ask_password(),
        )  # fmt: skip
    write_signed(session.output, done, "attestation")
