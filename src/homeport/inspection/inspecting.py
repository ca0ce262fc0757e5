"""The front of inspection: an opened address becomes a ``Report``.

The report of an image is kept in the store under the image's digest: a second look reads
no layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from homeport.images.image import Image, Index
from homeport.inspection.attached import find_attached
from homeport.inspection.choosing import choose, platform_rows
from homeport.inspection.code import code_hash
from homeport.inspection.opened import Services, open_layers
from homeport.inspection.report import SCHEMA, ImageReport, Report, report_image
from homeport.oci.documents import Descriptor
from homeport.oci.platform import Platform

_NAMESPACE = "image-report"
Referrers = Callable[[str], Iterable[Descriptor]]


def inspect(
    value: Image | Index,
    address: str,
    services: Services,
    *,
    platform: Platform | None = None,
    referrers: Referrers | None = None,
) -> Report:
    """All about the image at an address, of one platform in full."""
    image = choose(value, platform)
    attached, problems = find_attached(value, image, referrers)
    report = _image_report(image, services)
    if attached or problems:
        report = msgspec.structs.replace(
            report, attached=attached, problems=(*report.problems, *problems)
        )
    return Report(
        schema=SCHEMA,
        address=address,
        digest=str(value.digest),
        media_type=value.document.media_type,
        platforms=platform_rows(value, image),
        image=report,
    )


def _image_report(image: Image, services: Services) -> ImageReport:
    key = f"{code_hash()} {image.digest} {image.platform}"
    store = services.store
    known = store.recall(_NAMESPACE, key) if store else None
    if known is not None:
        try:
            return msgspec.msgpack.decode(known, type=ImageReport)
        except msgspec.DecodeError:
            pass  # damaged: made again and replaced
    report = report_image(open_layers(image, services))
    if store:
        store.remember(_NAMESPACE, key, msgspec.msgpack.encode(report))
    return report
