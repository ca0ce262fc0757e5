"""``homeport rollback``: moving tags back to an earlier dated one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.command(
    name="rollback",
    epilog="""\b
Examples:
  homeport rollback registry.example/team/tool                     # the dated tag before
  homeport rollback registry.example/team/tool --to 1.2.2026110100
""",
)
@click.argument("repository")
@click.option(
    "--to",
    default="",
    metavar="TAG",
    help="Use the image of this tag.  [default: the dated tag before the one of latest]",
)
@registry_options
@common
def command(session: Session, *, repository: str, to: str, access: RegistryAccess) -> None:
    """Let latest and its version's tags lead to an earlier image.

    Nothing is deleted and nothing is pushed. Pin what was wrong in the recipe, too: the next
    publish moves the tags on.
    """
    with session.app() as app:
        done = app.rollback(repository, to=to, access=access)
    text = (
        f"{done.repository}: {', '.join(done.moved) or 'nothing'} moved to {done.tag} ({done.new})"
    )
    session.output.write({"schema": "homeport-rollback/v1", **msgspec.to_builtins(done)}, text)
