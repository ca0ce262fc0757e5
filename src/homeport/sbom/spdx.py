"""Bills as SPDX 2.3 documents in JSON, as trivy, syft and grype read them.

The specification is ISO/IEC 5962:2021 in its version 2.3. Scanners need more than it asks for:
trivy types elements by the beginning of their identifiers and reads the source package from
``sourceInfo``; grype reads ``distro`` and ``upstream`` of the purl.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from homeport import __version__
from homeport.oci.platform import UNKNOWN
from homeport.sbom import purl
from homeport.sbom.model import Bill, BillFile, BillPackage, License, Subject, timestamp

#: Where documents of ours are named; nothing is published there.
NAMESPACE = "https://homeport.dev/spdx"
PREDICATE_TYPE = "https://spdx.dev/Document"
MEDIA_TYPE = "application/spdx+json"
_NONE = "NOASSERTION"
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9.-]")
_LICENSE_LIST = "3.27"

Element = dict[str, Any]


def document(bill: Bill, subject: Subject) -> Element:
    """The SPDX document of one platform's image."""
    return _Writer(bill, subject).document()


class _Writer:
    def __init__(self, bill: Bill, subject: Subject) -> None:
        self._bill = bill
        self._subject = subject
        self._of_packages = bill.files_by_package()
        self._packages: list[Element] = []
        self._files: list[Element] = []
        self._relationships: list[tuple[str, str, str]] = []
        self._texts: dict[str, str] = {}
        self._ids = {one.name: _package_id(one) for one in bill.packages}

    def document(self) -> Element:
        bill, subject = self._bill, self._subject
        self._image()
        parent = self._operating_system()
        for package in bill.packages:
            self._package(package, parent)
        self._other_files()
        self._components()
        self._materials()
        return {
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": "SPDXRef-DOCUMENT",
            "name": subject.name if bill.platform == UNKNOWN else f"{subject.name} {bill.platform}",
            "documentNamespace": f"{NAMESPACE}/{_NOT_IN_IDS.sub('-', subject.name)}"
            f"/{_identity(bill, subject)}",
            "creationInfo": {
                "created": timestamp(subject.created),
                "creators": [f"Tool: homeport-{__version__}"],
                "licenseListVersion": _LICENSE_LIST,
                **({} if bill.made_from == "build" else {"comment": _FOUND}),
            },
            "documentDescribes": ["SPDXRef-Image"],
            "packages": self._packages,
            "files": self._files,
            **self._extracted(),
            "relationships": [
                {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
                for one, kind, other in sorted(self._relationships)
            ],
        }

    def _extracted(self) -> Element:
        if not self._texts:
            return {}
        return {
            "hasExtractedLicensingInfos": [
                {"licenseId": name, "extractedText": text}
                for name, text in sorted(self._texts.items())
            ]
        }

    def _image(self) -> None:
        subject = self._subject
        self._packages.append(
            {
                "SPDXID": "SPDXRef-Image",
                "name": subject.name,
                "primaryPackagePurpose": "CONTAINER",
                **self._digest(),
                **_unstated(),
            }
        )
        self._relationships.append(("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Image"))

    def _digest(self) -> Element:
        subject = self._subject
        if not subject.digest:
            return {}
        name = purl.oci(subject.name, subject.digest, architecture=self._bill.platform.architecture)
        return {
            "versionInfo": subject.digest,
            "checksums": [_checksum("SHA256", subject.digest.partition(":")[2])],
            "externalRefs": [_purl(name)],
        }

    def _operating_system(self) -> str:
        """The element that packages belong to: the distribution, or the image without one."""
        distribution = self._bill.distribution
        if distribution is None:
            return "SPDXRef-Image"
        name = f"SPDXRef-OperatingSystem-{_NOT_IN_IDS.sub('-', distribution.id)}"
        self._packages.append(
            {
                "SPDXID": name,
                "name": distribution.id,
                "versionInfo": distribution.version,
                "primaryPackagePurpose": "OPERATING-SYSTEM",
                **_unstated(),
            }
        )
        self._relationships.append(("SPDXRef-Image", "CONTAINS", name))
        return name

    def _package(self, package: BillPackage, parent: str) -> None:
        bill = self._bill
        name = self._ids[package.name]
        own = self._of_packages.get(package.name, [])
        element: Element = {
            "SPDXID": name,
            "name": package.name,
            "versionInfo": package.version,
            "supplier": f"Organization: {_supplier(bill)}",
            "downloadLocation": _NONE,
            "filesAnalyzed": bool(own),
            "sourceInfo": f"built package from: {package.source_name} {package.source_version}",
            "licenseConcluded": _NONE,
            **self._license(package.license),
            "copyrightText": _NONE,
            "externalRefs": [_purl(purl.deb(package, bill.distribution))],
        }
        if package.maintainer:
            element["originator"] = f"Organization: {_person(package.maintainer)}"
        if package.homepage:
            element["homepage"] = package.homepage
        if package.sha256:
            element["checksums"] = [_checksum("SHA256", package.sha256)]
        if package.path:
            element["packageFileName"] = package.path
        if own:
            # SPDX 2.3, 7.9: over the SHA-1 of all files of the package, sorted.
            sums = "".join(sorted(file.sha1 for file in own))
            element["packageVerificationCode"] = {
                "packageVerificationCodeValue": _sha1(sums.encode())
            }
        self._packages.append(element)
        self._relationships.append((parent, "CONTAINS", name))
        for other in package.depends:
            self._relationships.append((name, "DEPENDS_ON", self._ids[other]))
        for file in own:
            self._relationships.append((name, "CONTAINS", self._file(file)))

    def _license(self, license: License) -> Element:
        self._texts |= license.texts
        if license.expression:
            return {"licenseDeclared": license.expression}
        return {
            "licenseDeclared": _NONE,
            **({"comment": license.comment} if license.comment else {}),
        }

    def _file(self, file: BillFile) -> str:
        name = f"SPDXRef-File-{len(self._files) + 1}"
        element: Element = {
            "SPDXID": name,
            "fileName": f".{file.path}",
            "checksums": [_checksum("SHA1", file.sha1), _checksum("SHA256", file.sha256)],
            "licenseConcluded": _NONE,
            "copyrightText": _NONE,
        }
        # "layer" says nothing, and BuildKit writes the layer's digest where there is no comment.
        if not _packaged(file) and file.origin != "layer":
            element["comment"] = f"{file.origin}: {file.owner}" if file.owner else file.origin
        self._files.append(element)
        return name

    def _other_files(self) -> None:
        # CONTAINS is for elements whose files were analyzed as a whole; the image is not one.
        for file in self._bill.files:
            if not _packaged(file) or file.owner not in self._ids:
                self._relationships.append(("SPDXRef-Image", "OTHER", self._file(file)))

    def _components(self) -> None:
        for number, found in enumerate(self._bill.components, 1):
            name = f"SPDXRef-Application-{number}"
            self._packages.append(
                {
                    "SPDXID": name,
                    "name": found.name,
                    "versionInfo": found.version,
                    "sourceInfo": f"acquired package info from: {found.location}",
                    "externalRefs": [_purl(purl.component(found))],
                    **_unstated(),
                }
            )
            self._relationships.append(("SPDXRef-Image", "CONTAINS", name))

    def _materials(self) -> None:
        for number, material in enumerate(self._bill.materials, 1):
            name = f"SPDXRef-Material-{number}"
            self._packages.append(
                {
                    "SPDXID": name,
                    "name": material.name,
                    "primaryPackagePurpose": "SOURCE",
                    "sourceInfo": material.uri,
                    **_unstated(),
                }
            )
            self._relationships.append(("SPDXRef-Image", "GENERATED_FROM", name))


_FOUND = "found by inspecting the image: files and packages that leave no trace are not listed"


def _packaged(file: BillFile) -> bool:
    return file.origin == "package"


def _package_id(package: BillPackage) -> str:
    """Unique and of SPDX's characters: others are written as their code."""

    def coded(match: re.Match[str]) -> str:
        return f"-{ord(match[0]):x}-"

    return f"SPDXRef-Package-{_NOT_IN_IDS.sub(coded, package.name)}-{package.architecture}"


def _supplier(bill: Bill) -> str:
    if bill.distribution is None:
        return "Debian"
    return bill.distribution.name or bill.distribution.id.capitalize()


def _person(maintainer: str) -> str:
    """``Name <mail>`` as SPDX writes it: ``Name (mail)``."""
    name, bracket, mail = maintainer.partition("<")
    return f"{name.strip()} ({mail.rstrip('> ')})" if bracket else name.strip()


def _unstated() -> Element:
    return {
        "downloadLocation": _NONE,
        "filesAnalyzed": False,
        "licenseConcluded": _NONE,
        "licenseDeclared": _NONE,
        "copyrightText": _NONE,
    }


def _purl(text: str) -> Element:
    return {
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": text,
    }


def _checksum(algorithm: str, value: str) -> Element:
    return {"algorithm": algorithm, "checksumValue": value}


def _identity(bill: Bill, subject: Subject) -> str:
    """What tells documents apart: the image's digest, or else what is in it."""
    if subject.digest:
        return subject.digest.replace(":", "-")
    return hashlib.sha256(msgspec.json.encode([bill, subject], order="sorted")).hexdigest()


def _sha1(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()
