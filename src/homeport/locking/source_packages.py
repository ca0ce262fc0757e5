"""Debian source packages: found through signed Sources, checked, fetched by hash.

A signed release file has the hash of Sources, and Sources has those of the .dsc and of the
files that it lists. The .dsc itself must list the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from homeport.content.blob import Blob, read_verified, verified
from homeport.content.digest import Digest
from homeport.content.reading import read_bounded
from homeport.debian.archive.mirror import MIRROR_ERRORS
from homeport.debian.archive.package_fetch import PackageGone, fetch_packages
from homeport.debian.archive.release_candidates import Candidate
from homeport.debian.archive.state import SuiteSpec
from homeport.debian.deb822 import Paragraph, parse_paragraph
from homeport.debian.listed_file import ListedFile
from homeport.debian.package import PackageFile, PackageId
from homeport.errors import HomeportError, IntegrityError
from homeport.locking.archive_access import ArchiveAccess
from homeport.recipe.lock.model import LockedFile, LockedSource
from homeport.tree.decompression import decompressed

#: Bytes of a Sources index, unpacked, and of a .dsc.
LARGEST_INDEX = 512 << 20
LARGEST_DSC = 1 << 20
_CHECKSUM = re.compile(r"([0-9a-f]{64}) +([0-9]{1,15}) +([A-Za-z0-9][A-Za-z0-9.+~_-]*)")
_FORMS = (".xz", ".gz")

#: Stanzas of Sources by the name of the source package, one for each version.
Stanzas = Mapping[str, Sequence[Paragraph]]


class NoSource(HomeportError):
    """No suite of the recipe has the source package."""

    id = "no-source"


def index_names(spec: SuiteSpec) -> tuple[str, ...]:
    """The Sources indexes of a suite, as its release file calls them without compression."""
    if spec.flat:
        return ("Sources",)
    return tuple(f"{component}/source/Sources" for component in spec.components)


def fetch_indexes(candidate: Candidate, access: ArchiveAccess) -> Iterator[tuple[ListedFile, Blob]]:
    """Each Sources index that a signed release file lists, in one of its forms.

    A mirror keeps former ones by hash for a while, archives of former states for ever. Raises
    ``PackageGone``, ``NetError`` and the like.
    """
    for name in index_names(candidate.spec):
        forms = [
            entry for suffix in _FORMS if (entry := candidate.release.files.get(name + suffix))
        ]
        if forms:
            yield _fetched(forms, candidate, access)


def read_stanzas(
    index: ListedFile, blob: Blob, names: Collection[str]
) -> dict[str, list[Paragraph]]:
    """The stanzas of the source packages of these names. Raises ``IntegrityError``."""
    with verified(blob, index.path) as stream:
        data = read_bounded(decompressed(stream, index.path), LARGEST_INDEX, index.path)
    wanted = {name.encode() for name in names}
    found: dict[str, list[Paragraph]] = {}
    for match in re.finditer(rb"^Package: ([^\n]+)$", data, re.MULTILINE):
        if match[1].strip() not in wanted:
            continue
        begin = data.rfind(b"\n\n", 0, match.start()) + 2 if match.start() else 0
        end = data.find(b"\n\n", match.end())
        stanza = parse_paragraph(data[max(begin, 0) : end if end >= 0 else len(data)])
        found.setdefault(stanza.get("Package"), []).append(stanza)
    return found


def locked_source(stanza: Paragraph, spec: SuiteSpec) -> LockedSource:
    """What a stanza of Sources lists, the .dsc first. Raises ``IntegrityError``."""
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


def files_of_source(source: LockedSource) -> tuple[PackageFile, ...]:
    """The files as package files: fetched like packages."""
    id = PackageId(name=source.name, version=source.version, architecture="source")
    return tuple(
        PackageFile(
            id=id, path=file.path, size=file.size, sha256=file.sha256, archive=source.archive
        )
        for file in source.files
    )


def fetch_files(
    files: Sequence[PackageFile], dates: Mapping[str, datetime], access: ArchiveAccess
) -> Mapping[PackageFile, Blob]:
    """Files of source packages, verified. Raises ``PackageGone`` and similar errors.

    dates: archive → when it had them, for archives of former states
    """
    if not files:
        return {}
    return fetch_packages(
        files, mirrors=access.mirrors, runtime=access.runtime, dates=dates, offline=access.offline
    )


def check_dsc(source: LockedSource, dsc: Blob) -> None:
    """The .dsc must list the files that Sources lists, or one of the two was modified."""
    path = source.files[0].path
    text = read_verified(dsc, LARGEST_DSC, path)
    in_dsc = _checksums(parse_paragraph(_inside_signature(text)))
    listed = {
        file.path.rpartition("/")[2]: (file.sha256.hex, file.size) for file in source.files[1:]
    }
    if in_dsc != listed:
        raise IntegrityError(
            f"{path} lists other files than Sources does", where={"package": source.name}
        )


def _fetched(
    forms: Sequence[ListedFile], candidate: Candidate, access: ArchiveAccess
) -> tuple[ListedFile, Blob]:
    spec, date = candidate.spec, candidate.release.date
    directory = candidate.location.directory or _directory(spec)
    error: HomeportError | None = None
    for form in forms:
        for path in _paths(form, directory):
            file = PackageFile(
                id=PackageId(name="Sources", version=f"{date:%Y-%m-%d}", architecture="source"),
                path=path, size=form.size, sha256=form.digest, archive=spec.archive,
            )  # fmt: skip
            try:
                found = fetch_files([file], {spec.archive: date}, access)
            except (PackageGone, *MIRROR_ERRORS) as failed:
                error = error or failed.at(suite=spec.suite)
            else:
                return form, found[file]
    assert error is not None
    raise error


def _paths(form: ListedFile, directory: str) -> tuple[str, str]:
    folder, _, _ = form.path.rpartition("/")
    below = "/".join(part for part in (directory, folder) if part)
    prefix = f"{directory}/" if directory else ""
    return f"{below}/by-hash/SHA256/{form.digest.hex}".lstrip("/"), f"{prefix}{form.path}"


def _directory(spec: SuiteSpec) -> str:
    return spec.suite.removeprefix("./").rstrip("/") if spec.flat else f"dists/{spec.suite}"


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
