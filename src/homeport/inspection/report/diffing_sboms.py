"""The bills of materials attached to two images, side by side, and each beside its image.

A bill is a claim of the publisher: where it lists other packages than the image's own databases
record, that is told. Languages are compared with the image only if the bill lists any package of
that manager, since many bills list those of the distribution alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from homeport.errors import HomeportError, Interrupted
from homeport.images.image import Image
from homeport.inspection.model import Package
from homeport.inspection.report.diffing import PackageDiff, diff_packages
from homeport.sbom.reading import BadBill, ListedPackage, ReadBill, read_bill

#: Types of purls and the managers that ``inspect`` names; others keep their type.
_MANAGERS = {
    "alpm": "pacman", "cargo": "rust", "deb": "dpkg", "golang": "go", "pypi": "python",
}  # fmt: skip
_OF_DISTRIBUTIONS = frozenset({"apk", "dpkg", "opkg", "pacman", "rpm"})
#: Compared with what the image records; modules inside programs have no database.
_RECORDED = _OF_DISTRIBUTIONS | {"npm", "python"}


class Attached(Protocol):
    """A document that is attached to an image (``homeport.attest.attached_sbom``)."""

    @property
    def found_as(self) -> str: ...

    @property
    def digest(self) -> str: ...

    @property
    def document(self) -> Any: ...

    @property
    def problem(self) -> str: ...


#: Finds the document about an image, ``None`` if it has none.
FindSbom = Callable[[Image], Attached | None]


class Disagreement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A package whose version is not what the bill says. Empty: not listed, not found."""

    manager: str
    name: str
    architecture: str = ""
    listed: str = ""
    found: str = ""


class LicenseDiff(msgspec.Struct, frozen=True, kw_only=True):
    """A package of the same version under another license; empty: none is stated."""

    manager: str
    name: str
    before: str
    after: str


class SbomSide(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One image's bill.

    form:     ``spdx`` or ``cyclonedx``; empty if it cannot be used: ``problem`` says why
    found_as: index, bundle, tag, referrer
    digest:   of the artifact that holds it
    packages: how many it lists
    disagreements: with the image's own databases
    """

    form: str = ""
    found_as: str = ""
    digest: str = ""
    packages: int = 0
    problem: str = ""
    disagreements: tuple[Disagreement, ...] = ()


class SbomDiff(msgspec.Struct, frozen=True, kw_only=True):
    """The bills of two images. ``None``: no bill is attached.

    compared: whether both could be used; else ``packages`` and ``licenses`` are empty
    """

    platform_before: str
    platform_after: str
    before: SbomSide | None
    after: SbomSide | None
    compared: bool
    packages: tuple[PackageDiff, ...] = ()
    licenses: tuple[LicenseDiff, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the bills, if they could be compared, list the same."""
        return not (self.packages or self.licenses)


class _Read(msgspec.Struct, frozen=True, kw_only=True):
    side: SbomSide | None
    bill: ReadBill | None


def diff_sboms(
    images: tuple[Image, Image],
    find: tuple[FindSbom, FindSbom],
    found: tuple[Sequence[Package], Sequence[Package]] | None,
) -> SbomDiff | None:
    """What the bills of two images say; ``None`` if neither has one.

    found: the packages that each image's databases record; ``None``: not compared with them
    """
    before, after = (_read(image, each) for image, each in zip(images, find, strict=True))
    if before.side is None and after.side is None:
        return None
    if found is not None:
        before, after = (
            _beside(one, packages) for one, packages in zip((before, after), found, strict=True)
        )
    across = images[0].platform != images[1].platform
    compared = before.bill is not None and after.bill is not None
    packages: tuple[PackageDiff, ...] = ()
    licenses: tuple[LicenseDiff, ...] = ()
    if before.bill is not None and after.bill is not None:
        old, new = before.bill.packages, after.bill.packages
        packages = tuple(diff_packages(_packages(old), _packages(new), across=across))
        licenses = tuple(_licenses(old, new))
    return SbomDiff(
        platform_before=str(images[0].platform or ""), platform_after=str(images[1].platform or ""),
        before=before.side, after=after.side, compared=compared,
        packages=packages, licenses=licenses,
    )  # fmt: skip


def _read(image: Image, find: FindSbom) -> _Read:
    try:
        attached = find(image)
    except Interrupted:
        raise
    except HomeportError as error:
        return _Read(side=SbomSide(problem=f"cannot look for it: {error.what}"), bill=None)
    if attached is None:
        return _Read(side=None, bill=None)
    side = SbomSide(found_as=attached.found_as, digest=attached.digest, problem=attached.problem)
    if side.problem:
        return _Read(side=side, bill=None)
    try:
        bill = read_bill(attached.document)
    except BadBill as error:
        return _Read(side=msgspec.structs.replace(side, problem=error.what), bill=None)
    side = msgspec.structs.replace(side, form=bill.form, packages=len(bill.packages))
    return _Read(side=side, bill=bill)


def _packages(listed: Sequence[ListedPackage]) -> list[Package]:
    return [
        Package(
            manager=_MANAGERS.get(one.kind, one.kind), name=one.name, version=one.version,
            architecture=one.architecture,
        )
        for one in listed
    ]  # fmt: skip


def _licenses(
    before: Sequence[ListedPackage], after: Sequence[ListedPackage]
) -> Iterator[LicenseDiff]:
    """Changed licenses of what both list in the same version; another version has its own."""
    old = {(one.kind, one.name, one.version): one.license for one in before}
    new = {(one.kind, one.name, one.version): one.license for one in after}
    for key in sorted(old.keys() & new.keys()):
        if old[key] != new[key]:
            manager = _MANAGERS.get(key[0], key[0])
            yield LicenseDiff(manager=manager, name=key[1], before=old[key], after=new[key])


def _beside(read: _Read, found: Sequence[Package]) -> _Read:
    if read.bill is None or read.side is None:
        return read
    rows = tuple(_disagreements(_packages(read.bill.packages), found))
    return _Read(side=msgspec.structs.replace(read.side, disagreements=rows), bill=read.bill)


def _disagreements(listed: Sequence[Package], found: Sequence[Package]) -> Iterator[Disagreement]:
    managers = {one.manager for one in listed} & _RECORDED | _OF_DISTRIBUTIONS
    rows = diff_packages(
        [_comparable(one) for one in listed if one.manager in managers],
        [_comparable(one) for one in found if one.manager in managers],
    )
    for row in rows:
        yield Disagreement(
            manager=row.manager, name=row.name, architecture=row.architecture,
            listed=row.before, found=row.after,
        )  # fmt: skip


def _comparable(package: Package) -> Package:
    """Names as the Python index compares them (PEP 503); languages have no architecture.

    To rpm the epoch 0 is none, and documents leave it out.
    """
    if package.manager == "rpm":
        return msgspec.structs.replace(package, version=package.version.removeprefix("0:"))
    if package.manager in _OF_DISTRIBUTIONS:
        return package
    name = package.name
    if package.manager == "python":
        name = name.lower().replace("_", "-").replace(".", "-")
    return msgspec.structs.replace(package, name=name, architecture="")
