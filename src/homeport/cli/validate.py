"""``homeport validate``: whether an image is whole, wherever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.errors import AnswerNo
from homeport.printable import printable
from homeport.quantities import counted, human_size

if TYPE_CHECKING:
    from homeport.images.validation import Validated
    from homeport.registry.access import RegistryAccess


@click.command(
    name="validate",
    epilog="""\b
Examples:
  homeport validate registry.example/team/copy:1.0
  homeport validate ./copy.oci
  homeport validate docker-archive:saved.tar --fast
""",
)
@click.argument("image")
@click.option(
    "--fast", is_flag=True, help="Check only that each blob is there with its size; read none."
)
@registry_options
@common
def command(session: Session, *, image: str, fast: bool, access: RegistryAccess) -> None:
    """Check that IMAGE, an address, is whole; exit with 3 if it is not.

    Every manifest, config and layer of every platform is read and compared with its digest and
    size, and every layer is unpacked and compared with the config. All faults are printed.
    """
    with session.app() as app:
        found = app.validate(image, fast=fast, access=access)
    document = {"schema": "homeport-validate/v1", "valid": found.valid}
    session.output.write(document | msgspec.to_builtins(found), _text(found))
    if not found.valid:
        raise AnswerNo(f"{image} is not whole: {counted(len(found.faults), 'fault')}")


def _text(found: Validated) -> str:
    lines = [f"{fault.digest}  {printable(fault.what)}" for fault in found.faults]
    how = "looked for" if found.fast else "verified"
    left_out = (
        f"; {counted(found.left_out, 'non-distributable layer')} not there"
        if found.left_out
        else ""
    )
    summary = (
        f"{found.digest}  {counted(found.images, 'image')}, {counted(found.blobs, 'blob')} "
        f"({human_size(found.size)}) {how}{left_out}"
    )
    return "\n".join([*lines, summary])
