"""Comparing what two addresses hold, platform by platform. Not for the difference of one
image from another (``diffing``)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from homeport.images.image import Image, Index
from homeport.images.platforms import platforms_of, select
from homeport.inspection.image.opened_image import open_layers
from homeport.inspection.packages.databases import find_packages
from homeport.inspection.report.diffing import SCHEMA, ImageDiff, diff_images
from homeport.inspection.report.diffing_sboms import FindSbom, SbomDiff, diff_sboms
from homeport.oci.platform import Platform
from homeport.runtime import Runtime


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The result of ``homeport diff``: ``homeport-diff/v1``.

    only_before, only_after: platforms that only one of the two has
    equal: platforms whose images have the same digest
    sboms: of each platform, if a bill of materials is attached to either image
    """

    schema: str = SCHEMA
    before: str
    after: str
    digest_before: str
    digest_after: str
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    equal: tuple[str, ...]
    images: tuple[ImageDiff, ...]
    sboms: tuple[SbomDiff, ...] = ()

    @property
    def same(self) -> bool:
        alike = all(one.same for one in self.images) and all(one.same for one in self.sboms)
        return alike and not (self.only_before or self.only_after)


def no_sbom(_image: Image) -> None:
    """For comparisons of what is in images alone."""


def compare(
    values: tuple[Image | Index, Image | Index],
    addresses: tuple[str, str],
    wanted: Sequence[Platform] | None,
    runtime: Runtime,
    *,
    times: bool = False,
    text: bool = True,
    find_sboms: tuple[FindSbom, FindSbom] = (no_sbom, no_sbom),
) -> Comparison:
    """Compare two values on all platforms that both have, or on those that are ``wanted``.

    Two single-platform images are compared even if their platforms differ.

    find_sboms: find the bill attached to an image of each of the two
    """
    before, after = values
    pairs, only_before, only_after = _pairs(before, after, wanted)
    equal: list[str] = []
    images: list[ImageDiff] = []
    sboms: list[SbomDiff | None] = []
    for pair in pairs:
        one, other = pair
        if one.digest == other.digest:
            equal.append(str(one.platform or ""))
            if before.digest != after.digest:  # what is attached may differ
                sboms.append(diff_sboms(pair, find_sboms, None))
            continue
        opened = open_layers(one, runtime, addresses[0]), open_layers(other, runtime, addresses[1])
        images.append(diff_images(*opened, times=times, text=text))
        found = find_packages(opened[0])[0], find_packages(opened[1])[0]
        sboms.append(diff_sboms(pair, find_sboms, found))
    return Comparison(
        before=addresses[0], after=addresses[1], digest_before=str(before.digest),
        digest_after=str(after.digest), only_before=only_before, only_after=only_after,
        equal=tuple(equal), images=tuple(images),
        sboms=tuple(one for one in sboms if one is not None),
    )  # fmt: skip


def compare_platforms(
    value: Image | Index,
    address: str,
    platforms: tuple[Platform, Platform],
    runtime: Runtime,
    *,
    times: bool = False,
    text: bool = True,
    find_sbom: FindSbom = no_sbom,
) -> Comparison:
    """Compare two platforms of one index. Raises ``ImageNotFound``."""
    pair = _image(value, platforms[0]), _image(value, platforms[1])
    one, other = pair
    opened = open_layers(one, runtime, address), open_layers(other, runtime, address)
    found = diff_images(*opened, times=times, text=text)
    packages = find_packages(opened[0])[0], find_packages(opened[1])[0]
    sbom = diff_sboms(pair, (find_sbom, find_sbom), packages)
    return Comparison(
        before=f"{address} {platforms[0]}", after=f"{address} {platforms[1]}",
        digest_before=str(one.digest), digest_after=str(other.digest),
        only_before=(), only_after=(), equal=(), images=(found,),
        sboms=(sbom,) if sbom is not None else (),
    )  # fmt: skip


def _pairs(
    before: Image | Index, after: Image | Index, wanted: Sequence[Platform] | None
) -> tuple[list[tuple[Image, Image]], tuple[str, ...], tuple[str, ...]]:
    if wanted is None and isinstance(before, Image) and isinstance(after, Image):
        return [(before, after)], (), ()
    old, new = (list(dict.fromkeys(platforms_of(each))) for each in (before, after))
    if wanted is not None:
        return [(_image(before, each), _image(after, each)) for each in wanted], (), ()
    both = [each for each in old if any(other.satisfies(each) for other in new)]
    only_before = tuple(str(each) for each in old if each not in both)
    only_after = tuple(str(each) for each in new if not any(other.satisfies(each) for other in old))
    return [(_image(before, each), _image(after, each)) for each in both], only_before, only_after


def _image(value: Image | Index, platform: Platform) -> Image:
    found = select(value, [platform])
    assert isinstance(found, Image)
    return found
