"""Which package owns each file, and the checksum that the package records for it.

dpkg (lists, md5sums, conffiles, diversions; distroless's status.d), apk, rpm. Paths are
looked up through the image's links, so that a package that ships ``/bin/x`` owns
``/usr/bin/x`` where the two are one (usrmerge). Python's RECORD files are their own.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

import msgspec

from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.packages.databases import apk_records
from homeport.inspection.packages.rpmdb import BadRpmDatabase, read_rpm_database

_INFO = b"var/lib/dpkg/info/"
_STATUS_D = b"var/lib/dpkg/status.d/"
_CONFIG, _GHOST = 1, 64


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """A package that lists a path.

    manager, package: dpkg, "bash" or "libc6:amd64" as the database has it
    algorithm, checksum: md5, sha1, sha256…; empty if the package records none
    kind: file, or config for files that are meant to be edited
    """

    manager: str
    package: str
    algorithm: str = ""
    checksum: str = ""
    kind: str = "file"


class Owners(msgspec.Struct):
    """Paths of the final tree → owner; and claimed paths that are not there."""

    by_path: dict[bytes, Owner] = msgspec.field(default_factory=dict)
    missing: dict[bytes, Owner] = msgspec.field(default_factory=dict)

    def of(self, path: bytes) -> Owner | None:
        return self.by_path.get(path)


def find_owners(opened: OpenedImage) -> Owners:
    """Everything that the databases in the image claim."""
    owners = Owners()
    cache: dict[bytes, bytes | None] = {}
    for path, owner in _claims(opened):
        real = _real(opened, path, cache)
        if real is None:
            owners.missing.setdefault(path, owner)
            continue
        known = owners.by_path.get(real)
        # Several packages list a directory; an owner with a checksum is preferred.
        if known is None or (owner.checksum and not known.checksum):
            owners.by_path[real] = owner
    return owners


def _real(opened: OpenedImage, path: bytes, cache: dict[bytes, bytes | None]) -> bytes | None:
    """Where a claimed path is in the final tree: links followed in its directory only."""
    if path in opened.history.final:
        parent = path.rpartition(b"/")[0]
        if not parent or (parent in cache and cache[parent] == parent):
            return path
    parent, _, name = path.rpartition(b"/")
    if parent not in cache:
        cache[parent] = opened.history.resolve(parent)
    found = cache[parent]
    if found is None:
        return None
    real = (found + b"/" if found else b"") + name
    return real if real in opened.history.final else None


def _claims(opened: OpenedImage) -> Iterator[tuple[bytes, Owner]]:
    yield from _dpkg(opened)
    yield from _distroless(opened)
    yield from _apk(opened)
    yield from _rpm(opened)


def _dpkg(opened: OpenedImage) -> Iterator[tuple[bytes, Owner]]:
    diverted = _diversions(opened)
    conffiles = _conffiles(opened)
    sums: dict[tuple[str, bytes], str] = {}
    lists: list[tuple[str, bytes]] = []
    for path in opened.history.final:
        if not path.startswith(_INFO):
            continue
        name, _, kind = path[len(_INFO) :].rpartition(b".")
        package = name.decode("utf-8", "replace")
        if kind == b"md5sums":
            for checksum, file in _md5sums(opened.metadata(path) or b""):
                sums[package, file] = checksum
        elif kind == b"list":
            lists.append((package, opened.metadata(path) or b""))
    for package, text in lists:
        plain = package.partition(":")[0]
        for line in text.split(b"\n"):
            file = line.strip(b"/")
            if not file or line == b"/.":
                continue
            there = file
            if file in diverted and diverted[file][1] != plain:
                there = diverted[file][0]
            checksum = sums.get((package, file), "")
            config = conffiles.get((plain, file), "")
            yield there, Owner(
                manager="dpkg", package=package, algorithm="md5" if checksum or config else "",
                checksum=config or checksum, kind="config" if config else "file",
            )  # fmt: skip


def _diversions(opened: OpenedImage) -> dict[bytes, tuple[bytes, str]]:
    """Path → (its diverted path, the package that keeps the original one)."""
    lines = (opened.metadata(b"var/lib/dpkg/diversions") or b"").split(b"\n")
    return {
        lines[at].strip(b"/"): (lines[at + 1].strip(b"/"), lines[at + 2].decode("utf-8", "replace"))
        for at in range(0, len(lines) - 2, 3)
    }


def _conffiles(opened: OpenedImage) -> dict[tuple[str, bytes], str]:
    """Configuration files with the checksum they were shipped with, of the status file."""
    found: dict[tuple[str, bytes], str] = {}
    package, inside = "", False
    for line in (opened.metadata(b"var/lib/dpkg/status") or b"").split(b"\n"):
        if line.startswith(b"Package:"):
            package = line[8:].strip().decode("utf-8", "replace")
        if line.startswith(b"Conffiles:"):
            inside = True
        elif inside and line.startswith(b" "):
            words = line.split()
            if len(words) == 2 and len(words[1]) == 32:
                found[package, words[0].strip(b"/")] = words[1].decode("ascii", "replace")
        else:
            inside = False
    return found


def _md5sums(text: bytes) -> Iterator[tuple[str, bytes]]:
    for line in text.split(b"\n"):
        checksum, _, file = line.partition(b"  ")
        if len(checksum) == 32 and file:
            yield checksum.decode("ascii", "replace"), file.removeprefix(b"./").strip(b"/")


def _distroless(opened: OpenedImage) -> Iterator[tuple[bytes, Owner]]:
    for path in opened.history.final:
        if path.startswith(_STATUS_D) and path.endswith(b".md5sums"):
            package = path[len(_STATUS_D) : -len(b".md5sums")].decode("utf-8", "replace")
            for checksum, file in _md5sums(opened.metadata(path) or b""):
                yield (
                    file,
                    Owner(manager="dpkg", package=package, algorithm="md5", checksum=checksum),
                )


def _apk(opened: OpenedImage) -> Iterator[tuple[bytes, Owner]]:
    text = (
        opened.metadata(b"lib/apk/db/installed")
        or opened.metadata(b"usr/lib/apk/db/installed")
        or b""
    )
    for record in apk_records(text):
        package = folder = file = ""
        for letter, value in record:
            if letter == "P":
                package = value
            elif letter == "F":
                folder = value
            elif letter == "R":
                file = f"{folder}/{value}" if folder else value
                yield file.encode("utf-8", "replace"), Owner(manager="apk", package=package)
            elif letter == "Z" and file:
                algorithm, checksum = _apk_sum(value)
                yield (
                    file.encode("utf-8", "replace"),
                    Owner(manager="apk", package=package, algorithm=algorithm, checksum=checksum),
                )


def _apk_sum(text: str) -> tuple[str, str]:
    algorithm = {"Q1": "sha1", "Q2": "sha256"}.get(text[:2], "")
    try:
        return algorithm, base64.b64decode(text[2:], validate=True).hex() if algorithm else ""
    except ValueError:  # not base64, or not even ASCII
        return "", ""


def _rpm(opened: OpenedImage) -> Iterator[tuple[bytes, Owner]]:
    for folder in (b"var/lib/rpm", b"usr/lib/sysimage/rpm", b"usr/share/rpm"):
        for name in (b"rpmdb.sqlite", b"Packages.db"):
            data = opened.metadata(folder + b"/" + name)
            if not data:
                continue
            try:
                wal = opened.metadata(folder + b"/" + name + b"-wal") or b""
                for header in read_rpm_database(data, wal):
                    for file in header.files:
                        if file.flags & _GHOST:
                            continue
                        yield file.path, Owner(
                            manager="rpm", package=header.name, checksum=file.digest,
                            algorithm=header.algorithm if file.digest else "",
                            kind="config" if file.flags & _CONFIG else "file",
                        )  # fmt: skip
            except BadRpmDatabase:
                return
            return
