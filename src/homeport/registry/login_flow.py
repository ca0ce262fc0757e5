"""``login`` and ``logout``: checking credentials and keeping them where docker keeps its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from homeport.oci.reference import registry_name
from homeport.registry import helpers
from homeport.registry.client import Registry
from homeport.registry.credentials import docker_config_path
from homeport.registry.docker_config import AuthFile, read_auth_file, server_names
from homeport.registry.login import Login


class LoginResult(msgspec.Struct, frozen=True, kw_only=True):
    """A login that a registry accepted, and the file or helper that keeps it."""

    registry: str
    user: str
    saved_in: str


class LogoutResult(msgspec.Struct, frozen=True, kw_only=True):
    """A registry whose login is forgotten; ``existed`` is false if none was saved."""

    registry: str
    existed: bool


def save_login(
    registry: Registry, login: Login, environment: Mapping[str, str], home: Path
) -> LoginResult:
    """Save ``login`` where docker does, once the registry has accepted it."""
    path = docker_config_path(environment, home)
    file = read_auth_file(path) or AuthFile(path=path, document={})
    saved_in = log_in(registry, login, file)
    return LoginResult(registry=registry.name, user=login.username, saved_in=saved_in)


def remove_login(registry: str, environment: Mapping[str, str], home: Path) -> LogoutResult:
    """Forget the login for the registry that a person names."""
    name = registry_name(registry)
    file = read_auth_file(docker_config_path(environment, home))
    return LogoutResult(registry=name, existed=log_out(name, file) if file is not None else False)


def log_in(registry: Registry, login: Login, file: AuthFile) -> str:
    """Keep ``login`` once the registry has accepted it; returns where it is kept."""
    registry.ping()
    helper = file.helper_for(registry.name)
    if helper:
        helpers.store(helper, server_names(registry.name)[0], login)
        return f"docker-credential-{helper}"
    file.with_login(registry.name, login).save()
    return str(file.path)


def log_out(registry: str, file: AuthFile) -> bool:
    """Forget the login; whether there was one."""
    helper = file.helper_for(registry)
    erased = False
    if helper:
        known = helpers.get(helper, server_names(registry)[0]) is not None
        erased = helpers.erase(helper, server_names(registry)[0]) and known
    changed, was_there = file.without(registry)
    if was_there:
        changed.save()
    return erased or was_there
