"""Verifying the source packages in a bundle: from what the bundle holds, offline.

Every file is what a .dsc lists, every source package what an index lists, every index what a
release file lists, and the release file is signed by a key that the recipe in the image's rebuild
kit trusts for that suite. Nothing that the bundle says of itself decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import msgspec

from homeport.attest.attached.artifacts import attached_artifacts
from homeport.attest.attached.base import Attached
from homeport.building.rebuild import NoRebuildKit, OpenedKit, open_kit
from homeport.bundling.gathering_sources import sources_of
from homeport.bundling.model import (
    SOURCES,
    SOURCES_LIST,
    SOURCES_SCHEMA,
    BadBundle,
    BundledSources,
    ListedSource,
    SourceList,
    SourceState,
)
from homeport.content.blob import Blob, read_verified, verified
from homeport.content.digest import Digest
from homeport.content.reading import CHUNK
from homeport.debian.archive.release import MAX_RELEASE
from homeport.debian.archive.release_candidates import (
    MAX_SIGNATURE,
    Candidate,
    ReleaseFiles,
    SuiteLocation,
    verified_candidate,
)
from homeport.debian.archive.signature import BadSignature
from homeport.debian.archive.state import SuiteSpec
from homeport.debian.deb822 import Paragraph
from homeport.errors import IntegrityError, UsageError
from homeport.images.image import Image, Index, digest_of
from homeport.locking.archive_access import suite_specs
from homeport.locking.source_packages import check_dsc, locked_source, read_stanzas
from homeport.printable import printable
from homeport.quantities import human_size
from homeport.recipe.lock.model import LockedFile, LockedSource
from homeport.recipe.lock.reading import read_lockfile
from homeport.runtime import Runtime

_LIST_LIMIT = 64 << 20


def check_sources(
    name: str, value: Image | Index, attached: Attached, runtime: Runtime
) -> BundledSources | None:
    """The sources of an image in a bundle and the verdict on them; ``None`` if there are none.

    Raises ``BadBundle`` if they are not what the signed indexes list.
    """
    if not isinstance(value, Index):
        return None
    found = next(attached_artifacts(attached, value.digest, SOURCES), None)
    if found is None:
        return None
    checker = _Checker(name, found, runtime)
    try:
        with open_kit(name, value, attached, runtime, trust_kit=True) as kit:
            return checker.check(kit)
    except NoRebuildKit as error:
        raise BadBundle(f"{name}: source packages without a rebuild kit: {error.what}") from error


class _Checker:
    """One artifact of sources; ``_blobs`` are its layers by digest."""

    def __init__(self, name: str, found: Image, runtime: Runtime) -> None:
        self._name = name
        self._runtime = runtime
        layers = found.document.parsed.layers
        self._blobs = {one.digest: found.blobs[digest_of(one)] for one in layers}
        if not layers or layers[0].media_type != SOURCES_LIST:
            raise self._bad("their first layer is not a list of them")
        raw = self._read(layers[0].digest, _LIST_LIMIT)
        try:
            self._list = msgspec.json.decode(raw, type=SourceList)
        except (msgspec.DecodeError, RecursionError) as error:
            raise self._bad(f"their list is not valid: {error}") from error
        if self._list.schema != SOURCES_SCHEMA:
            raise self._bad(f"their list has the unknown format {self._list.schema!r}")

    def check(self, kit: OpenedKit) -> BundledSources:
        """Raises ``BadBundle`` if a file is not what is listed, or a list not what was signed."""
        sources = [self._source(one) for one in self._list.sources]
        for source in sources:
            self._check_files(source)
        problem = self._unproven(sources, kit)
        lacking = self._lacking(sources, kit)
        verdict = f"not verified: {problem}" if problem else "verified"
        if lacking:
            verdict += f", incomplete without {lacking[0]}"
            verdict += f" and {len(lacking) - 1} more" if lacking[1:] else ""
        sizes = {file.sha256: file.size for one in sources for file in one.files}
        return BundledSources(
            packages=len(sources), files=len(sizes), size=sum(sizes.values()), missing=lacking,
            verdict=verdict,
        )  # fmt: skip

    def _check_files(self, source: LockedSource) -> None:
        self._runtime.cancel.check()
        for file in source.files:
            blob = self._blob(str(file.sha256), file.size)
            with verified(blob, file.path) as stream:
                while stream.read(CHUNK):
                    self._runtime.cancel.check()
        try:
            check_dsc(source, self._blob(str(source.files[0].sha256), source.files[0].size))
        except IntegrityError as error:
            raise self._bad(error.what) from error

    def _unproven(self, sources: Sequence[LockedSource], kit: OpenedKit) -> str:
        """Why a source package is not shown to be the archive's; empty if all are.

        An index that a trusted release file lists and that lists other files is an error.
        """
        specs = {(one.archive, one.suite): one for one in suite_specs(kit.recipe)}
        names = {one.name for one in sources}
        proven: dict[tuple[str, str, str, str], list[LockedSource]] = {}
        problem = ""
        for state in self._list.states:
            spec = specs.get((state.archive, state.suite))
            if spec is None:
                problem = problem or f"the recipe has no suite {state.suite} of {state.archive}"
                continue
            try:
                candidate = verified_candidate(spec, _place(spec), self._signed(state))
            except BadSignature as error:
                problem = problem or f"{spec}: {error.what}"
                continue
            for stanza in self._stanzas(state, candidate, names):
                one = locked_source(stanza, spec)
                proven.setdefault((*_key(spec), one.name, one.version), []).append(one)
        for source in sources:
            known = proven.get((source.archive, source.suite, source.name, source.version), [])
            if known and source not in known:
                raise self._bad(f"{source.name} {source.version} is not what the archive signed")
            if not known:
                problem = problem or f"no signed index lists {source.name} {source.version}"
        return problem

    def _signed(self, state: SourceState) -> ReleaseFiles:
        signature = self._read(state.signature, MAX_SIGNATURE) if state.signature else None
        return ReleaseFiles(release=self._read(state.release, MAX_RELEASE), signature=signature)

    def _stanzas(
        self, state: SourceState, candidate: Candidate, names: Collection[str]
    ) -> Iterator[Paragraph]:
        for index in state.indexes:
            listed = candidate.release.files.get(index.path)
            if listed is None or (listed.digest.hex, listed.size) != (index.sha256, index.size):
                raise self._bad(f"the release file of {state.suite} does not list {index.path}")
            blob = self._blob(str(listed.digest), listed.size)
            for stanzas in read_stanzas(listed, blob, names).values():
                yield from stanzas

    def _lacking(self, sources: Sequence[LockedSource], kit: OpenedKit) -> tuple[str, ...]:
        """Source packages of the image that are not among ``sources``."""
        lockfile = read_lockfile(kit.lockfile)
        assert lockfile is not None, "the kit was checked"
        wanted = {one for names in sources_of(lockfile).values() for one in names}
        have = {(one.name, one.version) for one in sources}
        return tuple(sorted(f"{name} {version}" for name, version in wanted - have))

    def _source(self, listed: ListedSource) -> LockedSource:
        files = tuple(
            LockedFile(path=one.path, sha256=self._digest(one.sha256), size=one.size)
            for one in listed.files
        )
        if not files:
            raise self._bad(f"{listed.name} {listed.version} has no files")
        return LockedSource(
            name=listed.name, version=listed.version, archive=listed.archive, suite=listed.suite,
            files=files,
        )  # fmt: skip

    def _digest(self, hex: str) -> Digest:
        try:
            return Digest.parse(f"sha256:{hex}")
        except UsageError as error:
            raise self._bad(error.what) from error

    def _read(self, digest: str, limit: int) -> bytes:
        blob = self._blobs.get(digest)
        if blob is None:
            raise self._bad(f"{digest} is not there")
        return read_verified(blob, limit, digest)

    def _blob(self, digest: str, size: int) -> Blob:
        blob = self._blobs.get(digest)
        if blob is None or blob.size != size:
            raise self._bad(f"{digest} of {human_size(size)} is not there")
        return blob

    def _bad(self, why: str) -> BadBundle:
        return BadBundle(f"the source packages of {self._name} are not valid: {printable(why)}")


def _key(spec: SuiteSpec) -> tuple[str, str]:
    return spec.archive, spec.suite


def _place(spec: SuiteSpec) -> SuiteLocation:
    """Whatever the name under which it was found: it must be of the recipe's suite."""
    return SuiteLocation(mirror=None, folder=spec.suite, directory="", label="the bundle")
