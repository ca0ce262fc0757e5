"""A file of an archive, as the signed Release file lists it.

Both ``debian.archive`` (which fetches) and ``debian.index`` (which unpacks) need it.
"""

from __future__ import annotations

import msgspec

from homeport.content.digest import Digest


class ListedFile(msgspec.Struct, frozen=True, kw_only=True):
    """Path, digest and size of a file below the directory of a suite."""

    path: str
    digest: Digest
    size: int
