"""Methods of ``App`` that keep images fresh: outdated, update, publish and what undoes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.app.attestations import AttestationCommands
from homeport.app.images import ImageCommands
from homeport.app.recipes import RecipeCommands
from homeport.app.registries import RegistryCommands

if TYPE_CHECKING:
    from homeport.content.digest import Digest
    from homeport.freshness.model import Report as FreshnessReport
    from homeport.freshness.outdated import OutdatedAccess, OutdatedRequest
    from homeport.freshness.recipe_graph import RecipeGraph
    from homeport.freshness.report.writing import OutdatedFiles
    from homeport.images.importing import Origin
    from homeport.images.transports.registry import RegistryTransport
    from homeport.pipelines.convert import Converted, ConvertRequest
    from homeport.pipelines.generate import PipelineWritten
    from homeport.pipelines.request import PipelineRequest
    from homeport.publishing.publish import (
        PrunedTags,
        PublishAccess,
        Published,
        PublishRequest,
        RolledBack,
    )
    from homeport.registry.access import RegistryAccess
    from homeport.updating.model import TestsSaid, UpdateResult
    from homeport.updating.update import UpdateRequest


class ReleaseCommands(AttestationCommands, ImageCommands, RecipeCommands, RegistryCommands):
    """What commands do to find stale images, renew and publish them."""

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
            test=self._tests_of,
        )
        return run_update(request, access)

    def _tests_of(self, address: str, recipe: str) -> TestsSaid:
        # 60 ms that updates without --build save
        from homeport.imagetests.run import ImageTestRequest
        from homeport.updating.model import TestsSaid

        tested = self.test(ImageTestRequest(subject=address, tests=(recipe,)))
        failed = tuple(f"{one.name} ({one.platform}): {one.why}" for one in tested.failed)
        return TestsSaid(
            passed=len(tested.results) - len(failed) - len(tested.not_run),
            failed=failed,
            not_run=len(tested.not_run),
        )

    def graph(
        self, recipes: Sequence[str] = (), *, repository: str = "",
        directory: Path | None = None, allow_outside: Sequence[Path] = (),
    ) -> RecipeGraph:  # fmt: skip
        """Which recipe extends or uses which, and what they share.

        recipes:    recipes and folders of recipes; none: all below ``directory``
        repository: where their images are published, to compare layers
        """
        # 40 ms that other commands save
        from homeport.freshness.recipe_graph import LayersAccess, recipe_graph
        from homeport.freshness.subjects import find_recipes

        found, failed = find_recipes(recipes, directory or Path.cwd(), allow_outside)
        layers = LayersAccess(repository=repository, open_image=self.open_image)
        return recipe_graph(found, failed, layers if repository else None)

    def pipelines(self, request: PipelineRequest) -> PipelineWritten:
        """Write jobs into a pipeline file, or compare it with them."""
        # 10 ms that other commands save
        from homeport.pipelines.generate import run_pipelines

        return run_pipelines(request)

    def convert_pipeline(self, request: ConvertRequest) -> Converted:
        """Carry another system's pipeline over; files are written only below ``output``."""
        # 60 ms that other commands save
        from homeport.pipelines.convert import run_convert

        return run_convert(request)

    def publish(
        self, request: PublishRequest, *, access: RegistryAccess | None = None,
        key: str | None = None, ask_password: Callable[[], bytes] | None = None,
    ) -> tuple[Published, ...]:  # fmt: skip
        """Build, push, test from the registry, then name images.

        access: for the registry of the repository
        key:    for ``sign`` of the request; without one the identity of a CI job signs
        ask_password: for the key, if no variable has it; called once
        """
        # 200 ms that other commands save
        from homeport.attest.operations.signing import SignOptions, open_signer
        from homeport.publishing.publish import run_publish

        password = cache(ask_password) if ask_password is not None else None
        if request.sign and key:
            # A key or password that is wrong is found before anything is built.
            open_signer(SignOptions(key=key), self._attest_access(None, access), password)
        return run_publish(request, self._publish_access(access, key or "", password))

    def rollback(
        self, repository: str, *, to: str = "", access: RegistryAccess | None = None
    ) -> RolledBack:
        """Let the moving tags lead to an earlier dated tag."""
        # 200 ms that other commands save
        from homeport.publishing.publish import run_rollback

        return run_rollback(repository, to, self._publish_access(access, ""))

    def prune_tags(
        self, repository: str, *, keep: int = 10, days: int = 90, dry_run: bool = False,
        consumers: Sequence[Path] = (), access: RegistryAccess | None = None,
    ) -> PrunedTags:  # fmt: skip
        """Remove old dated tags that no other tag leads to.

        consumers: folders whose files are audited; what they name stays
        """
        # 200 ms that other commands save
        from homeport.publishing.publish import run_prune_tags

        return run_prune_tags(
            repository, self._publish_access(access, ""), keep=keep, days=days, dry_run=dry_run,
            consumers=consumers,
        )  # fmt: skip

    def _publish_access(
        self, access: RegistryAccess | None, key: str,
        password: Callable[[], bytes] | None = None,
    ) -> PublishAccess:  # fmt: skip
        # 200 ms that other commands save
        from homeport.attest.operations.signing import SignOptions
        from homeport.images.address import parse_source
        from homeport.images.reading import opened
        from homeport.imagetests.run import run_tests
        from homeport.publishing.consumers import parts_of
        from homeport.publishing.publish import PublishAccess

        reach = self._reading(access)
        return PublishAccess(
            build=self.build,
            push=lambda source, destination: self.push(source, destination, access=access),
            tags=lambda repository: self.tags(repository, access=access).tags,
            digest=lambda reference: self.digest(reference, access=access),
            retag=lambda reference, tags: self.retag(reference, tags, access=access),
            claim=lambda reference, tag: self.retag(
                reference, [tag], no_clobber=True, access=access
            ),
            test=lambda request: run_tests(
                request,
                self.runtime,
                self._connections(),
                lambda address: opened(parse_source(address), reach),
            ),
            sign=lambda image: self.sign(
                image, SignOptions(key=key), access=access, ask_password=password
            ),
            delete=lambda reference: self.delete(reference, access=access),
            parts=lambda reference: parts_of(self.manifest(reference, access)),
            check=self.runtime.cancel.check,
        )

    def _outdated_access(self) -> OutdatedAccess:
        # 150 ms that other commands save
        from homeport.freshness.git_refs import list_refs
        from homeport.freshness.inputs import InputAccess
        from homeport.freshness.outdated import OutdatedAccess
        from homeport.freshness.own_version import newest_release
        from homeport.freshness.upstreams import UpstreamAccess
        from homeport.freshness.web_files import digest_of_url

        return OutdatedAccess(
            archives=self.archives,
            open_image=self.open_image,
            inputs=InputAccess(
                digest_of=self.digest,
                tags_of=lambda repository: self.tags(repository).tags,
                upstreams=UpstreamAccess(
                    origins=self._origins_of,
                    digest_of=self._upstream_digest,
                    made=self._upstream_made,
                ),
                refs_of=list_refs,
                digest_of_url=lambda url: digest_of_url(url, self.client, self.runtime.store),
            ),
            newest_release=lambda index: newest_release(index, self.client),
            fetch=self._fetch_tracker,
            runtime=self.runtime,
        )

    def _upstream_digest(self, image: str, name: str) -> Digest:
        # 20 ms that other commands save
        from homeport.registry.errors import NotFound

        with self._named_by(image, name) as upstream:
            reference = upstream.address.reference
            found = upstream.sources.manifest_digest(reference.digest or reference.tag)
        if found is None:
            raise NotFound(f"{name} does not exist")
        return found

    def _upstream_made(self, image: str, name: str) -> datetime | None:
        # 20 ms that other commands save
        from homeport.freshness.image_packages import image_made

        with self._named_by(image, name) as upstream, upstream.open(self.runtime) as value:
            return image_made(value)

    @contextmanager
    def _named_by(self, image: str, name: str) -> Iterator[RegistryTransport]:
        """What an image names, reached at no private address but those of its own registry.

        Otherwise whoever publishes an image could have any host inside a network queried.
        """
        # 100 ms that other commands save
        from homeport.audit.registry_lookup import named_by_strangers
        from homeport.images.address import RegistryAddress, parse_source
        from homeport.images.transports.registry import RegistryTransport
        from homeport.net.client import Client
        from homeport.registry.endpoint import endpoint_for

        carrier, address = parse_source(image), parse_source(f"docker://{name}")
        assert isinstance(carrier, RegistryAddress)
        assert isinstance(address, RegistryAddress)
        registries = self.registries()
        own = {url.host for url in endpoint_for(carrier.reference.registry).candidates}
        own |= registries.configured_hosts(address.reference.registry)
        settings = named_by_strangers(self.client.settings, frozenset(own))
        with Client(settings, cancel=self.runtime.cancel) as client:
            yield RegistryTransport(address, registries.with_client(client))

    def _origins_of(self, address: str) -> Sequence[Origin]:
        # 20 ms that other commands save
        from homeport.images.address import RegistryAddress, parse_source
        from homeport.images.importing import origins

        parsed = parse_source(address)
        assert isinstance(parsed, RegistryAddress)
        reference = parsed.reference
        sources = self._registries.sources(reference)
        return origins(sources, reference.digest or reference.tag or "latest")
