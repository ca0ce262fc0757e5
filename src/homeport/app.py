"""The Python API: opens everything that a command needs.

The only composition root. It makes the cache, the HTTP client, the pools, progress and
the cancel token, and passes the members that a function needs, never itself.

    from homeport.app import Settings, open_app
    from homeport.building.rebuild import RebuildResult
    from homeport.building.request import BuildRequest

    with open_app(Settings.load()) as app:
        result = app.build(BuildRequest(recipe="dockerfile-copy"))
    print(result.built.index.digest)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import msgspec

from homeport.content.answer_key import find_answer_key
from homeport.content.files import explained
from homeport.content.store import Pruned, Store
from homeport.content.thread_pools import Pools
from homeport.content.verification import CacheInfo, CacheVerified, verify_cache
from homeport.errors import UsageError
from homeport.home import home_directory
from homeport.progress import CancelToken, Progress, Silent
from homeport.runtime import Runtime
from homeport.settings import Settings

if TYPE_CHECKING:
    from homeport.attest.attached.base import Attached
    from homeport.attest.keys.sources import KeyPair
    from homeport.attest.operations.access import Access as AttestAccess
    from homeport.attest.operations.policies import SourceVerification
    from homeport.attest.operations.signing import SignOptions, SignResult
    from homeport.attest.operations.verifying import VerifyOptions
    from homeport.attest.policy.emit import EmittedPolicy
    from homeport.attest.verification.image import ImageResult
    from homeport.audit.apply_plan import PlanApplied
    from homeport.audit.auditing import AuditRequest, AuditResult
    from homeport.audit.live import LiveImages
    from homeport.audit.plan.planfile import Plan
    from homeport.audit.policy_check import PolicyOptions, PolicyResult
    from homeport.audit.report.writing import ReportFiles
    from homeport.blubber.check import Checked
    from homeport.building.explain import Explanation
    from homeport.building.lock import LockCheck
    from homeport.building.rebuild import RebuildResult
    from homeport.building.request import BuildRequest, BuildResult, Connections
    from homeport.buildkit.address import Engine
    from homeport.buildkit.builds import SolveRequest
    from homeport.buildkit.helper.verification import HelperVerified
    from homeport.buildkit.llb.ops import Definition
    from homeport.buildkit.scheduling import ListenerFor
    from homeport.buildkit.session.repositories import Repositories
    from homeport.buildkit.session.session import Service
    from homeport.buildkit.solve import Build as EngineBuild
    from homeport.buildkit.solve_request import SolveResult
    from homeport.buildkit.status import StatusListener
    from homeport.bundling.model import BundleResult, LoadResult
    from homeport.content.digest import Digest
    from homeport.dockerpkg.project import Project
    from homeport.freshness.model import Report as FreshnessReport
    from homeport.freshness.outdated import OutdatedAccess, OutdatedRequest
    from homeport.freshness.report.writing import OutdatedFiles
    from homeport.images.address import Address, LayoutAddress, RegistryAddress
    from homeport.images.garbage import GarbageCollected
    from homeport.images.image import Image, Index
    from homeport.images.importing import Imported
    from homeport.images.mirror import MirrorOutcome, MirrorPair
    from homeport.images.operations import CopyAccess, Transports
    from homeport.images.reading import ConfigBytes, ReadAccess
    from homeport.images.transports.base import Destination, Written
    from homeport.images.transports.registry import RegistryTransport
    from homeport.images.validation import Validated
    from homeport.imagetests.results import CheckedImage
    from homeport.imagetests.run import ImageTestRequest
    from homeport.inspection.image.extraction import Extracted
    from homeport.inspection.image.opened_image import OpenedImage
    from homeport.inspection.model import InspectReport
    from homeport.inspection.report.compare_images import Comparison
    from homeport.inspection.report.page import HtmlPage
    from homeport.locking.archive_access import ArchiveAccess
    from homeport.locking.ensure_lock import EnsuredLock
    from homeport.locking.verification import Verification
    from homeport.net.client import Client
    from homeport.oci.platform import Platform
    from homeport.publishing.publish import (
        PrunedTags,
        PublishAccess,
        Published,
        PublishRequest,
        RolledBack,
    )
    from homeport.recipe.catalog_listing import LockedRecipe
    from homeport.recipe.model import Recipe
    from homeport.registry.access import RegistryAccess
    from homeport.registry.credentials import Credentials, HelperLogins
    from homeport.registry.helpers import HelperMissing
    from homeport.registry.login import Login
    from homeport.registry.login_flow import LoginResult, LogoutResult
    from homeport.registry.operations import (
        BlobWritten,
        Deleted,
        ManifestBytes,
        OpenRegistries,
        PingResult,
        RepositoryList,
        Retagged,
        TagList,
    )
    from homeport.registry.registries import Registries
    from homeport.sbom.model import Bill, Subject
    from homeport.sbom.vex import Said
    from homeport.updating.model import UpdateResult
    from homeport.updating.update import UpdateRequest

__all__ = ["App", "Settings", "open_app"]


class App:
    """What is open while a command runs; closed by leaving the ``with`` block.

    Leaving it also prunes the cache to its bound, if anything was added to it.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        runtime: Runtime,
        closing: ExitStack,
    ) -> None:
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

    def build(
        self, request: BuildRequest, *, sign: SignOptions | None = None,
        ask_password: Callable[[], bytes] | None = None,
    ) -> BuildResult:  # fmt: skip
        """Build a recipe for its platforms and write it where ``request`` says.

        sign: sign it too, wherever signatures can be kept: in registries and OCI layouts
        """
        # 130 ms that other commands save
        from homeport.building.run import run_build

        if sign is None:
            return run_build(request, self.runtime, self._connections())
        # 230 ms that a build without a signature saves
        from homeport.attest.operations.signing import open_signer, sign_written

        access = self._attest_access(None, None)
        # Before the build: a wrong password is found at once.
        method = open_signer(sign, access, ask_password)
        result = run_build(request, self.runtime, self._connections())
        for written in result.written:
            attached = self._attached(written.address)
            if attached is not None:
                sign_written(result.built.index, attached, method, access)
        return msgspec.structs.replace(result, signer=method.name)

    def lock(self, request: BuildRequest) -> tuple[Recipe, EnsuredLock]:
        """Lock the packages and parts of a recipe for all its platforms."""
        # 120 ms that other commands save
        from homeport.building.lock import lock_recipe

        return lock_recipe(request, self.runtime, self._connections())

    def outdated(
        self, request: OutdatedRequest, files: OutdatedFiles | None = None
    ) -> FreshnessReport:
        """Compare recipes, lockfiles and images with their archives; nothing of them is written.

        files: reports for other programs to write
        """
        # 150 ms that other commands save
        from homeport.freshness.outdated import run_outdated
        from homeport.freshness.report.writing import OutdatedFiles, write_reports

        with self.runtime.store.lease():
            report = run_outdated(request, self._outdated_access())
        write_reports(report, files or OutdatedFiles())
        return report

    def update(self, request: UpdateRequest) -> UpdateResult:
        """Lock recipes anew; commit them or open a merge request, if ``request`` says so."""
        # 150 ms that other commands save
        from homeport.updating.update import UpdateAccess, run_update

        access = UpdateAccess(
            outdated=self._outdated_access(),
            connections=self._connections(),
            client=lambda: self.client,
            runtime=self.runtime,
            environment=os.environ,
        )
        return run_update(request, access)

    def test(self, request: ImageTestRequest, junit: Path | None = None) -> CheckedImage:
        """Run the tests of a recipe or of files on every platform of an image.

        junit: a report to write
        """
        # 130 ms that other commands save
        from homeport.content.files import write_file
        from homeport.imagetests.results import results_junit
        from homeport.imagetests.run import run_tests

        tested = run_tests(request, self.runtime, self._connections(), self.open_image)
        if junit is not None:
            write_file(junit, results_junit(tested))
        return tested

    def publish(
        self, request: PublishRequest, *, access: RegistryAccess | None = None,
        key: str | None = None,
    ) -> tuple[Published, ...]:  # fmt: skip
        """Build, push, test from the registry, then name images.

        access: for the registry of the repository
        key:    for ``sign`` of the request; without one the identity of a CI job signs
        """
        # 200 ms that other commands save
        from homeport.publishing.publish import run_publish

        return run_publish(request, self._publish_access(access, key or ""))

    def rollback(
        self, repository: str, *, to: str = "", access: RegistryAccess | None = None
    ) -> RolledBack:
        """Let the moving tags lead to an earlier dated tag."""
        # 200 ms that other commands save
        from homeport.publishing.publish import run_rollback

        return run_rollback(repository, to, self._publish_access(access, ""))

    def prune_tags(
        self, repository: str, *, keep: int = 10, days: int = 90, dry_run: bool = False,
        access: RegistryAccess | None = None,
    ) -> PrunedTags:  # fmt: skip
        """Remove old dated tags that no other tag leads to."""
        # 200 ms that other commands save
        from homeport.publishing.publish import run_prune_tags

        return run_prune_tags(
            repository, self._publish_access(access, ""), keep=keep, days=days, dry_run=dry_run
        )

    def _publish_access(self, access: RegistryAccess | None, key: str) -> PublishAccess:
        # 200 ms that other commands save
        from homeport.attest.operations.signing import SignOptions
        from homeport.images.address import parse_source
        from homeport.images.reading import opened
        from homeport.imagetests.run import run_tests
        from homeport.publishing.publish import PublishAccess

        reach = self._reading(access)
        return PublishAccess(
            build=self.build,
            push=lambda source, destination: self.push(source, destination, access=access),
            tags=lambda repository: self.tags(repository, access=access).tags,
            digest=lambda reference: self.digest(reference, access=access),
            retag=lambda reference, tags: self.retag(reference, tags, access=access),
            test=lambda request: run_tests(
                request,
                self.runtime,
                self._connections(),
                lambda address: opened(parse_source(address), reach),
            ),
            sign=lambda image: self.sign(image, SignOptions(key=key), access=access),
            delete=lambda reference: self.delete(reference, access=access),
        )

    def _outdated_access(self) -> OutdatedAccess:
        # 150 ms that other commands save
        from homeport.freshness.outdated import OutdatedAccess

        return OutdatedAccess(
            archives=self.archives,
            open_image=self.open_image,
            digest_of=self.digest,
            fetch=self._fetch_tracker,
            runtime=self.runtime,
        )

    def _fetch_tracker(self, url: str) -> bytes:
        # 60 ms that a file saves
        from homeport.net.download import fetch_small
        from homeport.net.url import Url
        from homeport.sbom.tracker import LONGEST

        return fetch_small(self.client, Url.parse(url), LONGEST, what="the tracker's data")

    def check_lock(
        self, recipe: str, lockfile: Path | None = None, *, allow_outside: Sequence[Path] = ()
    ) -> LockCheck:
        """Where a recipe and its lockfile disagree; nothing is written."""
        # 120 ms that other commands save
        from homeport.building.lock import check_lock

        return check_lock(recipe, lockfile, Path.cwd(), self.runtime.cancel, allow_outside)

    def verify_lock(
        self, recipe: str, lockfile: Path | None = None, *, allow_outside: Sequence[Path] = ()
    ) -> Verification:
        """Compare a lockfile with the proof beside it. Raises ``NotVerified``."""
        # 120 ms that other commands save
        from homeport.building.lock import verify_lockfile

        return verify_lockfile(recipe, lockfile, Path.cwd(), self.runtime.cancel, allow_outside)

    def solve(
        self, request: SolveRequest, *, access: RegistryAccess | None = None,
        listener: StatusListener | None = None, listener_for: ListenerFor | None = None,
    ) -> SolveResult:  # fmt: skip
        """Build a Dockerfile or LLB on a BuildKit engine, and write its outputs.

        access:      for the first registry among the outputs
        listener:     is told of every step; ``listener_for``, if several engines build at once
        """
        # 120 ms that other commands save
        from homeport.buildkit.solve_request import SolveAccess, run_request

        destinations = partial(self.destinations, access=access)
        return run_request(
            request, os.environ, self.runtime,
            SolveAccess(
                engines=self.engines, session=self._engine_session, open_image=self.open_image,
                destinations=destinations,
            ),
            listener=listener, listener_for=listener_for,
        )  # fmt: skip

    def llb(self, source: str | BinaryIO) -> Definition:
        """The LLB definition in a file or a stream."""
        # 13 ms that other commands save
        from homeport.buildkit.llb.dump import read_llb

        return read_llb(source)

    def check_blubber(self, file: Path, policy: Path | None = None) -> Checked:
        """Check a Blubber configuration, and its expanded variants by a policy."""
        # 30 ms that other commands save
        from homeport.blubber.check import check

        return check(file, policy)

    def docker_pkg(
        self, directory: Path, configuration: Path, *, suffix: str = "",
        access: RegistryAccess | None = None, key: str = "",
    ) -> Project:  # fmt: skip
        """A tree of docker-pkg: to list, build, check, update and convert.

        suffix: of every tag, for nightly builds and snapshots
        access: for the tree's registry; by default the login of its configuration, if it has one
        key:    signs what is pushed
        """
        # 150 ms that other commands save
        from homeport.attest.operations.signing import SignOptions
        from homeport.dockerpkg.building import TreeAccess
        from homeport.dockerpkg.configuration import read_configuration, user_file
        from homeport.dockerpkg.project import Project
        from homeport.dockerpkg.remote import access_of, remote_lookup
        from homeport.dockerpkg.verification import load_for_test

        found = read_configuration(configuration, user_file(os.environ, home_directory()))
        access = access_of(found, access)

        def registries() -> Registries:
            return self.registries(found.text("registry"), access)

        def prove(reference: str) -> None:
            if key:
                self.sign(reference, SignOptions(key=key), access=access)

        return Project(
            directory, found, configuration, suffix=suffix, cancel=self.runtime.cancel,
            lookup=remote_lookup(registries, self.runtime),
            access=TreeAccess(
                solve=self.solve,
                build_recipe=self.build,
                open_image=self.open_image,
                push=partial(self.push, access=access),
                retag=partial(self.retag, access=access),
                load=partial(load_for_test, open_image=self.open_image, runtime=self.runtime),
                prove=prove,
                environment=os.environ,
                progress=self.runtime.progress,
            ),
        )  # fmt: skip

    def verify_helper(
        self, image: str, *, cases: Sequence[str] = (), engines: Sequence[str] = ()
    ) -> HelperVerified:
        """Test a helper image inside the first of these engines.

        cases: run only those whose names contain one of these texts
        """
        # 200 ms that other commands save
        from homeport.buildkit.helper.verification import verify_helper

        engine = self.engines(engines)[0]
        return verify_helper(image, engine, self.open_image, self.runtime, cases=cases)

    def engines(self, addresses: Sequence[str] = ()) -> list[Engine]:
        """The engines at these addresses, or the first of the usual ones that answers."""
        # 150 ms that other commands save
        from homeport.parts.engines import open_engines

        return open_engines(addresses, self.runtime.cancel)

    def catalog(self) -> tuple[Recipe, ...]:
        """The recipes that ship with Homeport."""
        # 60 ms that other commands save
        from homeport.recipe.catalog_listing import catalog_recipes

        return catalog_recipes()

    def catalog_recipe(self, name: str) -> LockedRecipe:
        """A recipe of the catalog, its file, and what is locked for it."""
        # 70 ms that other commands save
        from homeport.recipe.catalog_listing import locked_recipe

        return locked_recipe(name)

    def recipe_schema(self, *, slices: bool = False) -> dict[str, Any]:
        """The JSON Schema of recipes, or of slice files."""
        # 80 ms that other commands save
        from homeport.recipe.schema.fields import recipe_schema
        from homeport.recipe.slices.reading import slice_schema

        return slice_schema() if slices else recipe_schema()

    def check_recipe(self, recipe: str, *, allow_outside: Sequence[Path] = ()) -> Recipe:
        """Check a recipe and its slices without the network. Raises ``Faults``.

        allow_outside: directories outside the recipe's folder that it may name files of
        """
        # 90 ms that other commands save
        from homeport.recipe.checking import check_recipe

        return check_recipe(recipe, allow_outside=allow_outside)

    def recipe_explain(
        self,
        recipe: str,
        *,
        platform: Platform | None = None,
        mirrors: Sequence[str] = (),
        allow_outside: Sequence[Path] = (),
    ) -> Explanation:
        """Why each package is in a recipe's image, what it weighs, what could be left out.

        platform: absent: the one of this machine
        """
        # 150 ms that other commands save
        from homeport.building.explain import explain
        from homeport.building.request import BuildRequest

        request = BuildRequest(
            recipe=recipe, platforms=(str(platform) if platform is not None else "native",),
            mirrors=tuple(mirrors), allow_outside=tuple(allow_outside),
            command="homeport recipe explain",
        )  # fmt: skip
        return explain(request, self.runtime, self._connections())

    def cache_info(self) -> CacheInfo:
        """Where the cache is and what it holds."""
        store = self.runtime.store
        return CacheInfo(directory=store.root, bound=self.settings.cache_bound, usage=store.usage())

    def cache_prune(self, bound: int | None = None) -> Pruned:
        """Remove least recently used files until the cache fits ``bound``, or its own bound."""
        return self.runtime.store.prune(self.settings.cache_bound if bound is None else bound)

    def cache_verify(self) -> CacheVerified:
        """Verify the digest of every file of the cache and remove damaged files."""
        return verify_cache(self.runtime.store, self.runtime.progress)

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

    @contextmanager
    def open_image(self, address: str) -> Iterator[Image | Index]:
        """The image or index at an address (docs/formats/addresses.md)."""
        # 20 ms that other commands save
        from homeport.images.address import parse_source
        from homeport.images.transports.select import source_for

        source = source_for(parse_source(address), self.registry_transport)
        with source.open(self.runtime) as value:
            yield value

    @contextmanager
    def open_layers(
        self, address: str, *, platform: Platform | None = None
    ) -> Iterator[OpenedImage]:
        """An image with its layers listed and stacked, for the functions of ``inspection``.

        platform: by default this machine's, else the first of the index
        """
        # 110 ms that other commands save
        from homeport.images.platforms import choose_image
        from homeport.inspection.image.opened_image import open_layers

        with self.open_image(address) as value:
            yield open_layers(choose_image(value, platform), self.runtime, address)

    def inspect(
        self, address: str, *, platform: Platform | None = None, bases: Sequence[str] = ()
    ) -> InspectReport:
        """Base, layers, packages, waste and anomalies of an image.

        bases: addresses of images that it may be based on, recognised by their layers
        """
        with self.open_image(address) as value:
            return self._inspect(address, value, platform, bases)

    def inspect_to_html(
        self,
        address: str,
        file: Path,
        *,
        platform: Platform | None = None,
        bases: Sequence[str] = (),
    ) -> tuple[InspectReport, HtmlPage]:
        """The report of ``inspect``, and an HTML page of it with all files."""
        # 140 ms that other commands save
        from homeport.images.platforms import choose_image
        from homeport.inspection.image.opened_image import open_layers
        from homeport.inspection.report.page import write_page

        with self.open_image(address) as value:
            report = self._inspect(address, value, platform, bases)
            opened = open_layers(choose_image(value, platform), self.runtime, address)
            return report, write_page(report, opened, file)

    def sbom(
        self, image: str, form: str, *, platform: Platform | None = None,
        allow_outside: Sequence[Path] = (),
    ) -> str:  # fmt: skip
        """The bill of materials of a recipe or an image, as a document.

        image: an address; or a recipe: a name of the catalog, a file or its directory
        form:  ``spdx``, ``cyclonedx``, ``csv`` or ``text``
        """
        # 30 ms that other commands save
        from homeport.sbom.documents import write_document

        return write_document(*self._bill(image, platform, allow_outside), form)

    def vex(
        self, image: str, tracker: str = "", *, moment: int, platform: Platform | None = None,
        recipe: str = "", allow_outside: Sequence[Path] = (),
    ) -> dict[str, Any]:  # fmt: skip
        """OpenVEX statements about a recipe or an image.

        tracker: JSON of Debian's security tracker: a file or a URL; empty: only what the recipe
                 says itself
        moment:  seconds since 1970 at which it was taken
        recipe:  whose statements count; by default ``image``, if that is one
        """
        # 40 ms that other commands save
        from homeport.sbom.tracker import LONGEST, read_tracker
        from homeport.sbom.vex import document

        said = self._said(recipe or image, allow_outside)
        if not tracker and not said:
            raise UsageError(
                "there is nothing to say: no --tracker, and no recipe with statements in vex",
                hint="homeport vex IMAGE --tracker FILE|URL",
            )
        data = b""
        if tracker.startswith(("https://", "http://")):
            data = self._fetch_tracker(tracker)
        elif tracker:
            # 10 ms that other commands save
            from homeport.content.reading import read_bounded

            with explained(Path(tracker), "read"), Path(tracker).open("rb") as stream:
                data = read_bounded(stream, LONGEST, "the tracker's data")
        bill, subject = self._bill(image, platform, allow_outside)
        known = read_tracker(data) if tracker else None
        return document(bill, subject, known, moment, said)

    def _said(self, image: str, allow_outside: Sequence[Path]) -> Sequence[Said]:
        """What a recipe says of vulnerabilities."""
        # 60 ms that other commands save
        from homeport.recipe.catalog import is_recipe
        from homeport.sbom.vex import Said

        if not is_recipe(image):
            return ()
        # 90 ms that images save
        from homeport.recipe.loading import find_and_load

        recipe = find_and_load(image, allow_outside)
        return [Said(**msgspec.structs.asdict(one)) for one in recipe.vex]

    def _bill(
        self, image: str, platform: Platform | None, allow_outside: Sequence[Path]
    ) -> tuple[Bill, Subject]:
        # 60 ms that other commands save
        from homeport.recipe.catalog import is_recipe

        if is_recipe(image):
            # 130 ms that other commands save
            from homeport.building.request import BuildRequest
            from homeport.building.run import run_bill

            platforms = (str(platform),) if platform is not None else ("native",)
            request = BuildRequest(
                recipe=image, platforms=platforms, allow_outside=tuple(allow_outside),
                command="homeport sbom",
            )  # fmt: skip
            return run_bill(request, self.runtime, self._connections())
        # 110 ms that other commands save
        from homeport.inspection.report.image_bill import image_bill, image_subject

        with self.open_layers(image, platform=platform) as opened:
            return image_bill(opened), image_subject(opened)

    def diff(
        self,
        before: str,
        after: str | None = None,
        *,
        platforms: Sequence[Platform] | None = None,
        times: bool = False,
        text: bool = True,
    ) -> Comparison:
        """Compare two images platform by platform, or two platforms of one image.

        times: differences in time alone count
        text:  small text files are compared line by line
        """
        # 120 ms that other commands save
        from homeport.inspection.report.compare_images import compare, compare_platforms

        if after is None and (platforms is None or len(platforms) != 2):
            raise UsageError(
                "diff requires two images, or two platforms of one image",
                hint=f"homeport diff {before} --platform linux/amd64,linux/arm64",
            )
        with self.open_image(before) as one:
            if after is not None:
                with self.open_image(after) as other:
                    return compare(
                        (one, other), (before, after), platforms, self.runtime,
                        times=times, text=text,
                    )  # fmt: skip
            assert platforms is not None
            pair = (platforms[0], platforms[1])
            return compare_platforms(one, before, pair, self.runtime, times=times, text=text)

    def extract(
        self,
        address: str,
        paths: Sequence[str],
        directory: Path,
        *,
        platform: Platform | None = None,
    ) -> Extracted:
        """Write files of an image below ``directory``; ``paths`` may be globs."""
        # 80 ms that other commands save
        from homeport.inspection.image.extraction import extract, select_paths

        with self.open_layers(address, platform=platform) as opened:
            return extract(opened, select_paths(opened, paths), directory)

    def extract_file(
        self, address: str, path: str, out: BinaryIO, *, platform: Platform | None = None
    ) -> int:
        """Write the content of one file of an image to a stream; returns its size."""
        # 110 ms that other commands save
        from homeport.inspection.image.extraction import write_file

        with self.open_layers(address, platform=platform) as opened:
            return write_file(opened, path, out)

    def _inspect(
        self, address: str, value: Image | Index, platform: Platform | None, bases: Sequence[str]
    ) -> InspectReport:
        # 20 ms that other commands save
        from homeport.images.address import LayoutAddress, RegistryAddress, parse_source
        from homeport.inspection.report.inspect_image import inspect

        referrers, more = None, {}
        parsed = parse_source(address)
        if isinstance(parsed, RegistryAddress):
            # 130 ms that other commands save
            from homeport.inspection.image.registry_referrers import referrers_in

            referrers = referrers_in(self._registries.sources(parsed.reference))
            more["verdicts"] = self._signature_verdicts(parsed)
        elif isinstance(parsed, LayoutAddress):
            # 60 ms that archives save
            from homeport.attest.attached.layout import LayoutAttached
            from homeport.attest.attached.listing import ListedAttachments
            from homeport.inspection.image.registry_referrers import referrers_in

            referrers = referrers_in(ListedAttachments(LayoutAttached(parsed, self.runtime)))
            more["verdicts"] = self._signature_verdicts(parsed)
        with ExitStack() as stack:
            known = {each: stack.enter_context(self.open_image(each)) for each in bases}
            return inspect(
                value, address, self.runtime, platform=platform, referrers=referrers,
                bases=known, **more,
            )  # fmt: skip

    def _signature_verdicts(
        self, address: RegistryAddress | LayoutAddress
    ) -> Callable[[str], Mapping[str, str]]:
        """Verdicts on what is attached to a digest; signing code is loaded if there is any."""

        def verdicts(subject: str) -> Mapping[str, str]:
            # 60 ms that images without attachments save
            from homeport.attest.operations.policies import describe_signatures

            return describe_signatures(address, subject, self._attest_access(str(address), None))

        return verdicts

    def audit(self, request: AuditRequest, *, online: bool = False) -> AuditResult:
        """Every public image that files depend on, explicitly or implicitly.

        online: query the registries for digests, age and platforms. The files may belong to a
                stranger: hosts with private addresses are not connected to, unless they are
                the home, configured as a mirror or in ``HOMEPORT_TRUSTED_HOSTS``
        """
        # 100 ms that other commands save
        from homeport.audit.auditing import audit

        audited = audit(request, check=self.runtime.cancel.check)
        if not online:
            return audited
        # 180 ms that other commands save
        from homeport.audit.registry_lookup import configured_hosts, look_up, named_by_strangers
        from homeport.net.client import Client

        registries = self.registries()
        hosts = configured_hosts(audited.report, registries)
        settings = named_by_strangers(self.client.settings, hosts)
        with Client(settings, cancel=self.runtime.cancel) as client:
            report = look_up(audited.report, registries.with_client(client), self.runtime)
        return msgspec.structs.replace(audited, report=report)

    def audit_live(
        self, *, pods: BinaryIO | None = None, docker: bool = False, engines: Sequence[str] = ()
    ) -> LiveImages:
        """Images that run now and versions of engines, for the request of an audit.

        pods:    what ``kubectl get pods -o json`` prints
        docker:  ask the local Docker engine
        engines: addresses of engines whose versions are asked
        """
        # 12 ms that other commands save
        from homeport.audit.live import read_live

        return read_live(
            pods=pods, docker=docker, cancel=self.runtime.cancel,
            engines=lambda: self.engines(engines) if engines else (),
        )  # fmt: skip

    def audit_policy(self, audited: AuditResult, options: PolicyOptions) -> PolicyResult:
        """The results of an audit, and those that a policy does not allow."""
        # 90 ms that other commands save
        from homeport.audit.policy_check import check_policy

        return check_policy(audited, options)

    def audit_reports(
        self, audited: AuditResult, checked: PolicyResult, files: ReportFiles
    ) -> None:
        """Write the reports of an audit for other programs, as a page, and its baseline."""
        # 110 ms that other commands save
        from homeport.audit.report.writing import write_reports

        write_reports(audited, checked, files)

    def audit_plan(
        self,
        audited: AuditResult,
        request: AuditRequest,
        file: Path | None = None,
        *,
        update: bool = False,
        config: Path | None = None,
    ) -> Plan:
        """The plan that replaces the images of an audit, also written to ``file``.

        update: keep the actions and references of the plan that ``file`` holds
        config: directory for mirror configuration and policies, which the plan then leaves out
        """
        # 80 ms that other commands save
        from homeport.audit.auditing import plan
        from homeport.audit.plan.mirror_config import write_config_files
        from homeport.audit.plan.planfile import read_plan_file, write_plan_file
        from homeport.audit.plan.signature_config import signature_configs

        decisions = None
        if update and file is not None and file.exists():
            decisions = read_plan_file(file)
        made = plan(audited, request, decisions)
        if made.mirror:
            signed = signature_configs(
                made.images, self.emit_policy("containers").files["policy.json"]
            )
            made = msgspec.structs.replace(made, config_files=(*made.config_files, *signed))
        if config is not None:
            made = write_config_files(made, config)
        if file is not None:
            write_plan_file(file, made)
        return made

    def audit_apply(
        self, file: Path, *, root: Path | None = None, make_edits: bool = False
    ) -> PlanApplied:
        """The changes that a plan makes to files below ``root``; ``make_edits`` writes them."""
        # 90 ms that other commands save
        from homeport.audit.apply_plan import apply_plan

        return apply_plan(file, root or Path.cwd(), make_edits=make_edits)

    def login(
        self, registry: str, login: Login, access: RegistryAccess | None = None
    ) -> LoginResult:
        """Verify credentials at a registry and save them as docker does."""
        # 100 ms that other commands save
        from homeport.oci.reference import registry_name
        from homeport.registry.access import RegistryAccess
        from homeport.registry.login_flow import save_login

        name = registry_name(registry)
        access = msgspec.structs.replace(access or RegistryAccess(), login=login)
        opened = self.registries(name, access).registry(name)
        return save_login(opened, login, os.environ, home_directory())

    def logout(self, registry: str) -> LogoutResult:
        """Remove the credentials of a registry from where docker keeps them."""
        # 110 ms that other commands save
        from homeport.registry.login_flow import remove_login

        return remove_login(registry, os.environ, home_directory())

    def ping(self, registry: str, access: RegistryAccess | None = None) -> PingResult:
        """Check access to a registry, and with which login."""
        # 170 ms that other commands save
        from homeport.registry.operations import ping

        return ping(registry, self._opening(access))

    def tags(
        self, repository: str, *, match: str | None = None, access: RegistryAccess | None = None
    ) -> TagList:
        """The tags of a repository, a layout or an archive; ``match`` is a glob."""
        # 120 ms that other commands save
        from homeport.images.reading import list_tags

        return list_tags(repository, self._reading(access), match=match)

    def repositories(
        self, registry: str, *, match: str | None = None, access: RegistryAccess | None = None
    ) -> RepositoryList:
        """The repositories that a registry lists; ``match`` is a glob over their paths."""
        # 120 ms that other commands save
        from homeport.registry.operations import list_repositories

        return list_repositories(registry, self._opening(access), match=match)

    def manifest(
        self, address: str, access: RegistryAccess | None = None, *,
        platform: Platform | None = None,
    ) -> ManifestBytes:  # fmt: skip
        """A manifest or index, byte for byte; with ``platform``, the manifest of that image."""
        # 110 ms that other commands save
        from homeport.images.reading import read_manifest

        return read_manifest(address, self._reading(access), platform)

    def digest(
        self, address: str, *, platform: Platform | None = None,
        access: RegistryAccess | None = None,
    ) -> Digest:  # fmt: skip
        """The digest of what is at an address, or of its image for ``platform``."""
        # 110 ms that other commands save
        from homeport.images.reading import read_digest

        return read_digest(address, self._reading(access), platform)

    def config(
        self, address: str, *, platform: Platform | None = None,
        access: RegistryAccess | None = None,
    ) -> ConfigBytes:  # fmt: skip
        """The config of an image, byte for byte.

        platform: by default this machine's, else the first of the index
        """
        # 110 ms that other commands save
        from homeport.images.reading import read_image_config

        return read_image_config(address, self._reading(access), platform)

    def validate(
        self, address: str, *, fast: bool = False, access: RegistryAccess | None = None
    ) -> Validated:
        """Check every document, blob and layer of an image; what is wrong is in the result.

        fast: only look whether each blob is there with its size
        """
        # 130 ms that other commands save
        from homeport.images.validation import validate

        return validate(address, self._reading(access), fast=fast)

    def blob(
        self, reference: str, output: Path | BinaryIO, access: RegistryAccess | None = None
    ) -> BlobWritten:
        """Verify the blob ``PLACE@DIGEST`` and write it to a file or stream."""
        # 130 ms that other commands save
        from homeport.images.reading import write_blob

        return write_blob(reference, output, self._reading(access))

    def gc(self, layout: Path, *, dry_run: bool = False) -> GarbageCollected:
        """Remove the blobs of an OCI layout that no line of its ``index.json`` leads to."""
        # 20 ms that other commands save
        from homeport.images.garbage import collect_garbage

        return collect_garbage(layout, self.runtime.cancel, dry_run=dry_run)

    def delete(
        self, reference: str, *, with_all_tags: bool = False, access: RegistryAccess | None = None
    ) -> Deleted:
        """Delete a tag, or with ``@DIGEST`` an image, from a registry or a layout.

        with_all_tags: delete the image if the registry cannot delete a tag alone
        """
        # 120 ms that other commands save
        from homeport.images.reading import delete

        return delete(reference, self._reading(access), with_all_tags=with_all_tags)

    def retag(
        self, reference: str, tags: Sequence[str], *, no_clobber: bool = False,
        access: RegistryAccess | None = None,
    ) -> Retagged:  # fmt: skip
        """Add tags to an image in its registry.

        no_clobber: raise ``AnswerNo`` if a tag points to another image
        """
        # 120 ms that other commands save
        from homeport.registry.operations import add_tags

        return add_tags(reference, tags, self._opening(access), no_clobber=no_clobber)

    def push(
        self, source: str, destination: str, *, platforms: Sequence[Platform] | None = None,
        access: RegistryAccess | None = None, no_clobber: bool = False,
        nondistributable: bool = False,
    ) -> Written:  # fmt: skip
        """Copy an image, byte for byte, to a registry.

        platforms:        of an index; by default all
        access:           for the registry of the destination
        no_clobber:       raise ``AnswerNo`` if the tag leads to another image
        nondistributable: include layers whose owner distributes them
        """
        # 200 ms that other commands save
        from homeport.images.operations import push

        how = self._copying(access, no_clobber=no_clobber, nondistributable=nondistributable)
        written = push(source, destination, how, platforms)
        self._carry(source, written, access, platforms)
        return written

    def pull(
        self, source: str, destination: str, *, platforms: Sequence[Platform] | None = None,
        access: RegistryAccess | None = None, nondistributable: bool = False,
    ) -> Written:  # fmt: skip
        """Copy an image, byte for byte, from anywhere to anywhere; parameters as for ``push``."""
        # 200 ms that other commands save
        from homeport.images.operations import pull

        how = self._copying(access, nondistributable=nondistributable)
        written = pull(source, destination, how, platforms)
        self._carry(source, written, access, platforms)
        return written

    def _carry(
        self, source: str, written: Written, access: RegistryAccess | None,
        platforms: Sequence[Platform] | None,
    ) -> None:  # fmt: skip
        """Take along what is attached to an image in a layout, or say that it stays behind."""
        # 5 ms that other commands save
        from homeport.images.address import LayoutAddress, parse_source, registry_of
        from homeport.images.storage.files import DirectoryFiles
        from homeport.images.storage.layout import lists_attached

        address = parse_source(source)
        if not isinstance(address, LayoutAddress) or not lists_attached(
            DirectoryFiles(address.path)
        ):
            return
        # 60 ms that copies from elsewhere save
        from homeport.attest.attached.carrying import carry_image
        from homeport.images.transports.registry import registry_transports

        about = registry_of(written.address)
        transports = registry_transports(lambda: self.registries(about, access))
        done = carry_image(address, written.address, platforms, transports, self.runtime)
        if done:
            self.runtime.progress.note(source, done)

    def mirror(
        self, pair: MirrorPair, *, access: RegistryAccess | None = None, no_clobber: bool = False,
        nondistributable: bool = False, dry_run: bool = False,
        verification: SourceVerification | None = None,
    ) -> MirrorOutcome:  # fmt: skip
        """Copy one image to a registry; an error is part of the outcome.

        verification: how signatures are verified first; by default by the policy that ships
        """
        # 200 ms that other commands save
        from homeport.images.operations import mirror

        how = self._copying(
            access, no_clobber=no_clobber, nondistributable=nondistributable,
            verification=verification,
        )  # fmt: skip
        return mirror(pair, how, dry_run=dry_run)

    def mirror_pairs(
        self, source: str, destination: str, *, tags: Sequence[str] | None = None,
        platforms: Sequence[Platform] | None = None, referrers: bool = False,
        access: RegistryAccess | None = None,
    ) -> list[MirrorPair]:  # fmt: skip
        """The images to mirror from one address to another.

        tags: globs; both addresses are then repositories without a tag; ``[]`` is every tag
        """
        # 200 ms that other commands save
        from homeport.images.operations import mirror_pairs

        return mirror_pairs(
            source, destination, self._opening(access),
            tags=tags, platforms=platforms, referrers=referrers,
        )  # fmt: skip

    def mirror_plan(
        self, file: Path, *, platforms: Sequence[Platform] | None = None, referrers: bool = False
    ) -> list[MirrorPair]:
        """The images that a home plan lists (docs/formats/plan.md).

        platforms, referrers: instead of, or in addition to, what the plan says
        """
        # 190 ms that other commands save
        from homeport.audit.plan.mirroring import planned_pairs

        return planned_pairs(file, platforms=platforms, referrers=referrers)

    def import_image(
        self, source: str, destination: str, *, platforms: Sequence[Platform] | None = None,
        access: RegistryAccess | None = None, no_clobber: bool = False,
        nondistributable: bool = False, verification: SourceVerification | None = None,
    ) -> Imported:  # fmt: skip
        """Copy an upstream image to a registry of the user's, and record its origin there.

        verification: how signatures are verified first; by default by the policy that ships
        """
        # 210 ms that other commands save
        from homeport.images.operations import import_image

        how = self._copying(
            access, no_clobber=no_clobber, nondistributable=nondistributable,
            verification=verification,
        )  # fmt: skip
        return import_image(source, destination, how, platforms)

    def bundle(
        self, images: Sequence[str], file: Path, files: Sequence[Path] = (), *,
        mirrors: Sequence[str] = (), trust_kit: bool = False,
        access: RegistryAccess | None = None,
    ) -> BundleResult:  # fmt: skip
        """Write images, all that is attached to them and their packages to a file."""
        # 300 ms that other commands save
        from homeport.bundling.writing import BundleAccess, write_bundle

        reach = BundleAccess(
            registry=self._attest_access(images[0], access).registry,
            connections=self._connections(), runtime=self.runtime,
        )  # fmt: skip
        return write_bundle(images, file, files, reach, mirrors=tuple(mirrors), trust_kit=trust_kit)

    def load_bundle(
        self, file: Path, registry: str, *, verification: SourceVerification | None = None,
        files_to: Path | None = None, access: RegistryAccess | None = None,
    ) -> LoadResult:  # fmt: skip
        """Verify the images of a bundle by a policy, then write them below ``registry``.

        files_to: the directory to write keys, policies and the like of the bundle to
        """
        # 300 ms that other commands save
        from homeport.attest.operations.policies import SourceVerification, verify_named
        from homeport.bundling.loading import LoadAccess, load_bundle

        reach = self._attest_access(f"{registry}/none", access)
        options = verification or SourceVerification()
        decide = partial(verify_named, options=options, access=reach)
        about = LoadAccess(registry=reach.registry, decide=decide, runtime=self.runtime)
        return load_bundle(file, registry, about, files_to=files_to)

    def generate_key(self, prefix: str, ask_password: Callable[[], bytes]) -> KeyPair:
        """Make a key pair for signing; the password is ``COSIGN_PASSWORD`` or asked for."""
        # 60 ms that other commands save
        from homeport.attest.keys.sources import password, write_key_pair

        return write_key_pair(prefix, password(os.environ, ask_password, f"{prefix}.key"))

    def sign(
        self, image: str, options: SignOptions, *, access: RegistryAccess | None = None,
        ask_password: Callable[[], bytes] | None = None,
    ) -> SignResult:  # fmt: skip
        """Sign an image in a registry or layout: index and platforms, in both forms."""
        # 230 ms that other commands save
        from homeport.attest.operations.signing import sign

        return sign(image, options, self._attest_access(image, access), ask_password)

    def attest(
        self, image: str, predicate_type: str, predicate: Path, options: SignOptions, *,
        access: RegistryAccess | None = None, ask_password: Callable[[], bytes] | None = None,
    ) -> SignResult:  # fmt: skip
        """Attest the predicate in a file about an image in a registry or layout.

        predicate_type: spdx, cyclonedx, slsa, vex, or a URI
        """
        # 230 ms that other commands save
        from homeport.attest.operations.signing import attest

        return attest(
            image, predicate_type, predicate, options, access=self._attest_access(image, access),
            ask_password=ask_password,
        )  # fmt: skip

    def verify(
        self, image: str, options: VerifyOptions, *, access: RegistryAccess | None = None
    ) -> ImageResult:
        """Verify the signatures of an image; a verdict of no is part of the result."""
        # 230 ms that other commands save
        from homeport.attest.operations.verifying import verify

        return verify(image, options, self._attest_access(image, access))

    def rebuild(
        self, image: str, *, trust_kit: bool = False, mirrors: Sequence[str] = (),
        access: RegistryAccess | None = None, sign: SignOptions | None = None,
        ask_password: Callable[[], bytes] | None = None,
    ) -> RebuildResult:  # fmt: skip
        """Build an image again from its rebuild kit; a different result is part of the answer.

        sign: sign that it was built again, if it was, from packages that archives signed
        """
        # 300 ms that other commands save
        from homeport.attest.attached.select import open_attached
        from homeport.attest.operations.signing import attest_built, open_signer
        from homeport.building.rebuild import rebuild
        from homeport.images.address import parse_source

        reach = self._attest_access(image, access)
        # Before the build: a wrong password is found at once.
        method = open_signer(sign, reach, ask_password) if sign is not None else None
        with open_attached(parse_source(image), reach.registry, self.runtime) as (value, attached):

            def signing(about: Image, predicate: Any) -> None:
                assert method is not None
                attest_built(about, predicate, attached, method, reach)

            return rebuild(
                image, value, attached, self.runtime, self._connections(),
                trust_kit=trust_kit, mirrors=tuple(mirrors),
                sign=signing if method is not None else None,
            )  # fmt: skip

    def emit_policy(
        self, target: str, policy: Path | None = None, images: Sequence[str] = (), *,
        access: RegistryAccess | None = None,
    ) -> EmittedPolicy:  # fmt: skip
        """A policy in another tool's form; ``images`` are verified, and pinned where it can."""
        # 230 ms that other commands save
        from homeport.attest.operations.policies import emit_policy

        about = self._attest_access(images[0] if images else "none", access)
        return emit_policy(target, policy, images, about)

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
            raise UsageError("signing without a key requires the network, not --offline")
        return self.client

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

    def _opening(self, access: RegistryAccess | None) -> OpenRegistries:
        """Opens the registries of a run; ``access`` is for the one that a reference names."""
        return lambda registry: self.registries(registry, access)

    def registries(self, about: str = "", access: RegistryAccess | None = None) -> Registries:
        """The registries of one run; ``access`` is meant for the registry ``about``."""
        # 100 ms that other commands save
        from homeport.net.clock import Deadline
        from homeport.registry.endpoint import Endpoint, endpoint_for
        from homeport.registry.hosts import default_folders
        from homeport.registry.registries import Registries

        if self.settings.offline:
            raise UsageError("cannot access a registry with --offline")
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


def open_app(
    settings: Settings, progress: Progress | None = None, cancel: CancelToken | None = None
) -> App:
    """Open the application. Nothing is written or connected until something is asked of it."""
    cancel = cancel or CancelToken()
    progress = progress or Silent()
    closing = ExitStack()
    cache_dir = settings.cache_dir or _temporary_cache(closing, progress)
    store = Store(
        cache_dir, lambda: find_answer_key(settings.cache_key_file, cache_dir, os.environ)
    )
    if not store.is_own:
        progress.note(
            "cache",
            f"warning: the cache {store.root} belongs to user {store.owner}: its content is"
            " verified again, its other results are not used",
        )
    return App(
        settings=settings,
        runtime=Runtime(
            store=store,
            pools=Pools(cancel),
            progress=progress,
            cancel=cancel,
        ),
        closing=closing,
    )


def _temporary_cache(closing: ExitStack, progress: Progress) -> Path:
    """A cache for this run, removed with ``closing``."""
    import tempfile  # 5 ms that users with a home save

    progress.note(
        "cache",
        "no home directory to keep a cache in: it lasts for this run; name one with"
        " HOMEPORT_CACHE_DIR",
    )
    with explained(Path(tempfile.gettempdir())):
        return Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="homeport-cache-")))
