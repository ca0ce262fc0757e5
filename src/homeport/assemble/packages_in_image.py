"""A package as the steps see it: all that it holds, and what the image has of it."""

from __future__ import annotations

import msgspec

from homeport.assemble.path_selection import SelectedPath
from homeport.debian.deb.contents import PackageContents


class PackageInImage(msgspec.Struct, frozen=True, kw_only=True):
    """One package of the image. ``chosen``: the paths that the image gets."""

    name: str
    contents: PackageContents
    chosen: tuple[SelectedPath, ...]

    @property
    def whole(self) -> bool:
        return all(not each.slice for each in self.chosen)
