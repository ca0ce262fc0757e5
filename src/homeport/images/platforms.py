"""Choosing the platforms of an image; what is not changed stays as it was received."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

import msgspec

from homeport.images.image import Child, Image, ImageNotFound, Index, new_index
from homeport.oci import media_types
from homeport.oci.platform import UNKNOWN, Platform, native_platform


def select(value: Image | Index, platforms: Sequence[Platform] | None) -> Image | Index:
    """The part of ``value`` for ``platforms`` (``None``: all of it, as received).

    Where a variant of a processor is not there, the newest older one is meant (``nearest``). One
    platform is its image; of several images for one platform that is the first, and those of
    different versions of a system are an error. Several are an index that lists the chosen images
    and their attestations with their descriptors as they were; when that leaves nothing out, it
    is ``value`` itself. Raises ``ImageNotFound`` naming the platforms that there are.
    """
    if platforms is None:
        return value
    if isinstance(value, Image):
        return _only(value, platforms)
    every = list(candidates(value))
    platforms = [nearest(each, [platform for _, platform in every]) for each in platforms]
    chosen = [entry for entry in every if any(entry[1].satisfies(p) for p in platforms)]
    for wanted in platforms:
        if not any(platform.satisfies(wanted) for _, platform in chosen):
            raise _no_platform(wanted, [platform for _, platform in every])
    if len(platforms) == 1:
        return _image(_only_version(chosen, platforms[0])[0], platforms[0])
    if len(chosen) == len(every):
        return value
    digests = {child.descriptor.digest for child, _ in chosen}
    digests |= {child.descriptor.digest for child in artifacts_for(value, platforms)}
    kept = [
        child
        for child in _leaves(value)
        if child.descriptor.digest in digests or child.attests in digests
    ]
    media_type = value.document.media_type
    return new_index(kept, media_type=media_type, annotations=value.document.parsed.annotations)


def nearest(wanted: Platform, there: Sequence[Platform]) -> Platform:
    """``wanted`` if there is an image for it, else the newest older variant that has one.

    As docker and podman choose: linux/arm/v7 runs an image for linux/arm/v6.
    """
    for one in (wanted, *wanted.also_runs()):
        if any(platform.satisfies(one) for platform in there):
            return one
    return wanted


def choose_image(value: Image | Index, wanted: Platform | None) -> Image:
    """The image for ``wanted``; by default this machine's, else the first of the index.

    Raises ``ImageNotFound`` with the platforms of the index.
    """
    if isinstance(value, Image):
        found = value if wanted is None else select(value, [wanted])
    else:
        there = platforms_of(value)
        if wanted is None:
            native = nearest(native_platform(), there)
            mine = [one for one in there if one.satisfies(native)]
            wanted = (mine or there or [native])[0]
        found = select(value, [wanted])
    assert isinstance(found, Image)
    return found


def platforms_of(value: Image | Index) -> list[Platform]:
    """The platforms that can be chosen, in the index's order."""
    if isinstance(value, Image):
        return [value.platform] if value.platform else []
    return [platform for _, platform in candidates(value)]


def images_for(value: Image | Index, wanted: Platform) -> list[Child]:
    """All entries of an index for one platform: they may differ in compression, say."""
    if isinstance(value, Image):
        return []
    every = list(candidates(value))
    wanted = nearest(wanted, [platform for _, platform in every])
    found = [entry for entry in every if entry[1].satisfies(wanted)]
    return [child for child, _ in _only_version(found, wanted)] if found else []


def _only_version(
    chosen: list[tuple[Child, Platform]], wanted: Platform
) -> list[tuple[Child, Platform]]:
    """Those of exactly ``wanted`` if there are any. Raises ``ImageNotFound`` for a choice."""
    exact = [entry for entry in chosen if entry[1].normalized() == wanted.normalized()]
    if exact:
        return exact
    known = list(dict.fromkeys(str(platform) for _, platform in chosen))
    if len(known) > 1:
        raise ImageNotFound(
            f"several images for {wanted}: {', '.join(known)}",
            where={"platform": str(wanted)},
            hint=f"choose one: --platform {shlex.quote(known[0])}",
        )
    return chosen


def _image(chosen: tuple[Child, Platform], wanted: Platform) -> Image:
    value = chosen[0].open()
    if isinstance(value, Index):  # an index may list another one under a platform
        found = select(value, [wanted])
        assert isinstance(found, Image)
        return found
    return msgspec.structs.replace(value, platform=chosen[1])


def candidates(index: Index) -> Iterator[tuple[Child, Platform]]:
    """Entries that are images of a platform; where the index is silent, the config is asked."""
    for child in _leaves(index):
        platform = child.platform
        if child.attests or platform == UNKNOWN or _is_artifact(child):
            continue
        if platform is None:
            platform = _platform_in_config(child)
        if platform is not None:
            yield child, platform


def artifacts_for(value: Image | Index, wanted: Sequence[Platform]) -> list[Child]:
    """Entries of an index that are artifacts for one of these platforms, such as SOCI's indexes."""
    if isinstance(value, Image):
        return []
    return [
        child
        for child in _leaves(value)
        if _is_artifact(child) and any(_satisfies(child.platform, each) for each in wanted)
    ]


def _is_artifact(child: Child) -> bool:
    """Whether an entry declares itself something else than an image (OCI 1.1, ``artifactType``)."""
    kind = child.descriptor.artifact_type
    return bool(kind) and kind not in media_types.CONFIGS


def _leaves(index: Index, seen: set[tuple[str, Platform | None]] | None = None) -> Iterator[Child]:
    """Entries that are not indexes, those of nested indexes too; the same entry only once."""
    seen = set() if seen is None else seen
    for child in index.children:
        key = child.descriptor.digest, child.platform
        if key in seen:
            continue
        seen.add(key)
        if child.platform is None and child.descriptor.media_type in media_types.INDEXES:
            nested = child.open()
            if isinstance(nested, Index):
                yield from _leaves(nested, seen)
        else:
            yield child


def _platform_in_config(child: Child) -> Platform | None:
    value = child.open()
    return value.platform_in_config() if isinstance(value, Image) else None


def _only(image: Image, platforms: Sequence[Platform]) -> Image:
    platform = image.platform or image.platform_in_config()
    for wanted in platforms:
        if platform is None or not platform.satisfies(nearest(wanted, [platform])):
            raise _no_platform(wanted, [platform])
    return image


def _satisfies(platform: Platform | None, wanted: Platform) -> bool:
    return platform is not None and platform.satisfies(wanted)


def _no_platform(wanted: Platform, there: Sequence[Platform | None]) -> ImageNotFound:
    known = ", ".join(sorted({str(platform) for platform in there if platform}))
    return ImageNotFound(
        f"no image for {wanted}",
        where={"platform": str(wanted)},
        hint=f"available: {known}" if known else "none of its entries names a platform",
    )
