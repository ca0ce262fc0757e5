"""``homeport retag``: another tag for an image that is in the registry already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.cli.show import tell

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.command(
    name="retag",
    epilog="""\b
Example:
  homeport retag registry.example/team/copy:1.0.3 1.0 1 latest
""",
)
@click.argument("reference")
@click.argument("tags", nargs=-1, required=True)
@click.option(
    "--no-clobber", is_flag=True, help="Exit with 3 if a tag already points to another image."
)
@registry_options
@common
def command(
    session: Session,
    *,
    reference: str,
    tags: tuple[str, ...],
    no_clobber: bool,
    access: RegistryAccess,
) -> None:
    """Add tags to an image in its registry.

    TAGS are plain tag names in the repository of REFERENCE. No blob is transferred.
    """
    with session.app() as app:
        done = app.retag(reference, tags, no_clobber=no_clobber, access=access)
    document = {
        "schema": "homeport-retag/v1", "repository": done.repository,
        "digest": str(done.digest), "tags": list(done.tags), "moved": list(done.moved),
    }  # fmt: skip
    if not session.quiet and session.format == "text":
        for tag in done.tags:
            moved = "tagged" if tag in done.moved else "already tagged"
            tell(f"{moved} {done.repository}:{tag}")
    session.output.write(document, f"{done.repository}@{done.digest}", quiet_text=str(done.digest))
