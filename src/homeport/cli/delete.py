"""``homeport delete``: a tag or a manifest out of a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
  homeport delete oci:copy.oci:1.0-rc1
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
    """Delete a tag or, with @sha256:…, an image.

    REFERENCE is an image in a registry or a line of an OCI layout (oci:DIR:TAG). It must name the
    tag or digest; 'latest' is not assumed. The blobs of a layout stay until 'homeport gc' removes
    them.
    """
    with session.app() as app:
        deleted = app.delete(reference, with_all_tags=with_all_tags, access=access)
    name = deleted.reference
    document: dict[str, Any] = {
        "schema": "homeport-delete/v1", "reference": name, "existed": deleted.existed
    }  # fmt: skip
    lines = [f"deleted {name}" if deleted.existed else f"{name} does not exist"]
    if deleted.tags_before is not None:
        document |= {
            "tags_before": list(deleted.tags_before), "tags_after": list(deleted.tags_after or ())
        }  # fmt: skip
        lines.append(f"tags before: {', '.join(deleted.tags_before) or 'none'}")
        lines.append(f"tags now: {', '.join(deleted.tags_after or ()) or 'none'}")
    session.output.write(document, "\n".join(lines))
