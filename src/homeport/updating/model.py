"""What an update did, as data (docs/formats/update.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from homeport.freshness.model import Change, FileChange

Only = Literal["all", "security"]
#: updated  locked anew;  current  nothing to change;  failed  the others went on
Outcome = Literal["updated", "current", "failed"]


class ImageChange(msgspec.Struct, frozen=True, kw_only=True):
    """The image of one platform, built from the old and the new lockfile.

    old:  digest; empty: it could not be built any more
    size: of its layers, as they travel
    """

    platform: str
    old: str
    new: str
    old_size: int
    new_size: int


class TestsSaid(msgspec.Struct, frozen=True, kw_only=True):
    """What the recipe's tests say of the new image. ``failed``: each in words."""

    passed: int
    failed: tuple[str, ...] = ()
    not_run: int = 0


class UpdatedRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """One recipe.

    recipe:  its file; empty if it could not be read
    lines:   what changed in the lockfile, in the words of ``homeport lock``
    changes: what ``outdated`` says of the packages that changed: ids, entries
    files:   of the image that change; ``unknown`` says why that is not known
    news:    package → what its NEWS.Debian says since the locked version
    size:    bytes of all packages before and after, each file once
    images:  of each platform, if both were built; ``tests`` of the new one
    """

    name: str
    lockfile: str
    outcome: Outcome
    recipe: str = ""
    lines: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    files: tuple[FileChange, ...] = ()
    news: dict[str, str] = {}
    size: tuple[int, int] = (0, 0)
    images: tuple[ImageChange, ...] = ()
    tests: TestsSaid | None = None
    error: str = ""
    unknown: str = ""


class RequestResult(msgspec.Struct, frozen=True, kw_only=True):
    """The merge request.

    action: ``created``, ``updated``, ``unchanged``, ``closed``, ``link`` (no token: open it by
            hand), ``declined`` (a person closed the same content before), ``none``
    """

    action: str
    branch: str
    url: str = ""


class UpdateResult(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an update did. ``commit``: its id, if one was made."""

    recipes: tuple[UpdatedRecipe, ...]
    dry_run: bool = False
    commit: str = ""
    request: RequestResult | None = None

    @property
    def updated(self) -> tuple[UpdatedRecipe, ...]:
        return tuple(recipe for recipe in self.recipes if recipe.outcome == "updated")

    @property
    def failed(self) -> tuple[UpdatedRecipe, ...]:
        return tuple(recipe for recipe in self.recipes if recipe.outcome == "failed")


class WrittenFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that an update wrote, and what it had before; ``None``: it was not there."""

    path: Path
    before: bytes | None
    after: bytes | None
