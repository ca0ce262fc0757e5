"""``homeport repos``: the repositories of a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.command(
    name="repos",
    epilog="""\b
Examples:
  homeport repos registry.example
  homeport repos registry.example --match 'team/*'
""",
)
@click.argument("registry")
@click.option(
    "--match",
    metavar="GLOB",
    help="Only repositories that match, such as 'team/*'.  [default: all]",
)
@registry_options
@common
def command(session: Session, *, registry: str, match: str | None, access: RegistryAccess) -> None:
    """List the repositories of REGISTRY, one per line.

    Many registries list none, or only those that your login may read.
    """
    with session.app() as app:
        found = app.repositories(registry, match=match, access=access)
    session.output.write(
        {
            "schema": "homeport-repos/v1", "registry": found.registry,
            "repositories": list(found.repositories),
        },
        "\n".join(found.repositories),
    )  # fmt: skip
