"""The changelogs of newer packages: fetched, read, and what they say put into the changes.

A package's own changelog answers which vulnerabilities its update fixes, without any tracker:
one file of one package for each source, fetched by the same chain of trust as a lock's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from posixpath import basename
from typing import cast

import msgspec

from homeport.content.blob import Blob
from homeport.content.reading import Readable
from homeport.content.thread_pools import run_all
from homeport.debian.deb.contents import PackageContents, read_contents
from homeport.debian.deb.path_globs import PathGlobs
from homeport.debian.package import Package, PackageFile
from homeport.errors import HomeportError
from homeport.freshness.changelog import LONGEST, NewEntries, new_entries
from homeport.freshness.comparing import Newer
from homeport.freshness.model import Change
from homeport.locking.archive_access import ArchiveAccess
from homeport.locking.fetching import fetch_packages
from homeport.tree.decompression import decoded

_DOC = b"usr/share/doc/"
_GLOBS = PathGlobs.of(
    f"/usr/share/doc/*/{name}"
    for name in ("changelog.Debian.gz", "changelog.gz", "changelog.Debian.*.gz", "NEWS.Debian.gz")
)
_READ_FOR = ("security", "update", "rebuild", "held")


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """The changelog files of one package, as text; empty where it has none."""

    changelog: bytes = b""
    rebuilds: bytes = b""
    news: bytes = b""


class Changelogs:
    """Changelogs of one run: each source in each version is read once."""

    def __init__(self) -> None:
        self._texts: dict[PackageFile, Texts | HomeportError] = {}
        self._of_source: dict[tuple[str, str, str], PackageFile] = {}

    def explain(
        self,
        found: Sequence[tuple[Change, Newer]],
        access: ArchiveAccess,
        dates: Mapping[tuple[str, str], datetime],
    ) -> tuple[list[Change], list[tuple[str, str]]]:
        """The changes with their entries and classes; and what could not be read, with why."""
        wanted = {id(newer): self._file(newer.package) for change, newer in found
                  if change.kind in _READ_FOR and newer.package is not None}  # fmt: skip
        self._read(dict.fromkeys(wanted.values()), access, dates)
        self._read_elsewhere(found, access, dates)
        explained: list[Change] = []
        unread: list[tuple[str, str]] = []
        for change, newer in found:
            file = wanted.get(id(newer))
            texts = self._texts.get(file) if file is not None else None
            if isinstance(texts, HomeportError):
                unread.append((f"the changelog of {change.name} {change.new}", texts.what))
                texts = None
            explained.append(_explained(change, newer, texts))
        return explained, unread

    def _file(self, package: Package) -> PackageFile:
        """One package stands for all of its source; a rebuild has its own changelog."""
        own = "" if package.file.id.version == package.source_version else package.file.sha256.hex
        key = (package.source_name, package.source_version, own)
        return self._of_source.setdefault(key, package.file)

    def _read(
        self,
        files: Iterable[PackageFile],
        access: ArchiveAccess,
        dates: Mapping[tuple[str, str], datetime],
    ) -> None:
        missing = [file for file in files if file not in self._texts]
        debs = _fetched(missing, access, dates)
        runtime = access.runtime
        good = {file: deb for file, deb in debs.items() if not isinstance(deb, HomeportError)}
        read = run_all(
            runtime.pools.processor,
            [partial(_texts, file, deb, access) for file, deb in good.items()],
        )
        self._texts |= dict(zip(good, read, strict=True))
        self._texts |= {f: error for f, error in debs.items() if isinstance(error, HomeportError)}

    def _read_elsewhere(
        self,
        found: Sequence[tuple[Change, Newer]],
        access: ArchiveAccess,
        dates: Mapping[tuple[str, str], datetime],
    ) -> None:
        """Documentation folders may be links to another package of the same source."""
        for _, newer in found:
            package = newer.package
            if package is None:
                continue
            file = self._file(package)
            texts = self._texts.get(file)
            if not isinstance(texts, Texts) or not texts.changelog.startswith(b"\0link "):
                continue
            name = texts.changelog.removeprefix(b"\0link ").decode("utf-8", "replace")
            others = [p for p in newer.index.named(name)
                      if (p.source_name, p.source_version)
                      == (package.source_name, package.source_version)]  # fmt: skip
            self._texts[file] = Texts()
            if others:
                self._read([others[0].file], access, dates)
                self._texts[file] = self._texts[others[0].file]


def _fetched(
    files: Sequence[PackageFile],
    access: ArchiveAccess,
    dates: Mapping[tuple[str, str], datetime],
) -> dict[PackageFile, Blob | HomeportError]:
    """All at once; if that fails, each for itself, so that one does not hide the others."""
    if not files:
        return {}
    try:
        return dict(fetch_packages(files, dates, access))
    except HomeportError as error:
        if len(files) == 1:
            return {files[0]: error}
    found: dict[PackageFile, Blob | HomeportError] = {}
    for file in files:
        found |= _fetched([file], access, dates)
    return found


def _texts(file: PackageFile, deb: Blob, access: ArchiveAccess) -> Texts | HomeportError:
    runtime = access.runtime
    try:
        contents = read_contents(
            deb, _GLOBS, runtime.store, expected=file.id, cancel=runtime.cancel
        )
        return _texts_of(contents)
    except HomeportError as error:
        return error


def _texts_of(contents: PackageContents) -> Texts:
    folder = _DOC + contents.id.name.encode()
    entry = contents.entries.get(folder)
    if entry is not None and entry.type == "symlink":
        return Texts(changelog=b"\0link " + basename(entry.target))

    def text(name: str) -> bytes:
        blob = contents.blobs.get(folder + b"/" + name.encode())
        return _unpacked(blob) if blob is not None else b""

    architecture = contents.id.architecture
    return Texts(
        changelog=text("changelog.Debian.gz") or text("changelog.gz"),
        rebuilds=text(f"changelog.Debian.{architecture}.gz"),
        news=text("NEWS.Debian.gz"),
    )


def _unpacked(blob: Blob) -> bytes:
    with blob.open() as stream:
        reader = decoded(cast("Readable", stream), "gzip", "the changelog", padded=False)
        pieces: list[bytes] = []
        size = 0
        while size < LONGEST and (data := reader.read(1 << 16)):
            pieces.append(data)
            size += len(data)
        return b"".join(pieces)


def _explained(change: Change, newer: Newer, texts: Texts | None) -> Change:
    package = newer.package
    if package is None or change.kind not in _READ_FOR:
        return change
    if change.kind == "rebuild":
        rebuilt = new_entries(texts.rebuilds, newer.present.version) if texts else None
        entries = rebuilt.entries if rebuilt else ()
        return msgspec.structs.replace(
            change, entries=entries, since=rebuilt.since if rebuilt else None,
            note=change.note or "rebuilt, same source",
        )  # fmt: skip
    read = (
        new_entries(texts.changelog, newer.present.source_version)
        if texts
        else NewEntries(entries=())
    )
    is_security = change.security or read.says_security
    note = change.note
    if read.begins_at:
        note = "; ".join(filter(None, (note, f"its changelog begins at {read.begins_at}")))
    elif texts is not None and not texts.changelog:
        note = "; ".join(filter(None, (note, "it has no changelog")))
    return msgspec.structs.replace(
        change,
        kind="security" if is_security and change.kind == "update" else change.kind,
        security=is_security,
        ids=read.ids,
        bugs=read.bugs,
        urgency=read.urgency,
        since=read.since,
        entries=read.entries,
        news=new_entries(texts.news, newer.present.source_version).entries if texts else (),
        note=note,
    )
