"""The source packages of exactly the packages that an image is made of, for a bundle.

Found through a signed release file: the one that the image was locked to, which its rebuild
kit proves, else the one that an archive has today. Everything is fetched by hash, from mirrors
or archives of former states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from homeport.building.rebuild import OpenedKit
from homeport.bundling.artifacts import named_layer
from homeport.bundling.model import (
    INDEX_LAYER,
    RELEASE_LAYER,
    SOURCE_LAYER,
    SOURCES,
    SOURCES_LIST,
    BundledSources,
    ListedSource,
    ListedSourceFile,
    SourceList,
    SourceState,
)
from homeport.content.blob import Blob, BytesBlob
from homeport.debian.archive.mirror import MIRROR_ERRORS
from homeport.debian.archive.package_fetch import PackageGone
from homeport.debian.archive.release_candidates import Candidate, read_candidate, suite_location
from homeport.debian.archive.state import SuiteSpec
from homeport.debian.archive.state_cache import recorded_states
from homeport.debian.listed_file import ListedFile
from homeport.debian.package import PackageFile
from homeport.images.artifact import artifact
from homeport.images.image import Image
from homeport.locking.archive_access import ArchiveAccess, suite_specs
from homeport.locking.lock_paths import proof_path
from homeport.locking.proof_file import Evidence, read_proof
from homeport.locking.source_packages import (
    NoSource,
    check_dsc,
    fetch_files,
    fetch_indexes,
    files_of_source,
    locked_source,
    read_stanzas,
)
from homeport.oci.documents import Descriptor
from homeport.quantities import counted, human_size
from homeport.recipe.local_packages import LOCAL
from homeport.recipe.lock.model import LockedSource, Lockfile

_SHOWN = 5
#: (archive, suite) → (name, version) of source packages
Wanted = dict[tuple[str, str], set[tuple[str, str]]]


class GatheredSources(msgspec.Struct, frozen=True, kw_only=True):
    """Source packages with their files, and the states that prove them."""

    sources: tuple[LockedSource, ...]
    states: tuple[tuple[Candidate, tuple[tuple[ListedFile, Blob], ...]], ...]
    files: Mapping[PackageFile, Blob]
    missing: tuple[str, ...]

    @property
    def summary(self) -> BundledSources:
        return BundledSources(
            packages=len(self.sources), files=len(self.files),
            size=sum(file.size for file in self.files), missing=self.missing,
        )  # fmt: skip


def gather_sources(
    image: str, kit: OpenedKit, lockfile: Lockfile, access: ArchiveAccess, *, required: bool
) -> GatheredSources:
    """Find and fetch the sources; those that no archive has are ``missing``, with a warning.

    required: raise ``NoSource`` instead. Raises ``NetError`` and what verifying raises.
    """
    wanted = sources_of(lockfile)
    total = {one for names in wanted.values() for one in names}
    found: list[LockedSource] = []
    states = []
    for spec in suite_specs(kit.recipe):
        names = wanted.get((spec.archive, spec.suite), set())
        for candidate in _candidates(spec, kit, access) if names else ():
            taken, indexes = _from_state(candidate, names, access)
            if taken:
                found += taken
                states.append((candidate, indexes))
            if not names:
                break
    dates = {archive: date for (archive, _), date in lockfile.suite_dates().items()}
    _told(image, found, access)
    files, gone = _fetched(found, dates, access)
    kept = tuple(one for one in found if one not in gone)
    have = {(one.name, one.version) for one in kept}
    missing = tuple(sorted(f"{name} {version}" for name, version in total - have))
    if missing:
        _lacking(image, missing, access, required=required)
    return GatheredSources(
        sources=tuple(sorted(kept, key=lambda one: (one.name, one.version))),
        states=tuple(states), files=files, missing=missing,
    )  # fmt: skip


def sources_of(lockfile: Lockfile) -> Wanted:
    """The source packages of a lockfile: of what the image is made of, and what parts compile."""
    wanted: Wanted = {}
    for packages in lockfile.platforms.values():
        for one in packages:
            if one.file.archive != LOCAL:
                names = wanted.setdefault((one.file.archive, one.suite), set())
                names.add((one.source_name, one.source_version))
    for part in lockfile.parts.values():
        for source in part.sources:
            names = wanted.setdefault((source.archive, source.suite), set())
            names.add((source.name, source.version))
    return wanted


def sources_artifact(subject: Descriptor, gathered: GatheredSources) -> Image:
    """The artifact that refers to the index; its first layer lists the others."""
    listed = SourceList(
        states=tuple(_state(candidate, indexes) for candidate, indexes in gathered.states),
        sources=tuple(_listed(one) for one in gathered.sources),
        missing=gathered.missing,
    )
    layers = [named_layer(BytesBlob(msgspec.json.encode(listed)), SOURCES_LIST, "sources.json")]
    for candidate, indexes in gathered.states:
        files = candidate.files
        name = "Release" if files.signature is not None else "InRelease"
        layers.append(named_layer(BytesBlob(files.release), RELEASE_LAYER, name))
        if files.signature is not None:
            layers.append(named_layer(BytesBlob(files.signature), RELEASE_LAYER, "Release.gpg"))
        layers += [named_layer(blob, INDEX_LAYER, index.path) for index, blob in indexes]
    for file, blob in gathered.files.items():
        layers.append(named_layer(blob, SOURCE_LAYER, file.path.rpartition("/")[2]))
    unique = {descriptor.digest: (descriptor, blob) for descriptor, blob in layers}
    return artifact(SOURCES, list(unique.values()), subject)


def _candidates(spec: SuiteSpec, kit: OpenedKit, access: ArchiveAccess) -> Iterator[Candidate]:
    """Verified release files of a suite: that of the lock, then what its mirrors have today."""
    seen = set()
    for candidate in (*_locked(spec, kit, access), *_current(spec, access)):
        if candidate.digest not in seen:
            seen.add(candidate.digest)
            yield candidate


def _locked(spec: SuiteSpec, kit: OpenedKit, access: ArchiveAccess) -> Iterator[Candidate]:
    evidence: Evidence = {}
    path = proof_path(kit.lockfile)
    if path.is_file():
        specs = suite_specs(kit.recipe)
        evidence = read_proof(path, specs, frozenset(), access.runtime.cancel)
    for (archive, suite, _), state in evidence.items():
        if (archive, suite) == (spec.archive, spec.suite):
            yield state.candidate
    if not evidence:
        yield from recorded_states(access.runtime.store, spec)


def _current(spec: SuiteSpec, access: ArchiveAccess) -> Iterator[Candidate]:
    for mirror in access.mirrors.of(spec.archive):
        try:
            yield read_candidate(spec, suite_location(spec, mirror, spec.suite), fail_fast=True)
        except MIRROR_ERRORS:
            continue


def _from_state(
    candidate: Candidate, names: set[tuple[str, str]], access: ArchiveAccess
) -> tuple[list[LockedSource], tuple[tuple[ListedFile, Blob], ...]]:
    """Sources that a state lists, taken out of ``names``; with the indexes that list them."""
    found: list[LockedSource] = []
    used = []
    try:
        indexes = list(fetch_indexes(candidate, access))
    except PackageGone:
        return [], ()
    for index, blob in indexes:
        before = len(found)
        for stanzas in read_stanzas(index, blob, {name for name, _ in names}).values():
            for stanza in stanzas:
                key = stanza.get("Package"), stanza.get("Version")
                if key in names:
                    names.discard(key)
                    found.append(locked_source(stanza, candidate.spec))
        if len(found) > before:
            used.append((index, blob))
    return found, tuple(used)


def _fetched(
    sources: Sequence[LockedSource], dates: Mapping[str, datetime], access: ArchiveAccess
) -> tuple[dict[PackageFile, Blob], list[LockedSource]]:
    """The files of all sources, each .dsc compared with Sources; and sources that are gone."""
    left, gone = list(sources), []
    while True:
        try:
            files = [file for one in left for file in files_of_source(one)]
            fetched = dict(fetch_files(files, dates, access))
            break
        except PackageGone as error:
            lost = {(file.id.name, file.id.version) for file in error.files}
            gone += [one for one in left if (one.name, one.version) in lost]
            left = [one for one in left if (one.name, one.version) not in lost]
    for one in left:
        check_dsc(one, fetched[files_of_source(one)[0]])
    return fetched, gone


def _told(image: str, sources: Sequence[LockedSource], access: ArchiveAccess) -> None:
    files = [file for one in sources for file in one.files]
    size = human_size(sum(file.size for file in files))
    access.runtime.progress.note(
        "sources",
        f"{image}: {counted(len(sources), 'source package')}, {counted(len(files), 'file')},"
        f" {size} (leave them out: --no-sources)",
    )


def _lacking(image: str, missing: Sequence[str], access: ArchiveAccess, *, required: bool) -> None:
    shown = ", ".join(missing[:_SHOWN])
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    text = f"{image}: no archive of its recipe has the source of {shown}{more}"
    if required:
        raise NoSource(text, hint="bundle without --sources to leave out those that are missing")
    access.runtime.progress.note("sources", f"warning: {text}")


def _state(candidate: Candidate, indexes: Sequence[tuple[ListedFile, Blob]]) -> SourceState:
    files = candidate.files
    return SourceState(
        archive=candidate.spec.archive,
        suite=candidate.spec.suite,
        release=str(BytesBlob(files.release).digest),
        signature=str(BytesBlob(files.signature).digest) if files.signature is not None else "",
        indexes=tuple(
            ListedSourceFile(path=index.path, sha256=index.digest.hex, size=index.size)
            for index, _ in indexes
        ),
    )


def _listed(source: LockedSource) -> ListedSource:
    return ListedSource(
        name=source.name, version=source.version, archive=source.archive, suite=source.suite,
        files=tuple(
            ListedSourceFile(path=file.path, sha256=file.sha256.hex, size=file.size)
            for file in source.files
        ),
    )  # fmt: skip
