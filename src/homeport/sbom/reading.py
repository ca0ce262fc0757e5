"""Bills of materials that others wrote: the packages listed in SPDX 2 and CycloneDX documents.

Not the whole document: what identifies a package (its purl) and the license declared for it.
Packages without a purl, such as the image itself or source packages, are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from homeport.errors import HomeportError
from homeport.sbom import purl

#: Components inside components; deeper ones are an error.
_DEEPEST = 50
_UNSTATED = ("", "NOASSERTION", "NONE")


class BadBill(HomeportError):
    """A document that is not a bill of materials in a form that is read here."""

    id = "bad-bill"


class ListedPackage(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A package as a document lists it. kind: the type of its purl, such as ``deb``."""

    kind: str
    name: str
    version: str
    architecture: str = ""
    license: str = ""


class ReadBill(msgspec.Struct, frozen=True, kw_only=True):
    """What a document says. form: ``spdx`` or ``cyclonedx``."""

    form: str
    packages: tuple[ListedPackage, ...]


class _SpdxReference(msgspec.Struct, frozen=True, rename="camel"):
    reference_type: str = ""
    reference_locator: str = ""


class _SpdxPackage(msgspec.Struct, frozen=True, rename="camel"):
    external_refs: tuple[_SpdxReference, ...] = ()
    license_declared: str = ""
    license_concluded: str = ""


class _Spdx(msgspec.Struct, frozen=True, rename="camel"):
    packages: tuple[_SpdxPackage, ...] = ()


class _LicenseName(msgspec.Struct, frozen=True):
    id: str = ""
    name: str = ""


class _LicenseChoice(msgspec.Struct, frozen=True):
    expression: str = ""
    license: _LicenseName = _LicenseName()


class _Component(msgspec.Struct, frozen=True):
    purl: str = ""
    licenses: tuple[_LicenseChoice, ...] = ()
    components: tuple[Any, ...] = ()


class _CycloneDx(msgspec.Struct, frozen=True):
    components: tuple[_Component, ...] = ()


def read_bill(document: Any) -> ReadBill:
    """Read a document that was parsed from JSON. Raises ``BadBill``."""
    if isinstance(document, dict) and isinstance(document.get("Data"), dict):
        document = document["Data"]  # cosign's wrapping of predicates that it does not know
    if not isinstance(document, dict):
        raise BadBill("the document is not a JSON object")
    version = str(document.get("spdxVersion", ""))
    try:
        if version.startswith("SPDX-2."):
            return _bill("spdx", _spdx(msgspec.convert(document, _Spdx)))
        if document.get("bomFormat") == "CycloneDX":
            found = msgspec.convert(document, _CycloneDx)
            return _bill("cyclonedx", _cyclonedx(found.components, _DEEPEST))
    except (msgspec.ValidationError, RecursionError) as error:
        raise BadBill(f"the document is not valid: {error}") from error
    raise BadBill(
        f"the document is neither SPDX 2 nor CycloneDX{f': {version[:40]!r}' if version else ''}"
    )


def _bill(form: str, packages: Iterator[ListedPackage]) -> ReadBill:
    return ReadBill(form=form, packages=tuple(sorted(set(packages))))


def _spdx(document: _Spdx) -> Iterator[ListedPackage]:
    for package in document.packages:
        stated = [
            text for text in (package.license_declared, package.license_concluded)
            if text not in _UNSTATED
        ]  # fmt: skip
        for reference in package.external_refs:
            if reference.reference_type == "purl":
                yield from _listed(reference.reference_locator, stated[0] if stated else "")
                break


def _cyclonedx(components: tuple[_Component, ...], depth: int) -> Iterator[ListedPackage]:
    if not depth:
        raise BadBill(f"components are nested more than {_DEEPEST} deep")
    for one in components:
        if one.purl:
            names = (each.expression or each.license.id or each.license.name
                     for each in one.licenses)  # fmt: skip
            yield from _listed(one.purl, " AND ".join(name for name in names if name))
        inner = msgspec.convert(one.components, tuple[_Component, ...])
        yield from _cyclonedx(inner, depth - 1) if inner else ()


def _listed(text: str, license: str) -> Iterator[ListedPackage]:
    """The package that a purl names; none for the image, the source or what cannot be read."""
    found = purl.parse(text)
    if found is None or found.kind in ("oci", "docker"):
        return
    architecture = found.qualifiers.get("arch", "")
    if architecture == "source":
        return
    version, epoch = found.version, found.qualifiers.get("epoch", "0")
    if epoch != "0" and ":" not in version:
        version = f"{epoch}:{version}"  # purls of RPM; trivy writes Debian's so, too
    yield ListedPackage(
        kind=found.kind, name=found.name, version=version, architecture=architecture,
        license=license,
    )  # fmt: skip
