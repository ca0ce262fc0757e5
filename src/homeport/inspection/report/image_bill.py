"""The bill of materials of an image that Homeport did not build: what an inspection finds.

Packages are those that databases in the image record; files have the packages that list them.
Nothing is known about packages whose records were removed, and the documents say so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import msgspec

from homeport.debian.deb822 import Paragraph, parse_paragraphs
from homeport.errors import HomeportError
from homeport.images.address import RegistryAddress, parse_source
from homeport.inspection.image.base_image import find_base
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.model import Package
from homeport.inspection.packages.compiled_packages import compiled_packages
from homeport.inspection.packages.databases import find_packages
from homeport.inspection.packages.ownership import Owners, find_owners
from homeport.layers.entry import Entry
from homeport.layers.history import StackedEntry
from homeport.oci.platform import UNKNOWN
from homeport.printable import path_text
from homeport.sbom.copyright_files import read_license
from homeport.sbom.model import (
    Bill,
    BillFile,
    BillPackage,
    Component,
    Distribution,
    License,
    Subject,
)

_CHUNK = 1 << 18
#: Managers and the types of purls for their packages.
_KINDS = {
    "apk": "apk", "rpm": "rpm", "opkg": "opkg", "pacman": "alpm", "python": "pypi", "npm": "npm",
    "go": "golang", "rust": "cargo",
}  # fmt: skip
_OF_DISTRIBUTIONS = frozenset({"apk", "rpm", "pacman"})
_STATUS = b"var/lib/dpkg/status"
_EMPTY = hashlib.sha256(b"").hexdigest()


def image_bill(opened: OpenedImage) -> Bill:
    """What is in an image, found by reading it. Reads every file once, for its checksum."""
    found, _problems = find_packages(opened)
    base = find_base(opened)
    distribution = None
    if base.distribution:
        version = base.version.partition(".")[0] if base.distribution == "debian" else base.version
        distribution = Distribution(
            id=base.distribution, version=version, name=base.distribution, codename=base.codename
        )
    platform = opened.image.platform or opened.config.platform or UNKNOWN
    packages = tuple(sorted(_packages(opened, found), key=lambda one: (one.name, one.architecture)))
    others = [*(one for one in found if one.manager != "dpkg"), *compiled_packages(opened.programs)]
    return Bill(
        platform=platform,
        distribution=distribution,
        packages=packages,
        files=tuple(_files(opened, find_owners(opened), {one.name for one in packages})),
        components=tuple(dict.fromkeys(component_of(one, distribution) for one in sorted(others))),
        made_from="image",
    )


def image_subject(opened: OpenedImage) -> Subject:
    """What a document calls the image, and its digest.

    Its repository, which scanners match by; elsewhere the address without the transport.
    """
    address = parse_source(opened.address)
    if isinstance(address, RegistryAddress):
        name = address.reference.name
    else:
        name = opened.address.partition(":")[2] or opened.address
    created = 0
    try:
        moment = datetime.fromisoformat(opened.config.created or "1970-01-01T00:00:00Z")
        created = int(moment.astimezone(UTC).timestamp())
    except (ValueError, OverflowError):
        created = 0
    return Subject(
        name=name,
        digest=str(opened.image.digest),
        created=max(created, 0),
    )


def _packages(opened: OpenedImage, found: list[Package]) -> list[BillPackage]:
    records = _records(opened)
    texts = opened.read({_copyright(one) for one in found if one.manager == "dpkg"})
    seen: dict[tuple[str, str], BillPackage] = {}
    for one in found:
        if one.manager != "dpkg" or (one.name, one.architecture) in seen:
            continue
        fields = records.get(one.name)
        seen[one.name, one.architecture] = BillPackage(
            name=one.name,
            version=one.version,
            architecture=one.architecture,
            source_name=one.source or one.name,
            source_version=one.source_version or one.version,
            maintainer=fields.get("Maintainer") if fields else "",
            homepage=fields.get("Homepage") if fields else "",
            license=_license(texts.get(_copyright(one)), one),
        )
    return list(seen.values())


def _records(opened: OpenedImage) -> dict[str, Paragraph]:
    """Stanzas of dpkg's database by the name of the package."""
    found: dict[str, Paragraph] = {}
    paths = [_STATUS, *(path for path in opened.metadata_paths if b"/dpkg/status.d/" in path)]
    for path in paths:
        if path.endswith(b".md5sums"):
            continue
        try:
            for paragraph in parse_paragraphs(opened.metadata(path) or b""):
                found.setdefault(paragraph.get("Package"), paragraph)
        except HomeportError:
            continue  # find_packages reports what it cannot read
    return found


def _copyright(package: Package) -> bytes:
    return b"usr/share/doc/" + package.name.encode() + b"/copyright"


def _license(data: bytes | None, package: Package) -> License:
    where = path_text(_copyright(package))
    if data is None:
        return License(comment=f"{where} is not in the image")
    return read_license(data, package.source or package.name, where)


def component_of(package: Package, distribution: Distribution | None) -> Component:
    """A package of another manager than dpkg, as bills list it."""
    component = Component(
        kind=_KINDS.get(package.manager, "generic"),
        name=package.name,
        version=package.version,
        location=package.recorded_in,
    )
    if package.manager not in _OF_DISTRIBUTIONS:
        return component
    return msgspec.structs.replace(
        component,
        vendor=distribution.id if distribution else "",
        architecture=package.architecture,
        distribution=distribution.label if distribution else "",
        source=package.source if package.source != package.name else "",
    )


def _files(opened: OpenedImage, owners: Owners, packages: set[str]) -> list[BillFile]:
    places = {
        path: place
        for path in opened.history.final
        if (place := opened.history.file_at(path)) is not None and place.entry.kind == "file"
    }
    sums = _sha1(opened, list(places.values()))
    found = []
    for path, place in sorted(places.items()):
        owner = owners.of(path)
        name = owner.package.partition(":")[0] if owner and owner.manager == "dpkg" else ""
        origin: Literal["package", "layer"] = "package" if name in packages else "layer"
        found.append(
            BillFile(
                path=path_text(path),
                size=place.entry.size,
                sha1=sums[id(place.entry)],
                sha256=place.entry.sha256.hex() or _EMPTY,
                origin=origin,
                owner=name if origin == "package" else "",
            )
        )
    return found


def _sha1(opened: OpenedImage, places: list[StackedEntry]) -> dict[int, str]:
    """SHA-1 by ``id`` of the entry; the listings hold SHA-256 alone."""
    check = opened.runtime.cancel.check
    found: dict[int, str] = {}

    def sink(entry: Entry, read: Callable[[int], bytes]) -> None:
        hasher = hashlib.sha1(usedforsecurity=False)
        while data := read(_CHUNK):
            check()
            hasher.update(data)
        found[id(entry)] = hasher.hexdigest()

    for place in places:
        if not place.entry.size:
            sink(place.entry, lambda _size: b"")
    opened.stream([place for place in places if place.entry.size], sink)
    return found
