"""The folder of packages that a recipe has beside it: its files, each with its digest.

No archive signs them: the lockfile holds their digests, and a changed folder needs a new lock.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from homeport.content.digest import Digest
from homeport.content.files import explained
from homeport.content.reading import CHUNK
from homeport.recipe.model import Recipe
from homeport.recipe.text_files import BadRecipe

#: Archive and suite of these packages in lockfiles and reports.
LOCAL = "local"
_MOST = 10_000


class LocalPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the folder. name: its file name."""

    name: str
    digest: Digest
    size: int


def local_packages(recipe: Recipe) -> tuple[LocalPackage, ...]:
    """Every ``*.deb`` of the recipe's folder, sorted by name; none if it names no folder.

    Raises ``OutsideRecipe``, ``CannotRead``, and ``BadRecipe`` for a folder without packages.
    """
    folder = recipe.local_packages
    if folder is None:
        return ()
    with explained(folder, "read"), recipe.boundary.open_directory(folder) as descriptor:
        names = sorted(name for name in os.listdir(descriptor) if name.endswith(".deb"))
        if not names or len(names) > _MOST:
            why = "no *.deb files" if not names else f"more than {_MOST} packages"
            raise BadRecipe(f"{folder} has {why}", where=recipe.place.where())
        return tuple(_file(folder / name, descriptor) for name in names)


def _file(path: Path, folder: int) -> LocalPackage:
    with explained(path, "read"):
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(path.name, flags, dir_fd=folder), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise BadRecipe(f"{path} is not a regular file")
            hasher, size = Digest.of(b"").hasher(), 0
            while data := stream.read(CHUNK):
                hasher.update(data)
                size += len(data)
    return LocalPackage(name=path.name, digest=Digest.finished(hasher), size=size)
