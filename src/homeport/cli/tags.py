"""``homeport tags``: the tags of a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.command(
    name="tags",
    epilog="""\b
Examples:
  homeport tags docker.io/library/debian
  homeport tags docker.io/library/debian --match '13*'
  homeport tags ./copy.oci
""",
)
@click.argument("repository")
@click.option(
    "--match", metavar="GLOB", help="Only tags that match, such as '1.*'.  [default: all]"
)
@registry_options
@common
def command(
    session: Session, *, repository: str, match: str | None, access: RegistryAccess
) -> None:
    """List the tags of REPOSITORY, one per line.

    REPOSITORY may also be the address of a local layout or archive.
    """
    with session.app() as app:
        found = app.tags(repository, match=match, access=access)
    session.output.write(
        {
            "schema": "homeport-tags/v1", "repository": found.repository,
            "tags": list(found.tags),
        },
        "\n".join(found.tags),
    )  # fmt: skip
