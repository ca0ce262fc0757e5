"""SLSA provenance v1 of one platform's image (slsa.dev/spec/v1.0/provenance).

What recipe, lockfile, local files and Homeport's version decide, and nothing of the run: no
times, no machine, no mirror's name. So it may stand in an index whose digest is the same
everywhere. docs/formats/buildtype.md says what each field means and how to build again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from homeport import __version__
from homeport.assemble.plan import BuildPlan
from homeport.content.digest import Digest
from homeport.recipe.lock.model import LockedSuite, Lockfile
from homeport.sbom import purl
from homeport.sbom.model import Bill, BillPackage

PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://homeport.dev/buildtypes/image/v1"
#: The builder of statements inside an index: any run of this version gives the same bytes.
BUILDER = "https://homeport.dev/builders/reproducible/v1"
#: The one who built it again and signs that; the signature tells who it is.
REBUILDER = "https://homeport.dev/builders/rebuilder/v1"

Element = dict[str, Any]


def provenance(
    plan: BuildPlan, bill: Bill, lockfile: Lockfile, kit: Digest | None = None
) -> Element:
    """The predicate for the image of ``plan``. kit: the layer of its rebuild kit."""
    dependencies = list(_dependencies(plan, bill, lockfile))
    if kit is not None:
        dependencies.append({"name": "rebuild kit", **_digest(kit.hex)})
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": external_parameters(plan),
            "internalParameters": {
                "homeport": __version__,
                "encoder": plan.encoder.id,
                "epoch": plan.epoch,
            },
            "resolvedDependencies": dependencies,
        },
        "runDetails": {"builder": {"id": BUILDER, "version": {"homeport": __version__}}},
    }


def rebuilt(predicate: Element) -> Element:
    """What a rebuilder says: the same build, run by another builder.

    No times and no place: signing again then adds nothing.
    """
    details = {"builder": {"id": REBUILDER, "version": {"homeport": __version__}}}
    return {**predicate, "runDetails": details}


def external_parameters(plan: BuildPlan) -> Element:
    """What the user chose."""
    chosen: Element = {
        "recipe": plan.name,
        "platform": str(plan.platform),
        "compression": plan.encoder.name,
    }
    if plan.config.labels:
        chosen["labels"] = dict(sorted(plan.config.labels.items()))
    if plan.config.annotations:
        chosen["annotations"] = dict(sorted(plan.config.annotations.items()))
    if plan.epoch_override:
        chosen["sourceDateEpoch"] = plan.epoch
    return chosen


def _dependencies(plan: BuildPlan, bill: Bill, lockfile: Lockfile) -> Iterator[Element]:
    yield {"name": "recipe", **_digest(plan.recipe_digest.hex)}
    yield {"name": "lockfile", **_digest(plan.lockfile_digest.hex)}
    for suite in lockfile.archives:
        yield _release(suite)
    for package in bill.packages:
        yield _package(package, bill)
    for files in plan.image_files:
        yield {
            "name": files.address,
            "digest": {files.digest.algorithm: files.digest.hex},
            "annotations": {"files": str(files.source.detail)},
        }
    for file in bill.files:
        if file.origin in ("local", "inline"):
            yield {"name": file.path, **_digest(file.sha256)}
    for result in plan.results:
        name, _, digest = result.partition("@")
        algorithm, _, value = digest.partition(":")
        yield {"name": f"part {name}", "digest": {algorithm: value}}
    for material in plan.materials:
        yield {"name": "material of a part", "uri": material}


def _release(suite: LockedSuite) -> Element:
    """The signed index of a suite, by the digest of its signed text."""
    return {
        "name": f"InRelease of {suite.archive} {suite.suite}",
        **_digest(suite.release.hex),
        "annotations": {
            "date": suite.date.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "signers": " ".join(suite.signers),
        },
    }


def _package(package: BillPackage, bill: Bill) -> Element:
    return {
        "name": package.name,
        "uri": purl.deb(package, bill.distribution),
        **_digest(package.sha256),
        "annotations": {
            "archive": package.archive, "suite": package.suite, "path": package.path,
        },
    }  # fmt: skip


def _digest(sha256: str) -> Element:
    return {"digest": {"sha256": sha256}}
