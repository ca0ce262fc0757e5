"""All registries that one run talks to: each opened once, with its way in and its login."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Protocol

from homeport.net.client import Client
from homeport.net.clock import Deadline
from homeport.oci.reference import Reference
from homeport.registry.client import Registry
from homeport.registry.endpoint import Endpoint, endpoint_for
from homeport.registry.hosts import RegistryHosts, read_hosts
from homeport.registry.login import Login
from homeport.registry.repository import Repository
from homeport.registry.sources import MirrorRepository, RepositorySources

FindEndpoint = Callable[[str], Endpoint]


class Logins(Protocol):
    """The logins for registries and repositories in them (``credentials.Credentials``)."""

    def entries(self, registry: str, repository: str, /) -> Hashable:
        """What identifies the login, found without running credential helpers."""
        ...

    def find(self, registry: str, repository: str, rejected: Login | None, /) -> Login | None:
        """The login, another than ``rejected`` if there is one."""
        ...


class NoLogins:
    """Every registry is asked anonymously."""

    def entries(self, _registry: str, _repository: str, /) -> Hashable:
        return ()

    def find(self, _registry: str, _repository: str, _rejected: Login | None, /) -> Login | None:
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
        logins: Logins | None = None,
        find_endpoint: FindEndpoint = endpoint_for,
        *,
        folders: Sequence[Path] = (),
        deadline: Deadline | None = None,
    ) -> None:
        self._client = client
        self._logins = logins or NoLogins()
        self._find_endpoint = find_endpoint
        self.folders = tuple(folders)
        self._deadline = deadline
        #: Told once per registry which login is used, when it is first needed.
        self.on_login: Callable[[str, Login], None] = lambda _registry, _login: None
        #: Told once per registry how many pulls it still allows, if it says so.
        self.on_limit: Callable[[str, str], None] = lambda _registry, _text: None
        #: Told once which host served a repository that has mirrors, and why others did not.
        self.on_read: Callable[[str], None] = lambda _text: None
        self._reported: set[str] = set()
        self._open: dict[tuple[Endpoint, Hashable], Registry] = {}
        self._hosts: dict[str, RegistryHosts] = {}
        self._lock = threading.RLock()

    def with_client(self, client: Client) -> Registries:
        """The same registries, reached by another client."""
        other = Registries(
            client, self._logins, self._find_endpoint, folders=self.folders,
            deadline=self._deadline,
        )  # fmt: skip
        other.on_login, other.on_limit, other.on_read = self.on_login, self.on_limit, self.on_read
        return other

    def configured_hosts(self, name: str) -> frozenset[str]:
        """Hosts that the user's configuration names for a registry: mirrors, another server."""
        hosts = self._configured(name)
        endpoints = [mirror.endpoint for mirror in hosts.mirrors]
        if hosts.server.host != endpoint_for(name).host:
            endpoints.append(hosts.server)
        return frozenset(url.host for endpoint in endpoints for url in endpoint.candidates)

    def repository(self, reference: Reference) -> Repository:
        """The repository that a reference names."""
        return Repository(
            self.registry(reference.registry, reference.repository), reference.repository
        )

    def sources(self, reference: Reference) -> RepositorySources:
        """Where the repository can be read: configured mirrors first, the registry last."""
        hosts = self._configured(reference.registry)
        name = reference.repository
        return RepositorySources(
            origin=self.repository(reference),
            mirrors=tuple(
                MirrorRepository(
                    repository=Repository(self._opened(mirror.endpoint, hosts, name), name),
                    capabilities=mirror.capabilities,
                )
                for mirror in hosts.mirrors
            ),
            report=self._report_once,
        )

    def registry(self, name: str, repository: str = "") -> Registry:
        """The registry of that name, logged in as is right for ``repository``."""
        hosts = self._configured(name)
        return self._opened(hosts.server, hosts, repository)

    def _configured(self, name: str) -> RegistryHosts:
        with self._lock:
            if name not in self._hosts:
                self._hosts[name] = read_hosts(name, self.folders, server=self._find_endpoint(name))
            return self._hosts[name]

    def _report_once(self, text: str) -> None:
        with self._lock:
            new = text not in self._reported
            self._reported.add(text)
        if new:
            self.on_read(text)

    def _look_up(self, name: str, repository: str, rejected: Login | None) -> Login | None:
        login = self._logins.find(name, repository, rejected)
        if login is not None:
            self.on_login(name, login)
        return login

    def _opened(self, endpoint: Endpoint, hosts: RegistryHosts, repository: str) -> Registry:
        key = (endpoint, self._logins.entries(endpoint.name, repository))
        with self._lock:
            if key not in self._open:
                opened = self._open[key] = Registry(
                    self._client,
                    endpoint,
                    lambda rejected: self._look_up(endpoint.name, repository, rejected),
                    deadline=self._deadline,
                    trust=hosts.trust.get(endpoint.host),
                )
                opened.on_limit = lambda text: self.on_limit(endpoint.name, text)
            return self._open[key]
