"""What attestations say: in-toto statements with an SBOM or SLSA provenance of a built image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from homeport.assemble.bill import with_lockfile
from homeport.assemble.build import BuiltImage
from homeport.assemble.plan import BuildPlan
from homeport.building.compiled import with_compiled
from homeport.building.provenance import PREDICATE_TYPE, provenance
from homeport.building.request import Kind
from homeport.content.blob import verified
from homeport.content.digest import Digest
from homeport.images.image import Image
from homeport.recipe.lock.model import Lockfile
from homeport.sbom import spdx
from homeport.sbom.model import Bill, Subject

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_BILL = msgspec.json.Decoder(Bill)


def statements(
    image: BuiltImage,
    plan: BuildPlan,
    lockfile: Lockfile,
    kinds: Sequence[Kind],
    kit: Digest | None = None,
) -> Iterator[tuple[str, bytes]]:
    """The type of each predicate and the statement around it."""
    bill = complete_bill(image, plan, lockfile)
    if "sbom" in kinds:
        document = spdx.document(bill, subject_of(image, plan))
        yield spdx.PREDICATE_TYPE, _statement(image.image, spdx.PREDICATE_TYPE, document)
    if "provenance" in kinds:
        predicate = provenance(plan, bill, lockfile, kit)
        yield PREDICATE_TYPE, _statement(image.image, PREDICATE_TYPE, predicate)


def complete_bill(image: BuiltImage, plan: BuildPlan, lockfile: Lockfile) -> Bill:
    """The bill of an image that was built, with what programs of the recipe are made of."""
    bill = bill_of(image, lockfile)
    return msgspec.structs.replace(bill, components=with_compiled(bill, image, plan))


def bill_of(image: BuiltImage, lockfile: Lockfile) -> Bill:
    """The bill of an image that was built: packages and files."""
    with verified(image.bill, "the bill of materials") as stream:
        return with_lockfile(_BILL.decode(stream.readall()), lockfile)


def subject_of(image: BuiltImage, plan: BuildPlan) -> Subject:
    """What the SBOM of an image that was built calls it."""
    return Subject(name=plan.name, digest=str(image.image.digest), created=plan.epoch)


def _statement(image: Image, predicate_type: str, predicate: dict[str, Any]) -> bytes:
    """A statement about one manifest. No name, because many registries may hold the image."""
    return msgspec.json.encode(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": "_", "digest": {image.digest.algorithm: image.digest.hex}}],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    )
