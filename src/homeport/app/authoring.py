"""Methods of ``App`` to begin and edit recipes, and to look for what goes into them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from homeport.app.resources import Resources

if TYPE_CHECKING:
    from homeport.authoring.adding import PackagesAdded
    from homeport.authoring.archive_state import OpenArchives
    from homeport.authoring.package_search import SearchResult, ShownPackage
    from homeport.authoring.slice_listing import KnownSlice
    from homeport.authoring.starting import NewRecipe, RecipeWritten
    from homeport.oci.platform import Platform
    from homeport.recipe.model import Recipe


class AuthoringCommands(Resources):
    """What commands do for a person who writes a recipe."""

    def init_recipe(self, recipe: NewRecipe, *, check: bool = True) -> RecipeWritten:
        """Write a new ``homeport.yaml``.

        check: ask the archives whether they have its packages; not done offline
        """
        # 120 ms that other commands save
        from homeport.authoring.starting import start_recipe

        return start_recipe(recipe, self._archives_to_ask(check))

    def add_packages(
        self, packages: Sequence[str], recipe: str = ".", *, check: bool = True
    ) -> PackagesAdded:
        """Add packages and slices to a recipe's file; every other byte of it stays.

        check: ask the archives whether they have these packages; not done offline
        """
        # 120 ms that other commands save
        from homeport.authoring.adding import add_packages

        return add_packages(recipe, tuple(packages), self._archives_to_ask(check))

    def search_packages(
        self, words: Sequence[str], *, recipe: str = "", platform: Platform | None = None,
        mirrors: Sequence[str] = (),
    ) -> SearchResult:  # fmt: skip
        """Packages of the archives, and recipes of the catalog, with all these words.

        recipe:   its archives are searched; empty: ./homeport.yaml's, else Debian's
        platform: absent: the one of this machine
        """
        # 120 ms that other commands save
        from homeport.authoring.package_search import search

        return search(words, self._asked_recipe(recipe, platform), self._archives_of(mirrors))

    def show_package(
        self, name: str, *, recipe: str = "", platform: Platform | None = None,
        mirrors: Sequence[str] = (), files: bool = False,
    ) -> ShownPackage:  # fmt: skip
        """One package of the archives: version, dependencies, slices; ``files``: its paths too."""
        # 120 ms that other commands save
        from homeport.authoring.package_search import show

        return show(
            name, self._asked_recipe(recipe, platform), self._archives_of(mirrors), files=files
        )

    def known_packages(self, prefix: str = "", *, most: int = 500) -> list[str]:
        """Names that begin with ``prefix``, of the package index that was opened last here.

        For completion: nothing is fetched, and no index is read.
        """
        # 60 ms that other commands save
        from homeport.debian.index.known_names import known_names

        return known_names(self.runtime.store, prefix, most)

    def slices(self, package: str = "", *, recipe: str = "") -> tuple[KnownSlice, ...]:
        """The slices that a recipe may name: the catalog's, and those beside ``recipe``."""
        # 90 ms that other commands save
        from homeport.authoring.slice_listing import list_slices

        return list_slices(self._asked_recipe(recipe, None), package)

    def _asked_recipe(self, recipe: str, platform: Platform | None) -> Recipe:
        # 90 ms that other commands save
        from homeport.authoring.archive_state import recipe_or_default
        from homeport.oci.platform import native_platform

        return recipe_or_default(recipe, platform or native_platform())

    def _archives_of(self, mirrors: Sequence[str] = ()) -> OpenArchives:
        return lambda recipe: self.archives(recipe, mirrors)

    def _archives_to_ask(self, check: bool) -> OpenArchives | None:
        return self._archives_of() if check and not self.settings.offline else None
