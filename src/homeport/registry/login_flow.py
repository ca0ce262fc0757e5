"""``login`` and ``logout``: checking credentials and keeping them where docker keeps its own."""

from __future__ import annotations

from homeport.errors import UsageError
from homeport.oci.reference import BadReference, parse_reference
from homeport.registry import helpers
from homeport.registry.client import Registry
from homeport.registry.docker_config import AuthFile, server_names
from homeport.registry.login import Login


def registry_name(text: str) -> str:
    """The registry that a person names, with or without scheme. Raises ``UsageError``."""
    host = text.removeprefix("docker://").removeprefix("https://").removeprefix("http://")
    host = host.rstrip("/").removesuffix("/v2").removesuffix("/v1")
    if "/" in host or not host:
        raise UsageError(f"invalid registry name {text!r}")
    is_host = host == "localhost" or any(char in host for char in ".:[")
    try:
        parsed = parse_reference(f"{host}/x") if is_host else None
    except BadReference as error:
        raise UsageError(f"invalid registry name {text!r}") from error
    if parsed is None:
        raise UsageError(
            f"invalid registry name {text!r}", hint="write it like registry.example:5000"
        )
    return parsed.registry


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
