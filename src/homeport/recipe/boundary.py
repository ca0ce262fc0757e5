"""The directories that paths written in a recipe must stay in.

A recipe may come from a stranger: a merge request, a cloned repository. The user who builds it must
not find files of this machine in the image (``from: /proc/self/environ``) or quoted in an
error (``extends: /etc/passwd``). Every path in a recipe must lead below the recipe's folder, or
below a directory that the user allows, with links resolved.

Not for ``keys`` and directories in ``mirrors``: only certificates, and packages signed by them, get
into an image or a message. Not for paths that the user gives as arguments.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from homeport.content.reading import read_bounded
from homeport.content.rooted_folders import open_file, open_folder
from homeport.errors import UsageError
from homeport.printable import shell_path


class OutsideRecipe(UsageError):
    """A recipe names a file outside of its folder."""

    id = "outside-recipe"


class Boundary(msgspec.Struct, frozen=True):
    """``roots``: the directories whose content may be read; the first is the recipe's folder."""

    roots: tuple[Path, ...] = ()

    def real(self, path: Path) -> Path:
        """Where ``path`` leads. Raises ``OutsideRecipe``, and ``OSError`` if it is missing."""
        root, names = self._locate(path)
        return root.joinpath(*names)

    @contextlib.contextmanager
    def open_directory(self, path: Path) -> Iterator[int]:
        """The descriptor of the directory that ``path`` leads to. Raises as ``real`` does."""
        root, names = self._locate(path)
        with open_folder(root, *names) as folder:
            yield folder

    def read(self, path: Path, limit: int) -> bytes:
        """The content of a regular file. Raises as ``real`` does, ``TooLarge`` for more bytes."""
        root, names = self._locate(path)
        with (
            open_folder(root, *names[:-1]) as folder,
            os.fdopen(open_file(names[-1], folder, os.O_RDONLY), "rb") as stream,
        ):
            return read_bounded(stream, limit, str(path))

    def _locate(self, path: Path) -> tuple[Path, tuple[str, ...]]:
        """The root that ``path`` leads into, and the names below it, no links among them.

        Opening them one by one without following links fails if one becomes a link meanwhile.
        """
        real = Path(os.path.realpath(path, strict=True))
        for root in self.roots:
            base = Path(os.path.realpath(root))
            if real.is_relative_to(base):
                return base, real.relative_to(base).parts
        raise OutsideRecipe(
            f"{path} is outside the recipe's folder",
            hint=f"if you trust the recipe: --allow-outside {shell_path(str(real.parent))}",
        )


class Boundaries(msgspec.Struct, frozen=True, kw_only=True):
    """The boundary of each file that a recipe consists of, itself and those that it extends.

    common:  of every file
    catalog: the user's catalog, if there is one; its own recipes may name files anywhere in it,
             a recipe that extends one of them may not
    """

    common: Boundary
    catalog: Path | None = None

    def of(self, file: str | Path) -> Boundary:
        """What ``file`` may name."""
        if self.catalog is None or not Path(file).resolve().is_relative_to(self.catalog):
            return self.common
        return self.inside_catalog

    @property
    def inside_catalog(self) -> Boundary:
        more = () if self.catalog is None else (self.catalog,)
        return Boundary((*self.common.roots, *more))
