"""Copying between addresses as users write them: push, pull, mirror, import.

Each function parses the addresses, opens the registries with the access that is meant for the
registry of the destination, and copies. Not for how an image is copied (``copy``, ``mirror``,
``importing``).
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from homeport.errors import UsageError
from homeport.images import mirror as mirroring
from homeport.images.address import (
    Address,
    ArchiveAddress,
    FileAddress,
    LayoutAddress,
    RegistryAddress,
    parse_destination,
    parse_source,
    registry_of,
)
from homeport.images.ambiguity import require_unambiguous, warn_of_ambiguities
from homeport.images.copy import Prepare, Verify, copy
from homeport.images.importing import Imported, vendor
from homeport.images.mirror_pairs import pair_of, repository_reference
from homeport.images.nondistributable import NonDistributableLayers, report_left_out
from homeport.images.storage.files import DirectoryFiles
from homeport.images.storage.layout import lists_attached
from homeport.images.transports.base import Written
from homeport.images.transports.registry import RegistryTransport, registry_transports
from homeport.images.transports.select import destination_for, source_for
from homeport.net.client import Client
from homeport.oci.platform import Platform
from homeport.registry.operations import OpenRegistries
from homeport.runtime import Runtime

#: Makes the transport of a registry address.
Transports = Callable[[RegistryAddress], RegistryTransport]


class CopyAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What a copy reaches, and how it treats what it finds there.

    registries:       opens the registries of a run
    client:           the HTTP client; ``None`` with ``--offline``
    no_clobber:       raise ``AnswerNo`` if the tag leads to another image
    nondistributable: include layers whose owner distributes them
    verifier:         makes what verifies the image at an address before ``mirror`` and
                      ``import_image`` write anything
    """

    runtime: Runtime
    registries: OpenRegistries
    client: Callable[[], Client] | None
    no_clobber: bool = False
    nondistributable: bool = False
    verifier: Callable[[Address, Transports], Verify] = lambda _source, _registry: lambda _value: ""

    def transports(self, about: str) -> Transports:
        """Makes the transports of registries; options are meant for the registry ``about``."""
        return registry_transports(partial(self.registries, about), no_clobber=self.no_clobber)

    def prepare(self, *, strict: bool = False) -> Prepare:
        """What is done with an image before anything of it travels.

        strict: raise ``AmbiguousImage`` where a copy only warns
        """
        warn = partial(warn_of_ambiguities, self.runtime.progress)
        check = require_unambiguous if strict else warn
        then = self._nondistributable()
        return lambda value: then(check(value))

    def _nondistributable(self) -> Prepare:
        if not self.nondistributable:
            return partial(report_left_out, self.runtime.progress)
        if self.client is None:
            raise UsageError("--allow-nondistributable-artifacts cannot be combined with --offline")
        return NonDistributableLayers(client=self.client(), runtime=self.runtime).take


def push(
    source: str, destination: str, access: CopyAccess, platforms: Sequence[Platform] | None = None
) -> Written:
    """Copy an image, byte for byte, to a registry."""
    origin, target = parse_source(source), parse_destination(destination)
    if not isinstance(target, RegistryAddress):
        raise UsageError(
            f"push writes to a registry only, not to {destination}",
            hint=f"homeport pull {shlex.quote(source)} {shlex.quote(destination)}",
        )
    about = target.reference.registry
    return _copy(origin, target, about, access, platforms, strict=True)


def pull(
    source: str, destination: str, access: CopyAccess, platforms: Sequence[Platform] | None = None
) -> Written:
    """Copy an image, byte for byte, from anywhere to anywhere."""
    origin, target = parse_source(source), parse_destination(destination)
    return _copy(origin, target, registry_of(origin, target), access, platforms)


def may_have_attached(source: Address, *, ask_registry: bool) -> bool:
    """Whether to look for what is attached to a copied image: signatures, SBOMs and the like.

    What lies here is looked through in any case. Docker archives, engines and pipes have nothing,
    or nothing that can be read twice.
    """
    if isinstance(source, RegistryAddress):
        return ask_registry
    if isinstance(source, LayoutAddress):
        return lists_attached(DirectoryFiles(source.path))
    return (
        isinstance(source, ArchiveAddress | FileAddress)
        and source.path is not None
        and source.path.is_file()
    )


def mirror(
    pair: mirroring.MirrorPair, access: CopyAccess, *, dry_run: bool = False
) -> mirroring.MirrorOutcome:
    """Copy one image to a registry; an error is part of the outcome."""
    registry = access.transports(registry_of(pair.destination, pair.source))
    return mirroring.mirror(
        pair, registry, access.runtime, prepare=access.prepare(),
        verify=access.verifier(pair.source, registry), dry_run=dry_run,
    )  # fmt: skip


def mirror_pairs(
    source: str, destination: str, registries: OpenRegistries, *,
    tags: Sequence[str] | None, platforms: Sequence[Platform] | None, referrers: bool,
) -> list[mirroring.MirrorPair]:  # fmt: skip
    """The images to mirror; with ``tags`` (globs), both addresses are repositories."""
    if tags is None:
        return [pair_of(source, destination, platforms, referrers)]
    reference = repository_reference(source)
    repository = registries(reference.registry).sources(reference)
    return [
        pair_of(f"{source}:{tag}", f"{destination}:{tag}", platforms, referrers)
        for tag in mirroring.matching_tags(repository, tags)
    ]


def import_image(
    source: str, destination: str, access: CopyAccess, platforms: Sequence[Platform] | None = None
) -> Imported:
    """Copy an upstream image to a registry of the user's, and record its origin there."""
    origin, target = parse_source(source), parse_destination(destination)
    if not isinstance(origin, RegistryAddress) or not isinstance(target, RegistryAddress):
        raise UsageError(
            "import requires two registry addresses",
            hint=f"homeport push {shlex.quote(source)} {shlex.quote(destination)}",
        )
    registry = access.transports(target.reference.registry)
    return vendor(
        registry(origin), registry(target), access.runtime, platforms=platforms,
        prepare=access.prepare(), verify=access.verifier(origin, registry),
    )  # fmt: skip


def _copy(
    origin: Address, target: Address, about: str, access: CopyAccess,
    platforms: Sequence[Platform] | None, *, strict: bool = False,
) -> Written:  # fmt: skip
    registry = access.transports(about)
    return copy(
        source_for(origin, registry), destination_for(target, registry),
        access.runtime, platforms=platforms, prepare=access.prepare(strict=strict),
    )  # fmt: skip
