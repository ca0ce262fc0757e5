"""``homeport ping``: check access to a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.command(name="ping", epilog="Example:  homeport ping registry.example")
@click.argument("registry")
@registry_options
@common
def command(session: Session, *, registry: str, access: RegistryAccess) -> None:
    """Check access to REGISTRY and show the user.

    Shows also where the credentials come from.
    """
    with session.app() as app:
        found = app.ping(registry, access)
    who = "anonymously"
    if found.user is not None:
        who = f"as {found.user or 'a token'} (from {found.source})"
    session.output.write(
        {
            "schema": "homeport-ping/v1",
            "registry": found.registry,
            "url": found.url,
            "user": found.user,
            "source": found.source,
        },
        f"{found.registry}: access granted {who}",
    )
