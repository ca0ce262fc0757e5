"""Inspecting an opened address: an image or index becomes an ``InspectReport``.

The report of an image is stored under the image's digest: a second inspection
reads no layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from homeport.images.image import Image, Index
from homeport.images.platforms import choose_image
from homeport.inspection.code_version import code_version
from homeport.inspection.image.attached_artifacts import find_attached
from homeport.inspection.image.platform_choice import platform_rows
from homeport.inspection.model import SCHEMA, ImageReport, InspectReport
from homeport.oci.documents import Descriptor
from homeport.oci.platform import Platform
from homeport.quantities import counted
from homeport.runtime import Runtime

_NAMESPACE = "image-report"
Referrers = Callable[[str], Iterable[Descriptor]]
_IMAGE_REPORT_DECODER = msgspec.msgpack.Decoder(ImageReport)


def inspect(
    value: Image | Index,
    address: str,
    runtime: Runtime,
    *,
    platform: Platform | None = None,
    referrers: Referrers | None = None,
    verdicts: Callable[[str], Mapping[str, str]] = lambda _subject: {},
    bases: Mapping[str, Image | Index] | None = None,
) -> InspectReport:
    """The report of the image at an address, of one platform in full.

    bases:    images that it may be built on, by address
    verdicts: on the signatures of a digest, by artifact
    """
    image = choose_image(value, platform)
    attached, problems = find_attached(value, image, referrers, verdicts)
    report = _image_report(image, runtime, address)
    if attached or problems:
        report = msgspec.structs.replace(
            report, attached=attached, problems=(*report.problems, *problems)
        )
    report = _with_base(report, image, bases or {})
    return InspectReport(
        schema=SCHEMA,
        address=address,
        digest=str(value.digest),
        media_type=value.document.media_type,
        platforms=platform_rows(value, image),
        image=report,
    )


def _with_base(
    report: ImageReport, image: Image, bases: Mapping[str, Image | Index]
) -> ImageReport:
    """The base image with the most layers that are the lowest of this one."""
    mine = [layer.diff_id for layer in report.layers]
    best, name, digest = 0, "", ""
    for address, value in bases.items():
        other = choose_image(value, image.platform)
        document = other.config()
        theirs = list(document.parsed.rootfs.diff_ids) if document else []
        if best < len(theirs) <= len(mine) and mine[: len(theirs)] == theirs:
            best, name, digest = len(theirs), address, str(value.digest)
    if not best:
        return report
    shared = f"it has the lowest {counted(best, 'layer')} of this image"
    base = msgspec.structs.replace(
        report.base, image=name, image_digest=digest, layers=best,
        evidence=(*report.base.evidence, shared),
    )  # fmt: skip
    return msgspec.structs.replace(report, base=base)


def _image_report(image: Image, runtime: Runtime, address: str) -> ImageReport:
    key = f"{code_version()} {image.digest} {image.platform}"
    store = runtime.store
    known = store.recall(_NAMESPACE, key)
    if known is not None:
        try:
            return _IMAGE_REPORT_DECODER.decode(known)
        except msgspec.DecodeError:
            pass  # damaged: made again and replaced
    # 40 ms that a report from the cache saves.
    from homeport.inspection.image.opened_image import open_layers
    from homeport.inspection.report.builder import report_image

    report = report_image(open_layers(image, runtime, address))
    store.remember(_NAMESPACE, key, msgspec.msgpack.encode(report))
    return report
