"""Methods of ``App`` that propose slices of packages, and check slice files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from homeport.app.resources import Resources

if TYPE_CHECKING:
    from homeport.locking.archive_access import ArchiveAccess
    from homeport.oci.platform import Platform
    from homeport.recipe.model import Recipe
    from homeport.slicing.assembly import AssembledPackages
    from homeport.slicing.model import SliceProposal, SlicesChecked
    from homeport.slicing.proposal import WhatIsNeeded


class SlicingCommands(Resources):
    """What commands do for a person who writes slices."""

    def propose_slices(
        self, package: str, wanted: WhatIsNeeded, *, recipe: str = "",
        platforms: Sequence[Platform] = (), mirrors: Sequence[str] = (),
    ) -> SliceProposal:  # fmt: skip
        """Propose a slice file for a package.

        recipe:    whose archives and slices count; empty: ./homeport.yaml's, else Debian's
        platforms: empty: this machine's
        """
        # 130 ms that other commands save
        from homeport.recipe.slices.reading import SliceFolders
        from homeport.slicing.assembly import assembled
        from homeport.slicing.proposal import propose

        base = self._base_recipe(recipe, platforms)
        with self.runtime.store.lease(), tempfile.TemporaryDirectory() as folder:
            found = assembled(
                base, package, (), Path(folder), runtime=self.runtime,
                connections=self._connections(),
                archives=lambda recipe: self.archives(recipe, mirrors),
                command="homeport slice propose", checked=False,
            )  # fmt: skip
            known = SliceFolders(base.slices, base.boundary)
            return propose(package, found, wanted, known, self.runtime.store)

    def check_slices(
        self, paths: Sequence[Path], *, recipe: str = "", platforms: Sequence[Platform] = (),
        mirrors: Sequence[str] = (),
    ) -> SlicesChecked:  # fmt: skip
        """Check slice files, or those in folders: each slice alone, on every platform."""
        # 130 ms that other commands save
        from homeport.locking.opened_states import OpenedStates
        from homeport.slicing.assembly import assembled
        from homeport.slicing.checking import check_slices, slice_files

        base = self._base_recipe(recipe, platforms)
        with self.runtime.store.lease(), tempfile.TemporaryDirectory() as folder:
            opened = OpenedStates()

            def archives(about: Recipe) -> ArchiveAccess:
                return msgspec.structs.replace(self.archives(about, mirrors), opened=opened)

            def assemble(
                about: Recipe, package: str, slices: Sequence[str]
            ) -> Iterator[AssembledPackages]:
                own = Path(tempfile.mkdtemp(dir=folder))
                return assembled(
                    about, package, slices, own, runtime=self.runtime,
                    connections=self._connections(), archives=archives,
                    command="homeport slice check", checked=True,
                )  # fmt: skip

            return check_slices(slice_files(paths), base, assemble, self.runtime.progress)

    def _base_recipe(self, recipe: str, platforms: Sequence[Platform]) -> Recipe:
        # 90 ms that other commands save
        from homeport.authoring.archive_state import recipe_or_default
        from homeport.oci.platform import native_platform

        wanted = tuple(platforms) or (native_platform(),)
        return msgspec.structs.replace(recipe_or_default(recipe, wanted[0]), platforms=wanted)
