"""Methods of ``App`` that carry images: push, pull, mirror, import and bundles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.app.resources import Resources

if TYPE_CHECKING:
    from homeport.attest.operations.policies import SourceVerification
    from homeport.attest.operations.signing import SignOptions
    from homeport.bundling.model import BundleResult, ListResult, LoadResult
    from homeport.bundling.opening import LoadAccess
    from homeport.images.importing import Imported
    from homeport.images.mirror import MirrorOutcome, MirrorPair
    from homeport.images.operations import Transports
    from homeport.images.transports.base import Written
    from homeport.oci.platform import Platform
    from homeport.registry.access import RegistryAccess


class ImageCommands(Resources):
    """What commands do to carry images from one place to another."""

    def push(
        self, source: str, destination: str, *, platforms: Sequence[Platform] | None = None,
        access: RegistryAccess | None = None, no_clobber: bool = False,
        nondistributable: bool = False, referrers: bool = False,
    ) -> Written:  # fmt: skip
        """Copy an image, byte for byte, to a registry.

        platforms:        of an index; by default all
        access:           for the registry of the destination
        no_clobber:       raise ``AnswerNo`` if the tag leads to another image
        nondistributable: include layers whose owner distributes them
        referrers:        ask a registry that is the source for what is attached to the image; from
                          layouts and OCI archives it always comes along
        """
        # 200 ms that other commands save
        from homeport.images.address import registry_of
        from homeport.images.operations import push

        how = self._copying(access, no_clobber=no_clobber, nondistributable=nondistributable)
        written = push(source, destination, how, platforms)
        transports = how.transports(registry_of(written.address))
        self._carry(source, written, transports, platforms, referrers=referrers)
        return written

    def pull(
        self, source: str, destination: str, *, platforms: Sequence[Platform] | None = None,
        access: RegistryAccess | None = None, nondistributable: bool = False,
        referrers: bool = False,
    ) -> Written:  # fmt: skip
        """Copy an image, byte for byte, from anywhere to anywhere; parameters as for ``push``."""
        # 200 ms that other commands save
        from homeport.images.address import parse_source, registry_of
        from homeport.images.operations import pull

        how = self._copying(access, nondistributable=nondistributable)
        written = pull(source, destination, how, platforms)
        transports = how.transports(registry_of(parse_source(source), written.address))
        self._carry(source, written, transports, platforms, referrers=referrers)
        return written

    def _carry(
        self, source: str, written: Written, transports: Transports,
        platforms: Sequence[Platform] | None, *, referrers: bool,
    ) -> None:  # fmt: skip
        """Take along what is attached to an image, or say that it stays behind."""
        # 200 ms that other commands save
        from homeport.images.address import parse_source
        from homeport.images.operations import may_have_attached

        address = parse_source(source)
        if not may_have_attached(address, ask_registry=referrers):
            return
        # 60 ms that other copies save
        from homeport.attest.attached.carrying import carry_image

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
        mirrors: Sequence[str] = (), trust_kit: bool = False, sources: bool | None = None,
        access: RegistryAccess | None = None, sign: SignOptions | None = None,
        ask_password: Callable[[], bytes] | None = None,
    ) -> BundleResult:  # fmt: skip
        """Write images, all that is attached to them, their packages and sources to a file.

        sources: all of them, none, or (by default) those that the archives have
        sign:    the list of contents with this key
        """
        # 300 ms that other commands save
        from homeport.attest.operations.signing import open_signer, sign_artifact
        from homeport.bundling.writing import BundleAccess, write_bundle

        attesting = self._attest_access(images[0], access)
        signing = None
        if sign is not None:
            # Before anything is fetched: a wrong password is found at once.
            method = open_signer(sign, attesting, ask_password)
            signing = partial(sign_artifact, method=method, access=attesting)
        reach = BundleAccess(
            registry=attesting.registry, connections=self._connections(), runtime=self.runtime,
            sign=signing,
        )  # fmt: skip
        return write_bundle(
            images, file, files, reach, mirrors=tuple(mirrors), trust_kit=trust_kit,
            sources=sources,
        )  # fmt: skip

    def load_bundle(
        self, file: Path, registry: str, *, verification: SourceVerification | None = None,
        files_to: Path | None = None, access: RegistryAccess | None = None,
        keys: Sequence[str] = (),
    ) -> LoadResult:  # fmt: skip
        """Verify the images of a bundle by a policy, then write them below ``registry``.

        files_to: the directory to write keys, policies and the like of the bundle to
        keys:     public keys, any of which must have signed the bundle's list of contents
        """
        # 300 ms that other commands save
        from homeport.bundling.loading import load_bundle

        about = self._loading(f"{registry}/none", verification, keys, access)
        return load_bundle(file, registry, about, files_to=files_to)

    def list_bundle(
        self, file: Path, *, verification: SourceVerification | None = None,
        keys: Sequence[str] = (),
    ) -> ListResult:  # fmt: skip
        """What is in a bundle, verified as before loading it, but for the images' policy."""
        # 300 ms that other commands save
        from homeport.bundling.listing import list_bundle

        return list_bundle(file, self._loading(None, verification, keys, None))

    def _loading(
        self, about: str | None, verification: SourceVerification | None, keys: Sequence[str],
        access: RegistryAccess | None,
    ) -> LoadAccess:  # fmt: skip
        # 300 ms that other commands save
        from homeport.attest.operations.policies import (
            SourceVerification,
            verify_bundle,
            verify_named,
        )
        from homeport.bundling.opening import LoadAccess

        reach = self._attest_access(about, access)
        options = verification or SourceVerification()
        return LoadAccess(
            registry=reach.registry, runtime=self.runtime,
            decide=partial(verify_named, options=options, access=reach),
            verify_contents=partial(
                verify_bundle, keys=tuple(keys), options=options, access=reach
            ),
        )  # fmt: skip
