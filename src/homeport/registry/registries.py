"""All registries that one run talks to: each opened once, with its way in and its login."""

from __future__ import annotations

import threading
from collections.abc import Callable

from homeport.net.client import Client
from homeport.net.clock import Deadline
from homeport.oci.reference import Reference
from homeport.registry.api import Registry
from homeport.registry.endpoint import Endpoint, endpoint_for
from homeport.registry.login import Login
from homeport.registry.repository import Repository

#: The login for a registry and a repository in it.
FindLogin = Callable[[str, str], Login | None]
FindEndpoint = Callable[[str], Endpoint]


def nobody(registry: str, repository: str) -> Login | None:
    return None


class Registries:
    """Opens registries and repositories. Safe to use from threads.

    A login may be kept per namespace (``host/team``), so each login has a connection state
    of its own.
    """

    def __init__(
        self,
        client: Client,
        find_login: FindLogin = nobody,
        find_endpoint: FindEndpoint = endpoint_for,
        *,
        deadline: Deadline | None = None,
    ) -> None:
        self._client = client
        self._find_login = find_login
        self._find_endpoint = find_endpoint
        self._deadline = deadline
        self._open: dict[tuple[str, Login | None], Registry] = {}
        self._lock = threading.Lock()

    def repository(self, reference: Reference) -> Repository:
        """The repository that a reference names."""
        return Repository(
            self.registry(reference.registry, reference.repository), reference.repository
        )

    def registry(self, name: str, repository: str = "") -> Registry:
        """The registry of that name, logged in as is right for ``repository``."""
        login = self._find_login(name, repository)
        with self._lock:
            key = (name, login)
            if key not in self._open:
                self._open[key] = Registry(
                    self._client,
                    self._find_endpoint(name),
                    lambda: self._find_login(name, repository),
                    deadline=self._deadline,
                )
            return self._open[key]
