"""Bills as CycloneDX 1.6 documents in JSON (ECMA-424).

trivy reads the source package from its own ``aquasecurity:trivy:`` properties and the
distribution from the operating-system component; both are written.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from homeport import __version__
from homeport.debian.version import parse_version
from homeport.sbom import purl
from homeport.sbom.model import Bill, BillFile, BillPackage, Subject, timestamp

NAMESPACE = "https://homeport.dev/cyclonedx"
PREDICATE_TYPE = "https://cyclonedx.org/bom"
MEDIA_TYPE = "application/vnd.cyclonedx+json"
_TRIVY = "aquasecurity:trivy:"

Element = dict[str, Any]


def document(bill: Bill, subject: Subject) -> Element:
    """The CycloneDX document of one platform's image."""
    references = {one.name: purl.deb(one, bill.distribution) for one in bill.packages}
    components: list[Element] = []
    dependencies: list[Element] = []
    top = sorted(references.values())
    if bill.distribution is not None:
        components.append(
            {
                "type": "operating-system",
                "bom-ref": "os",
                "name": bill.distribution.id,
                "version": bill.distribution.version,
            }
        )
        dependencies.append({"ref": "os", "dependsOn": top})
    of_packages = bill.files_by_package()
    for package in bill.packages:
        files = of_packages.get(package.name, ())
        components.append(_package(bill, package, references[package.name], files))
        needs = sorted(references[name] for name in package.depends)
        dependencies.append({"ref": references[package.name], "dependsOn": needs})
    others = [
        {
            "type": "library", "bom-ref": f"{purl.component(one)}#{one.location}",
            "name": one.name, "version": one.version, "purl": purl.component(one),
            "evidence": {"occurrences": [{"location": one.location}]},
        }
        for one in bill.components
    ]  # fmt: skip
    components += others
    components += _files(bill)
    direct = ["os"] if bill.distribution is not None else top
    image = subject.digest
    dependencies.insert(
        0, {"ref": image, "dependsOn": [*direct, *(str(one["bom-ref"]) for one in others)]}
    )
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{NAMESPACE}/{image}')}",
        "version": 1,
        "metadata": {
            "timestamp": timestamp(subject.created),
            "tools": {
                "components": [{"type": "application", "name": "homeport", "version": __version__}]
            },
            "component": {
                "type": "container",
                "bom-ref": image,
                "name": subject.name,
                "version": image,
                "hashes": [_hash(image.partition(":")[2])],
            },
        },
        "components": components,
        "dependencies": dependencies,
        "compositions": [
            {
                "aggregate": "complete" if bill.made_from == "build" else "incomplete",
                "assemblies": [image],
            }
        ],
    }


def _package(
    bill: Bill, package: BillPackage, reference: str, files: Sequence[BillFile]
) -> Element:
    version = parse_version(package.source_version)
    properties = {
        "PkgType": bill.distribution.id if bill.distribution is not None else "debian",
        "SrcName": package.source_name,
        "SrcVersion": version.upstream,
        "SrcRelease": version.revision,
        "SrcEpoch": str(version.epoch or ""),
    }
    locations = sorted(file.path for file in files)
    element: Element = {
        "type": "library",
        "bom-ref": reference,
        "supplier": {"name": "Debian"},
        "name": package.name,
        "version": package.version,
        "purl": reference,
        "properties": [
            {"name": _TRIVY + name, "value": value} for name, value in properties.items() if value
        ],
    }
    if package.maintainer:
        element["publisher"] = package.maintainer
    if package.sha256:
        element["hashes"] = [_hash(package.sha256)]
    if package.license.expression:
        element["licenses"] = [
            {"expression": package.license.expression, "acknowledgement": "declared"}
        ]
    elif package.license.comment:
        element["properties"].append({"name": "homeport:license", "value": package.license.comment})
    if locations:
        element["evidence"] = {"occurrences": [{"location": path} for path in locations]}
    return element


def _files(bill: Bill) -> list[Element]:
    """Files that no package brings: what scanners cannot know otherwise."""
    return [
        {
            "type": "file",
            "bom-ref": f"file:{file.path}",
            "name": file.path,
            "hashes": [{"alg": "SHA-1", "content": file.sha1}, _hash(file.sha256)],
            "properties": [
                {"name": "homeport:origin", "value": f"{file.origin} {file.owner}".strip()}
            ],
        }
        for file in bill.files
        if file.origin != "package"
    ]


def _hash(value: str) -> Element:
    return {"alg": "SHA-256", "content": value}
