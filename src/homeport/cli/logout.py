"""``homeport logout``: remove a registry's credentials."""

from __future__ import annotations

import os
from pathlib import Path

import click

from homeport.cli.options import Session, common


@click.command(name="logout", epilog="Example:  homeport logout registry.example")
@click.argument("registry")
@common
def command(session: Session, *, registry: str) -> None:
    """Remove the credentials of REGISTRY.

    They are removed from docker's config.json, or from the credential helper that it names.
    """
    from homeport.registry.credentials import docker_config_path
    from homeport.registry.docker_config import read_auth_file
    from homeport.registry.login_flow import log_out, registry_name

    name = registry_name(registry)
    file = read_auth_file(docker_config_path(os.environ, Path.home()))
    was_there = log_out(name, file) if file is not None else False
    document = {"schema": "homeport-logout/v1", "registry": name, "existed": was_there}
    session.output.write(
        document, f"logged out of {name}" if was_there else f"no credentials are saved for {name}"
    )
