"""``homeport login``: save a registry's credentials, as docker does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from homeport.cli.options import Session, common
from homeport.cli.registry_options import ask_login, registry_options
from homeport.oci.reference import registry_name

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.command(
    name="login",
    epilog="""\b
Examples:
  homeport login registry.example
  printenv TOKEN | homeport login registry.example -u ci --password-stdin
""",
)
@click.argument("registry")
@registry_options
@common
def command(session: Session, *, registry: str, access: RegistryAccess) -> None:
    """Verify credentials at REGISTRY and save them for later commands.

    They are saved in docker's config.json, or by the credential helper that it names, so that
    docker and Homeport share them. The command prompts for user and password unless --username
    and --password-stdin, or --creds, give them.
    """
    registry_name(registry)  # a wrong name is refused before the prompt
    with session.app() as app:
        saved = app.login(registry, access.login or ask_login(), access)
    session.output.write(
        {
            "schema": "homeport-login/v1", "registry": saved.registry, "user": saved.user,
            "saved_in": saved.saved_in,
        },
        f"logged in to {saved.registry} as {saved.user}; saved in {saved.saved_in}",
    )  # fmt: skip
