"""Whether the files of an image are identical to those of their packages.

Like ``dpkg --verify``, for all package databases, without the package manager. Links and
directories are not compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec

from homeport.inspection.image.file_contents import Sink, stream_contents
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.packages.ownership import Owner, find_owners
from homeport.layers.entry import Entry
from homeport.layers.history import StackedEntry
from homeport.printable import path_text

SCHEMA = "homeport-inspect-verify/v1"
_CHUNK = 1 << 18
_ALGORITHMS = frozenset({"md5", "sha1", "sha256", "sha384", "sha512"})
_GENERATED = (b".pyc", b"ld.so.cache")


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, order=True):
    """status: changed, missing or unowned. layer: the layer that has the content."""

    path: str
    status: str
    package: str = ""
    kind: str = "file"
    layer: int | None = None


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """``homeport-inspect-verify/v1``.

    checked:      how many files were compared with a checksum of their package
    unverifiable: how many files of packages have no checksum
    """

    schema: str = SCHEMA
    address: str
    digest: str
    checked: int
    unverifiable: int
    findings: tuple[Finding, ...]


def verify_files(opened: OpenedImage) -> Verification:
    """Compare every file for which a package records a checksum; each layer is read once."""
    owners = find_owners(opened)
    history = opened.history
    wanted: dict[int, list[tuple[bytes, Owner, StackedEntry]]] = {}
    findings: list[Finding] = []
    unverifiable = checked = 0
    for path, owner in owners.by_path.items():
        place = history.file_at(path)
        if place is None or place.entry.kind != "file":
            continue
        if owner.algorithm not in _ALGORITHMS or not owner.checksum:
            unverifiable += 1
            continue
        checked += 1
        wanted.setdefault(id(place.entry), []).append((path, owner, place))
    sums = _sums(opened, wanted)
    for number, claims in wanted.items():
        for path, owner, place in claims:
            if sums[number][owner.algorithm] != owner.checksum.lower():
                findings.append(
                    Finding(
                        path=path_text(path), status="changed", package=owner.package,
                        kind=owner.kind, layer=place.layer,
                    )
                )  # fmt: skip
    findings += [
        Finding(path=path_text(path), status="missing", package=owner.package, kind=owner.kind)
        for path, owner in owners.missing.items()
    ]
    if owners.by_path:
        findings += _unowned(opened, owners.by_path)
    return Verification(
        address=opened.address,
        digest=str(opened.image.digest),
        checked=checked,
        unverifiable=unverifiable,
        findings=tuple(sorted(findings)),
    )


def _unowned(opened: OpenedImage, owned: dict[bytes, Owner]) -> list[Finding]:
    """Files that no package database lists."""
    return [
        Finding(path=path_text(path), status="unowned", layer=place.layer)
        for path, place in opened.history.final.items()
        if place.entry.kind in ("file", "hardlink")
        and path not in owned
        and not path.endswith(_GENERATED)
    ]


def _sums(
    opened: OpenedImage, wanted: dict[int, list[tuple[bytes, Owner, StackedEntry]]]
) -> dict[int, dict[str, str]]:
    """Checksums of contents by ``id`` of the entry, in the algorithms that are asked for."""
    found: dict[int, dict[str, str]] = {}
    check = opened.runtime.cancel.check

    def sink(entry: Entry, read: Callable[[int], bytes]) -> None:
        names = {owner.algorithm for _, owner, _ in wanted[id(entry)]}
        hashers = [hashlib.new(name, usedforsecurity=False) for name in names]
        while data := read(_CHUNK):
            check()
            for hasher in hashers:
                hasher.update(data)
        found[id(entry)] = {hasher.name: hasher.hexdigest() for hasher in hashers}

    sinks: dict[int, Sink] = {}
    places = [claims[0][2] for claims in wanted.values()]
    for place in places:
        if place.entry.size:
            sinks[id(place.entry)] = sink
        else:
            sink(place.entry, lambda _size: b"")
    runtime = opened.runtime
    stream_contents(
        opened.history,
        opened.blobs,
        places,
        sinks,
        cancel=runtime.cancel,
        pool=runtime.pools.processor,
    )
    return found
