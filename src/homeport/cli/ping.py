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
    from homeport.registry.login_flow import registry_name

    name = registry_name(registry)
    with session.app() as app:
        opened = app.registries(name, access).registry(name)
        opened.ping()
        login = opened.auth.login() if opened.auth.requires_login else None
        who = f"as {login.username or 'a token'} (from {login.source})" if login else "anonymously"
        document = {
            "schema": "homeport-ping/v1",
            "registry": name,
            "url": str(opened.base()),
            "user": login.username if login else None,
            "source": login.source if login else None,
        }
        session.output.write(document, f"{name}: access granted {who}")
