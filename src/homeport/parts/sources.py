"""Debian source packages as inputs of parts: found through signed Sources, pinned, fetched.

The release file that the build root's lock names is verified again from the cache. It has
the hash of Sources, and Sources has those of the .dsc and of the files that it lists. The
.dsc itself must list the same. The part's commands unpack it (``dpkg-source -x``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from homeport.content.blob import Blob, verified
from homeport.content.digest import Digest
from homeport.content.reading import read_bounded
from homeport.debian.archive import package_fetch
from homeport.debian.archive.mirror import MIRROR_ERRORS, ExpectedFile
from homeport.debian.archive.release_candidates import Candidate
from homeport.debian.archive.state import SuiteSpec
from homeport.debian.archive.state_cache import recorded_states
from homeport.debian.deb822 import Paragraph, parse_paragraph
from homeport.debian.listed_file import ListedFile
from homeport.debian.package import PackageFile, PackageId
from homeport.debian.version import parse_version
from homeport.errors import HomeportError, IntegrityError
from homeport.locking.archive_access import ArchiveAccess, suite_specs
from homeport.recipe.lock.model import LockedFile, LockedSource, Lockfile
from homeport.recipe.model import Recipe
from homeport.recipe.parts import SourceInput
from homeport.tree.decompression import decompressed

_LARGEST = 512 << 20  # bytes of a Sources index, unpacked
_LARGEST_DSC = 1 << 20
_CHECKSUM = re.compile(r"([0-9a-f]{64}) +([0-9]{1,15}) +([A-Za-z0-9][A-Za-z0-9.+~_-]*)")


class NoSource(HomeportError):
    """No suite of the recipe has the source package."""

    id = "no-source"


def lock_sources(
    inputs: Sequence[SourceInput], recipe: Recipe, root: Lockfile, access: ArchiveAccess
) -> tuple[LockedSource, ...]:
    """The source packages, from the archive states that the build root is locked to.

    Raises ``NoSource``, ``IntegrityError``, and what mirrors raise.
    """
    found = []
    for each in inputs:
        stanzas = [
            (spec, stanza)
            for spec in suite_specs(recipe)
            for stanza in _stanzas(each.package, spec, root, access)
            if each.version in (None, stanza.get("Version"))
        ]
        if not stanzas:
            wanted = f"{each.package} {each.version or ''}".strip()
            raise NoSource(
                f"no suite of the recipe has the source package {wanted}",
                where=each.place.where(),
                hint="a source package may have another name than its binary packages",
            )
        spec, newest = max(stanzas, key=lambda pair: parse_version(pair[1].get("Version")))
        locked = _locked(newest, spec)
        _check_dsc(locked, access, root)
        found.append(locked)
    return tuple(dict.fromkeys(found))


def fetch_sources(
    sources: Sequence[LockedSource], root: Lockfile, access: Callable[[], ArchiveAccess]
) -> Mapping[PackageFile, Blob]:
    """Every file of the source packages, verified. Raises ``PackageGone`` and similar errors."""
    files = [file for source in sources for file in files_of_source(source)]
    if not files:
        return {}
    opened = access()
    return package_fetch.fetch_packages(
        files,
        mirrors=opened.mirrors,
        runtime=opened.runtime,
        dates={archive: date for (archive, _), date in root.suite_dates().items()},
        offline=opened.offline,
    )


def files_of_source(source: LockedSource) -> tuple[PackageFile, ...]:
    """The files as package files: fetched like packages."""
    id = PackageId(name=source.name, version=source.version, architecture="source")
    return tuple(
        PackageFile(
            id=id, path=file.path, size=file.size, sha256=file.sha256, archive=source.archive
        )
        for file in source.files
    )


def _stanzas(
    name: str, spec: SuiteSpec, root: Lockfile, access: ArchiveAccess
) -> Iterator[Paragraph]:
    """The stanzas of a source package in one suite, one for each version."""
    candidate = _candidate(spec, root, access)
    start = re.compile(rb"^Package: " + re.escape(name.encode()) + rb"$", re.MULTILINE)
    for component in spec.components:
        data = _index(f"{component}/source/Sources", candidate, access)
        for match in start.finditer(data):
            begin = data.rfind(b"\n\n", 0, match.start()) + 2 if match.start() else 0
            end = data.find(b"\n\n", match.end())
            yield parse_paragraph(data[max(begin, 0) : end if end >= 0 else len(data)])


def _candidate(spec: SuiteSpec, root: Lockfile, access: ArchiveAccess) -> Candidate:
    """The verified release file of the state that the build root is locked to."""
    wanted = {(suite.archive, suite.suite): suite.release for suite in root.archives}
    for candidate in recorded_states(access.runtime.store, spec):
        if candidate.digest == wanted[spec.archive, spec.suite]:
            return candidate
    raise NoSource(
        f"the cache has no release file of {spec} any more",
        hint="lock its part again: homeport lock RECIPE --update PART",
    )


def _index(name: str, candidate: Candidate, access: ArchiveAccess) -> bytes:
    """The text of an index, in any form and from any mirror that has it."""
    forms = [
        entry
        for suffix in (".xz", ".gz")
        if (entry := candidate.release.files.get(name + suffix)) is not None
    ]
    first_error: HomeportError | None = None
    for form in forms:
        blob: Blob | None = access.runtime.store.get(form.digest, form.size)
        locations = [] if blob is not None else list(_locations(form, candidate))
        for mirror in access.mirrors.of(candidate.spec.archive):
            for wanted in locations if blob is None else ():
                try:
                    blob = mirror.fetch(wanted, access.runtime)
                    break
                except MIRROR_ERRORS as error:
                    first_error = first_error or error.at(mirror=mirror.label)
        if blob is not None:
            with verified(blob, form.path) as stream:
                return read_bounded(decompressed(stream, form.path), _LARGEST, form.path)
    raise first_error or NoSource(f"{candidate.release.title} lists no {name}")


def _locations(form: ListedFile, candidate: Candidate) -> Iterator[ExpectedFile]:
    folder = f"{candidate.location.directory}/{form.path.rpartition('/')[0]}"
    for path in (f"{folder}/by-hash/SHA256/{form.digest.hex}",
                 f"{candidate.location.directory}/{form.path}"):  # fmt: skip
        yield ExpectedFile(path=path, digest=form.digest, size=form.size, label=form.path)


def _locked(stanza: Paragraph, spec: SuiteSpec) -> LockedSource:
    directory = stanza.get("Directory")
    if directory.startswith("/") or ".." in directory.split("/"):
        raise IntegrityError(f"{directory!r} leaves the archive")
    files = [
        LockedFile(path=f"{directory}/{name}", sha256=Digest("sha256", hex), size=size)
        for name, (hex, size) in _checksums(stanza).items()
    ]
    if not any(file.path.endswith(".dsc") for file in files):
        raise IntegrityError(f"the source package {stanza.get('Package')} has no .dsc")
    return LockedSource(
        name=stanza.get("Package"),
        version=stanza.get("Version"),
        archive=spec.archive,
        suite=spec.suite,
        files=tuple(sorted(files, key=lambda file: (not file.path.endswith(".dsc"), file.path))),
    )


def _checksums(paragraph: Paragraph) -> dict[str, tuple[str, int]]:
    found = {}
    for line in paragraph.get("Checksums-Sha256").split("\n"):
        if not line.strip():
            continue
        match = _CHECKSUM.fullmatch(line.strip())
        if match is None:
            raise IntegrityError(f"invalid line in Checksums-Sha256: {line.strip()[:80]!r}")
        found[match[3]] = (match[1], int(match[2]))
    return found


def _check_dsc(source: LockedSource, access: ArchiveAccess, root: Lockfile) -> None:
    """The .dsc must list the files that Sources lists, or one of the two was modified."""
    dsc = source.files[0]
    alone = LockedSource(
        name=source.name, version=source.version, archive=source.archive, suite=source.suite,
        files=(dsc,),
    )  # fmt: skip
    (blob,) = fetch_sources([alone], root, lambda: access).values()
    with verified(blob, dsc.path) as stream:
        text = read_bounded(stream, _LARGEST_DSC, dsc.path)
    in_dsc = _checksums(parse_paragraph(_inside_signature(text)))
    listed = {
        file.path.rpartition("/")[2]: (file.sha256.hex, file.size) for file in source.files[1:]
    }
    if in_dsc != listed:
        raise IntegrityError(
            f"{dsc.path} lists other files than Sources does", where={"package": source.name}
        )


def _inside_signature(text: bytes) -> bytes:
    """The paragraph of a clear-signed file. The signature is not needed: Sources has its hash."""
    begin, end = (
        text.find(b"-----BEGIN PGP SIGNED MESSAGE-----"),
        text.find(b"\n-----BEGIN PGP SIG"),
    )
    if begin < 0:
        return text
    start = text.find(b"\n\n", begin)
    return text[start + 2 : end if end >= 0 else len(text)]
