"""``homeport logout``: remove a registry's credentials."""

from __future__ import annotations

import click

from homeport.cli.options import Session, common


@click.command(name="logout", epilog="Example:  homeport logout registry.example")
@click.argument("registry")
@common
def command(session: Session, *, registry: str) -> None:
    """Remove the credentials of REGISTRY.

    They are removed from docker's config.json, or from the credential helper that it names.
    """
    with session.app() as app:
        done = app.logout(registry)
    session.output.write(
        {"schema": "homeport-logout/v1", "registry": done.registry, "existed": done.existed},
        f"logged out of {done.registry}"
        if done.existed
        else f"no credentials are saved for {done.registry}",
    )
