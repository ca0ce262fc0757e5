"""A recipe as the rest of Homeport uses it: what an image is, with every default filled in.

``recipe.loading`` makes it from YAML (docs/formats/recipe.md): ``extends`` is resolved,
entries for single platforms have their own ``platforms``, relative paths are paths of this
machine, account names are numbers. Not what it resolves to: that is the lockfile
(``recipe.lock.model``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from homeport.oci.platform import Platform
from homeport.recipe.boundary import Boundary
from homeport.recipe.entries import (
    Archive,
    Config,
    Directory,
    Files,
    Group,
    Layers,
    Link,
    PackageChoice,
    PartFiles,
    Pin,
    Steps,
    User,
    VexStatement,
    join_configs,
)
from homeport.recipe.image_tests import ImageTest
from homeport.recipe.parts import EnginePart, RunPart
from homeport.yamlfile.position import FilePosition


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """One image.

    path:      the file that it was read from
    extends:   the files of the recipes that it builds on, nearest first
    boundary:  directories that the files which the recipe names must lie in
    slices:    directories with slice files, searched in this order (``recipe.slices.reading``)
    essential: all of Debian's essential packages if "true"; what programs start of them if "" or
               "needed", nothing if "none"; "minimal" ones are in ``packages``
    locales:   locales of glibc, taken out of locales-all, which is in ``packages``
    alternatives: name → program, instead of the one of the highest priority
    variant:   the packages of a whole system, as mmdebstrap names them; "" for none
    local_packages: a folder with packages that come before those of archives
    without:   dependencies of whole packages that are left out on purpose
    exclude:   globs of files that are left out of every whole package
    parts:     what is built on an engine first, for ``files`` to take from
    config:    of all platforms; ``config_for`` adds a platform's own part
    """

    name: str
    path: Path
    summary: str = ""
    extends: tuple[Path, ...] = ()
    boundary: Boundary = Boundary()
    platforms: tuple[Platform, ...]
    archives: tuple[Archive, ...]
    slices: tuple[Path, ...] = ()
    packages: tuple[PackageChoice, ...] = ()
    variant: str = ""
    essential: str = ""
    locales: tuple[str, ...] = ()
    alternatives: Mapping[str, str] = msgspec.field(default_factory=dict)
    local_packages: Path | None = None
    without: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    pins: tuple[Pin, ...] = ()
    parts: tuple[EnginePart, ...] = ()
    files: tuple[Files, ...] = ()
    links: tuple[Link, ...] = ()
    directories: tuple[Directory, ...] = ()
    vex: tuple[VexStatement, ...] = ()
    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    config: Config = msgspec.field(default_factory=Config)
    platform_config: Mapping[Platform, Config] = msgspec.field(default_factory=dict)
    steps: Steps = msgspec.field(default_factory=Steps)
    layers: Layers = msgspec.field(default_factory=Layers)
    tests: tuple[ImageTest, ...] = ()
    place: FilePosition

    def config_for(self, platform: Platform) -> Config:
        """The config of one platform: maps are joined, any other field replaces."""
        special = self.platform_config.get(platform.normalized())
        return self.config if special is None else join_configs(self.config, special)

    @property
    def lock_name(self) -> str:
        return f"{self.name}.lock"


def files_of_part(recipe: Recipe, part: EnginePart, platform: Platform) -> tuple[PartFiles, ...]:
    """The files that the image of one platform takes from a part; none: it is not needed."""
    return tuple(
        files
        for files in recipe.files
        if isinstance(files, PartFiles) and files.part == part.name and files.applies_to(platform)
    )


def build_root_recipe(recipe: Recipe, part: RunPart) -> Recipe:
    """The build root of a part as a recipe of its own, from the same archives."""
    return Recipe(
        name=f"{recipe.name}.{part.name}",
        path=recipe.path,
        boundary=recipe.boundary,
        platforms=part.on,
        archives=recipe.archives,
        slices=recipe.slices,
        packages=part.packages,
        # Neither scanners nor licence reviews read a build root.
        steps=Steps(os_release=False, status_database=False, copyright=False),
        place=part.place,
    )
