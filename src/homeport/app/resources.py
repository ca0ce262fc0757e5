"""What the methods of ``App`` share: cache, HTTP client, registries, engines, attestations.

It opens things; what commands do with them stands in the modules beside it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from homeport.errors import OfflineError
from homeport.home import home_directory
from homeport.runtime import Runtime
from homeport.settings import Settings

if TYPE_CHECKING:
    from homeport.attest.attached.base import Attached
    from homeport.attest.operations.access import Access as AttestAccess
    from homeport.attest.operations.policies import SourceVerification
    from homeport.building.request import Connections
    from homeport.buildkit.address import Engine
    from homeport.buildkit.session.repositories import Repositories
    from homeport.buildkit.session.session import Service
    from homeport.buildkit.solve import Build as EngineBuild
    from homeport.images.address import Address, RegistryAddress
    from homeport.images.image import Image, Index
    from homeport.images.operations import CopyAccess, Transports
    from homeport.images.reading import ReadAccess
    from homeport.images.transports.base import Destination
    from homeport.images.transports.registry import RegistryTransport
    from homeport.locking.archive_access import ArchiveAccess
    from homeport.net.client import Client
    from homeport.recipe.catalog import UserCatalog
    from homeport.recipe.model import Recipe
    from homeport.registry.access import RegistryAccess
    from homeport.registry.credentials import Credentials, HelperLogins
    from homeport.registry.helpers import HelperMissing
    from homeport.registry.login import Login
    from homeport.registry.operations import OpenRegistries
    from homeport.registry.registries import Registries


class Resources:
    """What commands share: opened when first needed, closed by leaving the ``with`` block.

    Leaving it also prunes the cache to its bound, if anything was added to it.
    """

    def __init__(self, *, settings: Settings, runtime: Runtime, closing: ExitStack) -> None:
        self.settings = settings
        self.runtime = runtime
        self._closing = closing
        #: Told which host served a repository that has mirrors.
        self.on_read: Callable[[str], None] = lambda _text: None
        self._client: Client | None = None
        self._missing_helpers: set[tuple[str, str]] = set()

    @cached_property
    def client(self) -> Client:
        """The one HTTP client, made when first needed."""
        # 100 ms that other commands save
        from homeport.net.client import Client
        from homeport.net.environment import client_settings
        from homeport.net.tls_settings import Trust

        trust = Trust(ca_files=(self.settings.ca,) if self.settings.ca else ())
        settings = client_settings(os.environ, trust)
        self._client = Client(settings, cancel=self.runtime.cancel)
        return self._client

    @cached_property
    def own_catalog(self) -> UserCatalog:
        """The user's catalog, opened when a recipe is first looked up."""
        # 60 ms that runs without one save
        from homeport.catalogs.opening import CatalogAccess, open_catalog

        access = CatalogAccess(
            runtime=self.runtime, open_image=self.open_image, offline=self.settings.offline,
            verify=self._verify_catalog if self.settings.catalog_policy else None,
        )  # fmt: skip
        return open_catalog(self.settings.catalog, access, self._closing)

    def _verify_catalog(self, address: Address, value: Image | Index) -> None:
        # 230 ms that a catalog without a policy saves
        from homeport.attest.operations.policies import SourceVerification
        from homeport.images.transports.registry import registry_transports

        how = SourceVerification(policy=self.settings.catalog_policy, require=True)
        self._verify_source(address, registry_transports(lambda: self._registries), how)(value)

    def archives(self, recipe: Recipe, mirrors: Sequence[str] = ()) -> ArchiveAccess:
        """A recipe's archives, as option, environment, configuration, recipe and apt name them."""
        # 140 ms that other commands save
        from homeport.debian.archive.apt_sources import read_apt_credentials, read_apt_sources
        from homeport.debian.archive.mirror_list import MirrorSources
        from homeport.locking.archive_access import open_access

        sources = MirrorSources(
            option=tuple(mirrors),
            environment=os.environ,
            configured=self.settings.mirrors,
            project=self.settings.project_mirrors,
            apt=read_apt_sources(),
        )
        return open_access(
            recipe,
            sources,
            lambda: self.client,
            self.runtime,
            credentials=read_apt_credentials(),
            snapshots=self.settings.snapshots,
            offline=self.settings.offline,
        )

    @contextmanager
    def open_image(self, address: str) -> Iterator[Image | Index]:
        """The image or index at an address (docs/formats/addresses.md)."""
        # 20 ms that other commands save
        from homeport.images.address import parse_source
        from homeport.images.transports.select import source_for

        source = source_for(parse_source(address), self.registry_transport)
        with source.open(self.runtime) as value:
            yield value

    def engines(self, addresses: Sequence[str] = ()) -> list[Engine]:
        """The engines at these addresses, or the first of the usual ones that answers."""
        # 150 ms that other commands save
        from homeport.parts.engines import open_engines

        return open_engines(addresses, self.runtime.cancel)

    def destination(self, address: Address) -> Destination:
        """Where an image can be written to."""
        # 12 ms that other commands save
        from homeport.images.transports.select import destination_for

        return destination_for(address, self.registry_transport)

    def destinations(
        self, addresses: Sequence[Address], access: RegistryAccess | None = None
    ) -> Callable[[Address], Destination]:
        """Writes to these addresses; ``access`` is for the first registry among them."""
        # 130 ms that other commands save
        from homeport.images.address import registry_of
        from homeport.images.transports.registry import registry_transports
        from homeport.images.transports.select import destination_for

        about = registry_of(*addresses)
        registry = registry_transports(lambda: self.registries(about, access))
        return lambda address: destination_for(address, registry)

    def registry_transport(self, address: RegistryAddress) -> RegistryTransport:
        """An image in a registry, reached with the credentials that the user's tools keep."""
        # 130 ms that other commands save
        from homeport.images.transports.registry import RegistryTransport

        return RegistryTransport(address, self._registries)

    def registries(self, about: str = "", access: RegistryAccess | None = None) -> Registries:
        """The registries of one run; ``access`` is meant for the registry ``about``."""
        # 100 ms that other commands save
        from homeport.net.clock import Deadline
        from homeport.registry.endpoint import Endpoint, endpoint_for
        from homeport.registry.hosts import default_folders
        from homeport.registry.registries import Registries

        if self.settings.offline:
            raise OfflineError("cannot access a registry with --offline")
        given = {about: access.login} if access and access.login else {}
        credentials = self._credentials(given)

        plain_http = bool(access and access.plain_http)

        def find_endpoint(name: str) -> Endpoint:
            if name != about or not plain_http:
                return endpoint_for(name)
            return endpoint_for(name, plain_http=True, unencrypted_password=True)

        timeout = access.timeout if access else None
        deadline = Deadline.after(timeout) if timeout is not None else None
        folders = default_folders(home_directory())
        registries = Registries(
            self.client, credentials, find_endpoint, folders=folders, deadline=deadline
        )
        registries.on_read = self.on_read
        if access and access.on_login:
            registries.on_login = access.on_login
        if access and access.on_limit:
            registries.on_limit = access.on_limit
        return registries

    def _credentials(self, given: Mapping[str, Login]) -> Credentials:
        """Where logins come from; what credential helpers answer is kept for the run."""
        # 5 ms that other commands save
        from homeport.registry.credentials import Credentials

        def missing(registry: str, error: HelperMissing) -> None:
            if (registry, error.what) not in self._missing_helpers:
                self._missing_helpers.add((registry, error.what))
                text = f"warning: {error.what}; accessing {registry} without credentials"
                self.runtime.progress.note("credentials", text)

        return Credentials(
            environment=os.environ, home=home_directory(), given=given, helpers=self._helper_logins,
            on_missing=missing,
        )  # fmt: skip

    @cached_property
    def _helper_logins(self) -> HelperLogins:
        # 5 ms that other commands save
        from homeport.registry.credentials import HelperLogins

        return HelperLogins()

    @cached_property
    def _registries(self) -> Registries:
        return self.registries()

    def _opening(self, access: RegistryAccess | None) -> OpenRegistries:
        """Opens the registries of a run; ``access`` is for the one that a reference names."""
        return lambda registry: self.registries(registry, access)

    def _reading(self, access: RegistryAccess | None) -> ReadAccess:
        # 110 ms that other commands save
        from homeport.images.reading import ReadAccess

        return ReadAccess(runtime=self.runtime, registries=self._opening(access))

    def _copying(
        self, access: RegistryAccess | None, *, no_clobber: bool = False, nondistributable: bool,
        verification: SourceVerification | None = None,
    ) -> CopyAccess:  # fmt: skip
        # 200 ms that other commands save
        from homeport.images.operations import CopyAccess

        return CopyAccess(
            runtime=self.runtime,
            registries=self._opening(access),
            client=None if self.settings.offline else lambda: self.client,
            no_clobber=no_clobber,
            nondistributable=nondistributable,
            verifier=partial(self._verify_source, verification=verification),
        )

    def _connections(self) -> Connections:
        # 140 ms that other commands save
        from homeport.building.request import Connections

        return Connections(
            archives=self.archives,
            open_image=self.open_image,
            destination=self.destination,
            attached=self._attached,
            client=lambda: self.client,
            engines=self.engines,
            session=self._engine_session,
            offline=self.settings.offline,
        )

    def _attached(self, address: Address) -> Attached | None:
        # 60 ms that a build into a layout saves
        from homeport.attest.attached.select import attached_at

        return attached_at(address, self.registry_transport, self.runtime)

    def _engine_session(
        self, build: EngineBuild, *, pushes: Sequence[str] = (), more: Sequence[str] = (),
        passwords: bool = False,
    ) -> Mapping[str, Service]:  # fmt: skip
        """What an engine may ask during a build: tokens for images that it names, or passwords."""
        # 140 ms that other commands save
        from homeport.buildkit.session.registry_auth import RegistryAuth

        def named() -> Repositories:
            # 16 ms that a build without a private registry saves
            from homeport.buildkit.named_images import repositories_of

            return repositories_of(build, pushes=pushes, more=more)

        credentials = self._credentials({})
        return RegistryAuth(
            find=credentials.find,
            client=lambda: self.client,
            named=named,
            passwords=passwords,
        ).services()

    def _attest_access(self, image: str | None, access: RegistryAccess | None) -> AttestAccess:
        # 230 ms that other commands save
        from homeport.attest.operations.access import Access
        from homeport.images.address import parse_source, registry_of
        from homeport.images.transports.registry import registry_transports

        about = registry_of(parse_source(image)) if image is not None else ""
        return Access(
            registry=registry_transports(lambda: self.registries(about, access)),
            runtime=self.runtime,
            environment=os.environ,
            client=self._online_client,
        )

    def _online_client(self) -> Client:
        if self.settings.offline:
            raise OfflineError("signing without a key requires the network, not --offline")
        return self.client

    def _verify_source(
        self, source: Address, registry: Transports,
        verification: SourceVerification | None,
    ) -> Callable[[Image | Index], str]:  # fmt: skip
        # 60 ms that other commands save
        from homeport.attest.operations.access import Access
        from homeport.attest.operations.policies import SourceVerification, source_verifier

        return source_verifier(
            source, verification or SourceVerification(),
            Access(
                registry=registry, runtime=self.runtime, environment=os.environ,
                client=self._online_client,
            ),
        )  # fmt: skip

    def _fetch_tracker(self, url: str) -> bytes:
        # 60 ms that a file saves
        from homeport.net.download import fetch_small
        from homeport.net.url import Url
        from homeport.sbom.tracker import LONGEST

        return fetch_small(self.client, Url.parse(url), LONGEST, what="the tracker's data")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        interrupted = self.runtime.cancel.cancelled
        if self._client is not None and error is not None:
            self._client.abort()
        self.runtime.pools.__exit__(kind, error, traceback)
        if self._client is not None:
            self._client.close()
        store = self.runtime.store
        if store.has_grown and not interrupted:
            store.prune(self.settings.cache_bound)
        self._closing.close()
