"""Parts of an image that must run somewhere: Dockerfiles, and commands in a build root.

They are built on a BuildKit engine (``homeport.parts``) before the image is, and their
results are pinned in the lockfile; a recipe without them never needs an engine. Here is
what the recipe says about them; files take from their results by ``model.PartFiles``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from homeport.content.digest import Digest
from homeport.oci.platform import Platform
from homeport.recipe.model import LocalFiles, PackageChoice, PartFiles, Place, Recipe, Steps


class UrlInput(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a web server, fetched by Homeport and checked against ``sha256``."""

    url: str
    sha256: Digest
    to: str
    place: Place


class GitInput(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one commit, fetched by the engine. ``commit``: 40 or 64 hex digits."""

    url: str
    commit: str
    to: str
    place: Place


class SourceInput(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a Debian source package: the .dsc and what it lists, in directory ``to``.

    version: exactly this one; ``None``: the newest, which the lockfile then keeps
    """

    package: str
    version: str | None
    to: str
    place: Place


class ImageInput(msgspec.Struct, frozen=True, kw_only=True):
    """A path of an image named by digest, pulled by the engine."""

    image: str
    digest: Digest
    path: str
    to: str
    place: Place


Input = LocalFiles | UrlInput | GitInput | SourceInput | ImageInput


class RunPart(msgspec.Struct, frozen=True, kw_only=True):
    """Commands that run in a build root of Debian packages, once for each platform wanted.

    script:   for ``/bin/sh -eu``; what it leaves in ``/out`` is the result
    on:       platforms that the build root is locked for; the first that an engine runs is used
    packages: of the build root, whole or sliced, with what they depend on
    network:  whether commands may reach the network
    """

    name: str
    script: str
    on: tuple[Platform, ...]
    packages: tuple[PackageChoice, ...]
    inputs: tuple[Input, ...] = ()
    env: Mapping[str, str] = msgspec.field(default_factory=dict)
    network: bool = False
    place: Place


class DockerfilePart(msgspec.Struct, frozen=True, kw_only=True):
    """A Dockerfile; the filesystem of its target is the result.

    written: the Dockerfile as the recipe names it, for messages
    network: whether its RUN may reach the network
    """

    name: str
    file: Path
    written: str
    context: Path
    target: str = ""
    args: Mapping[str, str] = msgspec.field(default_factory=dict)
    network: bool = False
    place: Place


EnginePart = RunPart | DockerfilePart


def taken(recipe: Recipe, part: EnginePart, platform: Platform) -> tuple[PartFiles, ...]:
    """The files that the image of one platform takes from a part; none: it is not needed."""
    return tuple(
        files
        for files in recipe.files
        if isinstance(files, PartFiles) and files.part == part.name and files.applies_to(platform)
    )


def root_recipe(recipe: Recipe, part: RunPart) -> Recipe:
    """The build root of a part as a recipe of its own, from the same archives."""
    return Recipe(
        name=f"{recipe.name}.{part.name}",
        path=recipe.path,
        platforms=part.on,
        archives=recipe.archives,
        slices=recipe.slices,
        packages=part.packages,
        # Nobody looks at the root of a build: neither scanners nor lawyers.
        steps=Steps(os_release=False, status_database=False, copyright=False),
        place=part.place,
    )
