"""Where credentials for a registry come from, in this order (docs/registry.md):

    1. --creds, --password-stdin        for the registry that is written to or asked
    2. HOMEPORT_REGISTRY_USER, _PASSWORD   for HOMEPORT_REGISTRY_HOST
    3. the file in REGISTRY_AUTH_FILE
    4. docker's config.json (DOCKER_CONFIG, else ~/.docker), helpers included
    5. DOCKER_AUTH_CONFIG               the same as text (GitLab)
    6. containers' auth.json
    7. GitLab's CI_REGISTRY, CI_REGISTRY_USER, CI_REGISTRY_PASSWORD

The first that has an entry wins; nothing is tried with the next after a refusal. Credential
helpers run when a registry has asked for a login, once a run; again only when the registry
rejects what a helper gave, as some keep secrets that are valid for a short time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from homeport.errors import UsageError
from homeport.registry import helpers
from homeport.registry.docker_config import (
    AuthFile,
    HelperEntry,
    parse_auth_file,
    read_auth_file,
)
from homeport.registry.helpers import HelperFailed, HelperMissing
from homeport.registry.login import Login

Environment = Mapping[str, str]


class HelperLogins:
    """What credential helpers have answered in this run. Safe to use from threads."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Login | HelperFailed | None] = {}
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, helper: str, server: str, rejected: Login | None = None) -> Login | None:
        """The helper's login for ``server``; it runs again if that is the ``rejected`` one.

        Raises ``HelperFailed``.
        """
        key = (helper, server)
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._found or (rejected and self._found[key] == rejected):
                try:
                    self._found[key] = helpers.get(helper, server)
                except HelperFailed as error:
                    self._found[key] = error
            found = self._found[key]
        if isinstance(found, HelperFailed):
            raise type(found)(found.what, hint=found.hint) from found
        return found


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Looks logins up. ``given``: by registry, from the command line."""

    environment: Environment
    home: Path
    given: Mapping[str, Login]
    helpers: HelperLogins = msgspec.field(default_factory=HelperLogins)
    on_missing: Callable[[str, HelperMissing], None] = lambda _registry, _error: None

    def entries(self, registry: str, repository: str = "") -> tuple[Login | HelperEntry, ...]:
        """What is configured for a registry, found without running a program.

        The helpers that come first, and the login that counts if they have none.
        """
        found: list[Login | HelperEntry] = []
        for entry in self._entries(registry, repository):
            found.append(entry)
            if isinstance(entry, Login):
                break
        return tuple(found)

    def registries(self) -> tuple[str, ...]:
        """The registries with a login or a helper of their own, by name; runs no program."""
        found = [name for file in self._files() for name in file.registries()]
        for host, password in (
            ("HOMEPORT_REGISTRY_HOST", "HOMEPORT_REGISTRY_PASSWORD"),
            ("CI_REGISTRY", "CI_REGISTRY_PASSWORD"),
        ):
            if self.environment.get(host) and self.environment.get(password):
                found.append(self.environment[host])
        return tuple(sorted(dict.fromkeys(found)))

    def find(
        self, registry: str, repository: str = "", rejected: Login | None = None
    ) -> Login | None:
        """The login for a registry, or ``None``: then it is asked anonymously. Runs helpers.

        A helper that is not installed counts as one without a login, and ``on_missing`` is told:
        docker's configuration often names one that exists on another machine only.

        rejected: what the registry has just refused
        """
        for entry in self._entries(registry, repository):
            if isinstance(entry, Login):
                return entry
            for server in entry.servers:
                try:
                    login = self.helpers.get(entry.helper, server, rejected)
                except HelperMissing as error:
                    self.on_missing(registry, error)
                    break
                if login is not None:
                    return login
        return None

    def _entries(self, registry: str, repository: str) -> Iterator[Login | HelperEntry]:
        if registry in self.given:
            yield self.given[registry]
        elif (own := self._from_own_variables(registry)) is not None:
            yield own
        else:
            for file in self._files():
                yield from file.entries(registry, repository)
            if (gitlab := self._from_gitlab(registry)) is not None:
                yield gitlab

    def _from_own_variables(self, registry: str) -> Login | None:
        host = self.environment.get("HOMEPORT_REGISTRY_HOST", "")
        password = self.environment.get("HOMEPORT_REGISTRY_PASSWORD", "")
        if host != registry or not password:
            return None
        user = self.environment.get("HOMEPORT_REGISTRY_USER", "")
        return Login(username=user, password=password, source="HOMEPORT_REGISTRY_PASSWORD")

    def _files(self) -> Iterator[AuthFile]:
        named = self.environment.get("REGISTRY_AUTH_FILE")
        if named:
            file = read_auth_file(Path(named))
            if file is None:
                raise UsageError(
                    "no such file (named by REGISTRY_AUTH_FILE)",
                    where={"file": named},
                )
            yield file
        docker = read_auth_file(docker_config_path(self.environment, self.home))
        if docker is not None:
            yield docker
        text = self.environment.get("DOCKER_AUTH_CONFIG")
        if text:
            yield parse_auth_file(text.encode(), Path("$DOCKER_AUTH_CONFIG"))
        for path in self._containers_files():
            file = read_auth_file(path)
            if file is not None:
                yield file

    def _containers_files(self) -> Iterator[Path]:
        runtime = self.environment.get("XDG_RUNTIME_DIR")
        if runtime:
            yield Path(runtime, "containers/auth.json")
        config = self.environment.get("XDG_CONFIG_HOME")
        yield (Path(config) if config else self.home / ".config") / "containers/auth.json"

    def _from_gitlab(self, registry: str) -> Login | None:
        password = self.environment.get("CI_REGISTRY_PASSWORD", "")
        if self.environment.get("CI_REGISTRY") != registry or not password:
            return None
        user = self.environment.get("CI_REGISTRY_USER", "gitlab-ci-token")
        return Login(username=user, password=password, source="CI_REGISTRY_PASSWORD")


def parse_creds(text: str, source: str = "--creds") -> Login:
    """``USER:PASSWORD``, split at the first colon. Raises ``UsageError``, without the text."""
    username, colon, password = text.partition(":")
    if not colon or not username:
        raise UsageError(f"{source} must be USER:PASSWORD")
    return Login(username=username, password=password, source=source)


def docker_config_path(environment: Environment, home: Path) -> Path:
    """Docker's config.json, which ``login`` writes too."""
    folder = environment.get("DOCKER_CONFIG")
    return (Path(folder) if folder else home / ".docker") / "config.json"
