"""All registries that one run talks to: each opened once, with its way in and its login."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from homeport.errors import IntegrityError, TooLarge
from homeport.net.client import Client
from homeport.net.clock import Deadline
from homeport.net.errors import DeadlinePassed, NetError
from homeport.oci.reference import Reference
from homeport.registry.client import Registry
from homeport.registry.endpoint import Endpoint, endpoint_for
from homeport.registry.errors import RegistryError
from homeport.registry.hosts import RegistryHosts, read_hosts
from homeport.registry.login import Login
from homeport.registry.repository import Repository

#: The login for a registry and a repository in it.
FindLogin = Callable[[str, str], Login | None]
FindEndpoint = Callable[[str], Endpoint]

T = TypeVar("T")


def nobody(registry: str, repository: str) -> Login | None:
    """Knows no login."""
    return None


class Registries:
    """Opens registries and repositories. Safe to use from threads.

    A login may be kept per namespace (``host/team``), so each login has a connection state
    of its own.

    find_endpoint: where a registry is; what differs from ``endpoint_for`` wins over files
    folders:       ``certs.d`` folders with trust and mirrors (``hosts.default_folders``)
    """

    def __init__(
        self,
        client: Client,
        find_login: FindLogin = nobody,
        find_endpoint: FindEndpoint = endpoint_for,
        *,
        folders: Sequence[Path] = (),
        deadline: Deadline | None = None,
    ) -> None:
        self._client = client
        self._find_login = find_login
        self._find_endpoint = find_endpoint
        self.folders = tuple(folders)
        self._deadline = deadline
        #: Told once per registry which login is used, when it is first needed.
        self.on_login: Callable[[str, Login], None] = lambda _registry, _login: None
        #: Told once per registry how many pulls it still allows, if it says so.
        self.on_limit: Callable[[str, str], None] = lambda _registry, _text: None
        self._open: dict[tuple[Endpoint, Login | None], Registry] = {}
        self._hosts: dict[str, RegistryHosts] = {}
        self._lock = threading.RLock()

    def repository(self, reference: Reference) -> Repository:
        """The repository that a reference names."""
        return Repository(
            self.registry(reference.registry, reference.repository), reference.repository
        )

    def sources(self, reference: Reference) -> tuple[Repository, ...]:
        """Where the repository can be read: configured mirrors first, itself last."""
        hosts = self._configured(reference.registry)
        mirrors = [
            Repository(self._opened(mirror, hosts, reference.repository), reference.repository)
            for mirror in hosts.mirrors
        ]
        return (*mirrors, self.repository(reference))

    def registry(self, name: str, repository: str = "") -> Registry:
        """The registry of that name, logged in as is right for ``repository``."""
        hosts = self._configured(name)
        return self._opened(hosts.server, hosts, repository)

    def _configured(self, name: str) -> RegistryHosts:
        with self._lock:
            if name not in self._hosts:
                self._hosts[name] = read_hosts(name, self.folders, server=self._find_endpoint(name))
            return self._hosts[name]

    def _look_up(self, name: str, repository: str) -> Login | None:
        login = self._find_login(name, repository)
        if login is not None:
            self.on_login(name, login)
        return login

    def _opened(self, endpoint: Endpoint, hosts: RegistryHosts, repository: str) -> Registry:
        login = self._find_login(endpoint.name, repository)
        with self._lock:
            key = (endpoint, login)
            if key not in self._open:
                opened = self._open[key] = Registry(
                    self._client,
                    endpoint,
                    lambda: self._look_up(endpoint.name, repository),
                    deadline=self._deadline,
                    trust=hosts.trust.get(endpoint.host),
                )
                opened.on_limit = lambda text: self.on_limit(endpoint.name, text)
            return self._open[key]


def from_any(sources: Sequence[Repository], read: Callable[[Repository], T]) -> T:
    """What the first source that can be read gives. The error of the last one is raised.

    Blobs and manifests that are asked for by digest are verified, so a mirror can withhold but
    not replace them. Nothing verifies a tag: it points to what the first source that answers says.
    """
    for source in sources[:-1]:
        try:
            return read(source)
        except DeadlinePassed:
            raise
        except (NetError, RegistryError, IntegrityError, TooLarge):
            continue
    return read(sources[-1])
