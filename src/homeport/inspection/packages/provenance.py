"""The origin of a binary: its package, whether it is unchanged, and what it needs.

The verdict is one line: from a package (verified or changed), built from a module, or
unknown. Package databases come first: they record what is installed. What the binary says
about itself comes second, because anyone can write that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

import msgspec

from homeport.copying.errors import shown
from homeport.errors import UsageError
from homeport.inspection.binaries.facts import MAX_FILE, BinaryFacts, examine
from homeport.inspection.image.file_contents import Sink, stream_contents
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.image.path_search import find_path
from homeport.inspection.model import Package
from homeport.inspection.packages.databases import find_packages
from homeport.inspection.packages.libraries import Libraries
from homeport.inspection.packages.ownership import Owner, find_owners
from homeport.layers.entry import Entry
from homeport.layers.history import StackedEntry
from homeport.printable import path_text
from homeport.quantities import human_size

SCHEMA = "homeport-inspect-binary/v1"
_CHUNK = 1 << 18
_ALGORITHMS = ("md5", "sha1", "sha256", "sha512")
_PROGRAM_STARTS = (b"\x7fELF", b"MZ", b"\0asm", b"#!")


class Binary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file that can be run or linked, and where it came from.

    package:  what owns it, as ``manager name version``; empty for a file of no package
    matches:  whether the content is what the package shipped; ``None`` if no checksum is recorded
    missing:  libraries and interpreter that the image does not have
    verdict:  one line
    """

    path: str
    size: int
    layer: int
    sha256: str
    verdict: str
    facts: BinaryFacts
    package: str = ""
    matches: bool | None = None
    missing: tuple[str, ...] = ()


class Binaries(msgspec.Struct, frozen=True, kw_only=True):
    """``homeport-inspect-binary/v1``."""

    schema: str = SCHEMA
    address: str
    digest: str
    binaries: tuple[Binary, ...]


def list_binaries(opened: OpenedImage, path: str | None = None) -> Binaries:
    """All programs and libraries, or the one at ``path``. Raises as ``inspect_binary``."""
    found = [inspect_binary(opened, path)] if path is not None else inspect_binaries(opened)
    return Binaries(address=opened.address, digest=str(opened.image.digest), binaries=tuple(found))


def inspect_binary(opened: OpenedImage, text: str) -> Binary:
    """One file. Raises ``PathNotFound``, ``UsageError``."""
    path = find_path(opened, text)
    resolved = opened.history.resolve(path)
    place = opened.history.file_at(resolved) if resolved is not None else None
    if resolved is None or place is None or place.entry.kind != "file":
        kind = place.entry.kind if place is not None else "broken link"
        raise UsageError(f"cannot examine /{shown(path)}: it is a {kind}, not a file")
    return next(iter(_inspect(opened, {resolved: place})))


def inspect_binaries(opened: OpenedImage) -> Iterator[Binary]:
    """All programs and libraries of the final tree, in the order of paths."""
    wanted = {
        path: place
        for path in sorted(opened.history.final)
        if is_binary(place := opened.history.final[path])
    }
    return iter(_inspect(opened, wanted))


def is_binary(place: StackedEntry) -> bool:
    """Whether a file is a program or a library, by its first bytes."""
    entry = place.entry
    if entry.kind != "file" or not entry.start.startswith(_PROGRAM_STARTS):
        return False
    return entry.start.startswith(b"\x7fELF") or bool(entry.mode & 0o111)


def _inspect(opened: OpenedImage, wanted: dict[bytes, StackedEntry]) -> list[Binary]:
    owners, packages = find_owners(opened), _by_name(find_packages(opened)[0])
    algorithms = {
        owner.algorithm for path in wanted if (owner := owners.of(path)) and owner.algorithm
    }
    read = _read_all(opened, wanted.values(), algorithms & set(_ALGORITHMS))
    libraries = Libraries(opened)
    found = []
    for path, place in wanted.items():
        facts, sums = read[id(place.entry)]
        owner = owners.of(path)
        package = _package(owner, packages)
        matches = _matches(owner, sums)
        found.append(
            Binary(
                path=path_text(path), size=place.entry.size, layer=place.layer,
                sha256=place.entry.sha256.hex(), facts=facts, package=package, matches=matches,
                missing=tuple(libraries.missing(path, facts)),
                verdict=verdict(facts, package, matches),
            )
        )  # fmt: skip
    return found


