"""``homeport logout``: forget a registry's credentials."""

from __future__ import annotations

import os
from pathlib import Path

import click

from homeport.cli.options import Session, common


@click.command(name="logout")
@click.argument("registry")
@common
def command(session: Session, *, registry: str) -> None:
    """Take the credentials of REGISTRY out of docker's config.json or its helper."""
    from homeport.registry.credentials import docker_config_path
    from homeport.registry.docker_config import read_auth_file
    from homeport.registry.login_flow import log_out, registry_name

    name = registry_name(registry)
    file = read_auth_file(docker_config_path(os.environ, Path.home()))
    was_there = log_out(name, file) if file is not None else False
    document = {"schema": "homeport-logout/v1", "registry": name, "was_there": was_there}
    session.output.write(
        document, f"logged out of {name}" if was_there else f"nothing was kept for {name}"
    )
