"""``homeport delete``: a tag or a manifest out of a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.command(
    name="delete",
    epilog="""\b
Examples:
  homeport delete registry.example/team/copy:1.0-rc1
  homeport delete registry.example/team/copy:old --with-all-tags
""",
)
@click.argument("reference")
@click.option(
    "--with-all-tags",
    is_flag=True,
    help="Delete the image with all its tags if the registry cannot delete a tag alone.",
)
@registry_options
@common
def command(
    session: Session, *, reference: str, with_all_tags: bool, access: RegistryAccess
) -> None:
    """Delete a tag or, with @sha256:…, a manifest from a registry.

    REFERENCE must name the tag or digest; 'latest' is not assumed.
    """
    from homeport.errors import UsageError
    from homeport.oci.reference import parse_reference
    from homeport.registry.deleting import delete

    parsed = parse_reference(reference.removeprefix("docker://"), default_tag="")
    if not parsed.tag and parsed.digest is None:
        raise UsageError(f"{reference}: a tag or digest is required")
    with session.app() as app:
        repository = app.registries(parsed.registry, access).repository(parsed)
        was_there = delete(repository, parsed.digest or parsed.tag, with_all_tags=with_all_tags)
        document = {
            "schema": "homeport-delete/v1", "reference": str(parsed), "existed": was_there,
        }  # fmt: skip
        session.output.write(
            document, f"deleted {parsed}" if was_there else f"{parsed} does not exist"
        )
