"""Packages of a Debian image by its own database: of published images, and of foreign ones.

The database says which packages; os-release says which release, whose suites are then those of
Debian, unless a recipe names other archives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from homeport.debian.version import BadVersion, parse_version
from homeport.errors import HomeportError
from homeport.freshness.model import Unknown
from homeport.images.image import Image, Index
from homeport.images.platforms import choose_image, platforms_of
from homeport.inspection.image.opened_image import OpenedImage, open_layers
from homeport.inspection.packages.databases import find_packages
from homeport.oci.platform import Platform, native_platform
from homeport.recipe.entries import Archive
from homeport.recipe.model import Recipe
from homeport.runtime import Runtime
from homeport.yamlfile.position import FilePosition

_OS_RELEASE = (b"etc/os-release", b"usr/lib/os-release")


_FIRST_YEAR = 2010  # images are no older


class NotDebian(HomeportError):
    """The image has no packages of Debian, or does not say of which release."""

    id = "not-debian"


class InstalledPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A package as the image's database has it."""

    name: str
    version: str
    source_name: str
    source_version: str


class ImagePackages(msgspec.Struct, frozen=True, kw_only=True):
    """An image's packages on each platform that was looked at.

    recipe:  the archives that they come from, as a recipe without packages
    created: from the config: with Homeport's images the date of the archive state
    """

    digest: str
    created: datetime | None
    recipe: Recipe
    packages: Mapping[Platform, Sequence[InstalledPackage]]
    problems: tuple[Unknown, ...]


def image_packages(
    value: Image | Index,
    address: str,
    platforms: Sequence[Platform] | None,
    runtime: Runtime,
    like: Recipe | None,
) -> ImagePackages:
    """Read the package database of an image. Raises ``NotDebian``.

    platforms: ``None``: all; none: this machine's, else the first of the index
    """
    found: dict[Platform, list[InstalledPackage]] = {}
    problems: list[Unknown] = []
    codename, created = "", None
    named = platforms_of(value) if platforms is None else platforms
    for wanted in named or (None,):
        image = choose_image(value, wanted)
        opened = open_layers(image, runtime, address)
        platform = wanted or image.platform or image.platform_in_config() or native_platform()
        packages, unread = find_packages(opened)
        problems += [Unknown(what=address, why=text, platforms=(str(platform),)) for text in unread]
        found[platform] = [
            InstalledPackage(
                name=p.name, version=p.version, source_name=p.source or p.name,
                source_version=p.source_version or p.version,
            )
            for p in packages
            if p.manager == "dpkg" and _is_version(p.version)
        ]  # fmt: skip
        if not found[platform]:
            raise NotDebian(
                f"{address} has no database of Debian packages",
                where={"platform": str(platform)},
                hint="only Debian images are judged; homeport inspect shows what is in it",
            )
        codename = codename or _codename(opened)
        created = created or _created(opened.config.created)
    return ImagePackages(
        digest=str(value.digest),
        created=created,
        recipe=_recipe(address, like, codename, tuple(found)),
        packages=found,
        problems=tuple(problems),
    )


def image_made(value: Image | Index) -> datetime | None:
    """When an image was made, as its config says, or that of the first of an index.

    ``None`` also for times that are none: reproducible builds write 1970, some tools 1980.
    """
    found = choose_image(value, None).readable_config()
    made = _created(found[0].parsed.created) if found is not None else None
    return made if made is not None and made.year >= _FIRST_YEAR else None


def _recipe(
    address: str, like: Recipe | None, codename: str, platforms: tuple[Platform, ...]
) -> Recipe:
    place = FilePosition(file=address, line=1)
    if like is not None:
        archives = like.archives
    elif codename:
        archives = (
            Archive(name="debian", suites=(codename, f"{codename}-updates"), place=place),
            Archive(name="debian-security", suites=(f"{codename}-security",), place=place),
        )
    else:
        raise NotDebian(
            f"{address} does not say of which release of Debian it is: it has no os-release",
            hint="name a recipe with its archives: --like RECIPE",
        )
    return Recipe(
        name=address,
        path=like.path if like else Path(address),
        platforms=platforms,
        archives=archives,
        place=place,
    )


def _codename(opened: OpenedImage) -> str:
    """``trixie``, of Debian's os-release; a derivative names itself and is not judged."""
    texts = opened.read(_OS_RELEASE, limit=1 << 16)
    for path in _OS_RELEASE:
        fields = dict(
            line.split("=", 1)
            for line in texts.get(path, b"").decode("utf-8", "replace").splitlines()
            if "=" in line
        )
        name = fields.get("VERSION_CODENAME", "").strip("\"'")
        if fields.get("ID", "").strip("\"'") == "debian" and name.isalnum():
            return name
    return ""


def _created(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_version(text: str) -> bool:
    try:
        parse_version(text)
    except BadVersion:
        return False
    return True