def _read_all(
    opened: OpenedImage, places: Iterable[StackedEntry], algorithms: Iterable[str]
) -> dict[int, tuple[BinaryFacts, dict[str, str]]]:
    """Facts and checksums of contents, by ``id`` of the entry; each layer read once."""
    found: dict[int, tuple[BinaryFacts, dict[str, str]]] = {}
    check = opened.runtime.cancel.check

    def sink(entry: Entry, read: Callable[[int], bytes]) -> None:
        hashers = [hashlib.new(name, usedforsecurity=False) for name in algorithms]
        parts: list[bytes] = []
        known = opened.binaries.get(entry.sha256)
        while data := read(_CHUNK):
            check()
            for hasher in hashers:
                hasher.update(data)
            if known is None and entry.size <= MAX_FILE:
                parts.append(data)
        facts = known or (
            examine(b"".join(parts), check)
            if entry.size <= MAX_FILE
            else BinaryFacts(format="data", problem=f"larger than {human_size(MAX_FILE)}")
        )
        found[id(entry)] = facts, {hasher.name: hasher.hexdigest() for hasher in hashers}

    every = list(places)
    sinks: dict[int, Sink] = {id(place.entry): sink for place in every if place.entry.size}
    for place in every:
        if not place.entry.size:
            sums = {
                name: hashlib.new(name, usedforsecurity=False).hexdigest() for name in algorithms
            }
            found[id(place.entry)] = BinaryFacts(format="data"), sums
    runtime = opened.runtime
    stream_contents(
        opened.history,
        opened.blobs,
        every,
        sinks,
        cancel=runtime.cancel,
        pool=runtime.pools.processor,
    )
    return found


def verdict(facts: BinaryFacts, package: str, matches: bool | None) -> str:
    """One line on where a binary came from."""
    if package:
        word = {True: "verified", False: "CHANGED since it was installed", None: "not verifiable"}
        return f"from package {package} ({word[matches]})"
    built = _built(facts)
    return built or "unknown"


def _built(facts: BinaryFacts) -> str:
    go, rust = facts.go, facts.rust
    if go is not None and (go.main or go.module):
        module = go.module
        version = module.version if module and module.version else ""
        name = go.main or (module.path if module else "")
        text = f"built from {name}" + (f"@{version}" if version else "")
        if go.revision:
            text += f" at {go.vcs} {go.revision[:12]}" + (", modified" if go.modified else "")
        how = "" if go.main_evidence == "build information" else f" by its {go.main_evidence}"
        return f"{text} with {go.version or 'an unknown Go'}{how}"
    if go is not None and go.source:
        return f"built in {go.source.rpartition('/')[0]} with {go.version or 'an unknown Go'}"
    if rust is not None and rust.root:
        return f"built from crate {rust.root}@{rust.version} with rustc {rust.compiler}".rstrip()
    note = facts.package_note
    if note.get("name"):
        return f"built as {note.get('type', '')} package {note['name']} {note.get('version', '')}"
    if facts.repositories and facts.format == "ELF":
        return f"unknown; its strings name {facts.repositories[0]}"
    return ""


def _package(owner: Owner | None, packages: dict[tuple[str, str], Package]) -> str:
    if owner is None:
        return ""
    plain = owner.package.partition(":")[0]
    known = packages.get((owner.manager, plain))
    version = f" {known.version}" if known else ""
    return f"{owner.manager} {owner.package}{version}"


def _by_name(packages: list[Package]) -> dict[tuple[str, str], Package]:
    return {(package.manager, package.name): package for package in packages}


def _matches(owner: Owner | None, sums: dict[str, str]) -> bool | None:
    if owner is None or not owner.checksum or owner.algorithm not in sums:
        return None
    return sums[owner.algorithm] == owner.checksum.lower()
