"""``homeport retag``: another tag for an image that is in the registry already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options

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
    from homeport.oci.reference import check_tag, parse_reference
    from homeport.registry.retagging import retag

    parsed = parse_reference(reference.removeprefix("docker://"))
    wanted = [check_tag(tag) for tag in tags]
    with session.app() as app:
        repository = app.registries(parsed.registry, access).repository(parsed)
        digest, moved = retag(
            repository, parsed.digest or parsed.tag, wanted, no_clobber=no_clobber
        )
        document = {
            "schema": "homeport-retag/v1", "repository": parsed.name, "digest": str(digest),
            "tags": wanted, "moved": moved,
        }  # fmt: skip
        lines = [
            f"{parsed.name}:{tag} {'points' if tag in moved else 'already pointed'} to {digest}"
            for tag in wanted
        ]
        session.output.write(document, "\n".join(lines), quiet_text=str(digest))
