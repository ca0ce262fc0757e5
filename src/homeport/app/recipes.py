"""Methods of ``App`` about recipes: check, lock, build, test, and the catalog."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from homeport.app.resources import Resources

if TYPE_CHECKING:
    from homeport.attest.operations.signing import SignOptions
    from homeport.building.explain import Explanation
    from homeport.building.lock import LockCheck
    from homeport.building.made_by_steps import ShownRecipe
    from homeport.building.request import BuildRequest, BuildResult
    from homeport.images.transports.base import Written
    from homeport.imagetests.results import CheckedImage
    from homeport.imagetests.run import ImageTestRequest
    from homeport.locking.ensure_lock import EnsuredLock
    from homeport.locking.verification import Verification
    from homeport.oci.platform import Platform
    from homeport.publishing.builds import BuildsRequest, RecipeBuilt
    from homeport.recipe.catalog_listing import LockedRecipe
    from homeport.recipe.model import Recipe
    from homeport.registry.access import RegistryAccess


class RecipeCommands(Resources):
    """What commands do with recipes and their lockfiles."""

    def build(
        self, request: BuildRequest, *, sign: SignOptions | None = None,
        ask_password: Callable[[], bytes] | None = None,
    ) -> BuildResult:  # fmt: skip
        """Build a recipe for its platforms and write it where ``request`` says.

        sign: sign it too, wherever signatures can be kept: in registries and OCI layouts
        """
        return self._builder(sign, ask_password)(request, None)

    def build_all(
        self, request: BuildsRequest, *, sign: SignOptions | None = None,
        ask_password: Callable[[], bytes] | None = None,
    ) -> tuple[RecipeBuilt, ...]:  # fmt: skip
        """Build several recipes, each to a place of its own; one that fails stops no other."""
        # 170 ms that other commands save
        from homeport.publishing.builds import BuildsAccess, run_builds

        def tell(text: str) -> None:
            self.runtime.progress.note("build", text)

        build = self._builder(sign, ask_password)
        check = self.runtime.cancel.check
        return run_builds(request, BuildsAccess(build=build, tell=tell, check=check))

    def _builder(
        self, sign: SignOptions | None, ask_password: Callable[[], bytes] | None
    ) -> Callable[[BuildRequest, Recipe | None], BuildResult]:
        """What builds a recipe that may be loaded already, and signs what it wrote."""
        # 130 ms that other commands save
        from homeport.building.run import run_build

        connections = self._connections()
        if sign is None:
            return lambda request, recipe: run_build(
                request, self.runtime, connections, recipe=recipe
            )
        # 230 ms that a build without a signature saves
        from homeport.attest.operations.signing import open_signer, sign_written

        access = self._attest_access(None, None)
        # Before the build: a wrong password is found at once.
        method = open_signer(sign, access, ask_password)

        def build(request: BuildRequest, recipe: Recipe | None) -> BuildResult:
            result = run_build(request, self.runtime, connections, recipe=recipe)
            for written in result.written:
                attached = self._attached(written.address)
                if attached is not None:
                    sign_written(result.built.index, attached, method, access)
            return msgspec.structs.replace(result, signer=method.name)

        return build

    def lock(self, request: BuildRequest) -> tuple[Recipe, EnsuredLock]:
        """Lock the packages and parts of a recipe for all its platforms."""
        # 120 ms that other commands save
        from homeport.building.lock import lock_recipe

        return lock_recipe(request, self.runtime, self._connections())

    def check_lock(
        self, recipe: str, lockfile: Path | None = None, *, allow_outside: Sequence[Path] = ()
    ) -> LockCheck:
        """Where a recipe and its lockfile disagree; nothing is written."""
        # 120 ms that other commands save
        from homeport.building.lock import check_lock

        return check_lock(recipe, lockfile, Path.cwd(), self.runtime.cancel, allow_outside)

    def verify_lock(
        self,
        recipe: str,
        lockfile: Path | None = None,
        *,
        allow_outside: Sequence[Path] = (),
        online: bool = False,
        mirrors: Sequence[str] = (),
    ) -> Verification:
        """Compare a lockfile with the proof beside it. Raises ``NotVerified``.

        online:  without a proof, fetch what was signed from the archives or a snapshot of them
        mirrors: for that, those to use instead of the configured ones
        """
        # 120 ms that other commands save
        from homeport.building.lock import verify_lockfile

        archives = self._connections().archives
        return verify_lockfile(
            recipe, lockfile, Path.cwd(), self.runtime, allow_outside=allow_outside,
            access=(lambda found: archives(found, mirrors)) if online else None,
        )  # fmt: skip

    def test(self, request: ImageTestRequest, junit: Path | None = None) -> CheckedImage:
        """Run the tests of a recipe or of files on every platform of an image.

        junit: a report to write
        """
        # 130 ms that other commands save
        from homeport.content.files import write_file
        from homeport.imagetests.results import results_junit
        from homeport.imagetests.run import run_tests

        tested = run_tests(request, self.runtime, self._connections(), self.open_image)
        if junit is not None:
            write_file(junit, results_junit(tested))
        return tested

    def check_recipe(self, recipe: str, *, allow_outside: Sequence[Path] = ()) -> Recipe:
        """Check a recipe and its slices without the network. Raises ``Faults``.

        allow_outside: directories outside the recipe's folder that it may name files of
        """
        # 90 ms that other commands save
        from homeport.recipe.checking import check_recipe

        return check_recipe(recipe, allow_outside=allow_outside)

    def recipe_explain(
        self,
        recipe: str,
        *,
        platform: Platform | None = None,
        mirrors: Sequence[str] = (),
        allow_outside: Sequence[Path] = (),
    ) -> Explanation:
        """Why each package is in a recipe's image, what it weighs, what could be left out.

        platform: absent: the one of this machine
        """
        # 150 ms that other commands save
        from homeport.building.explain import explain

        request = _for_one_platform(
            recipe, platform, mirrors, allow_outside, command="homeport recipe explain"
        )
        return explain(request, self.runtime, self._connections())

    def recipe_show(
        self,
        recipe: str,
        *,
        platform: Platform | None = None,
        mirrors: Sequence[str] = (),
        allow_outside: Sequence[Path] = (),
    ) -> ShownRecipe:
        """What each step of a recipe makes in its image, and the image's accounts.

        platform: absent: the one of this machine
        """
        # 150 ms that other commands save
        from homeport.building.made_by_steps import show_recipe

        request = _for_one_platform(
            recipe, platform, mirrors, allow_outside, command="homeport recipe show"
        )
        return show_recipe(request, self.runtime, self._connections())

    def recipe_schema(self, *, slices: bool = False) -> dict[str, Any]:
        """The JSON Schema of recipes, or of slice files."""
        # 80 ms that other commands save
        from homeport.recipe.schema.fields import recipe_schema
        from homeport.recipe.slices.reading import slice_schema

        return slice_schema() if slices else recipe_schema()

    def catalog(self) -> tuple[Recipe, ...]:
        """The recipes that ship with Homeport."""
        # 60 ms that other commands save
        from homeport.recipe.catalog_listing import catalog_recipes

        return catalog_recipes()

    def push_catalog(
        self, folder: Path, destination: str, access: RegistryAccess | None = None
    ) -> Written:
        """Write a catalog of the user's as an artifact, once all its recipes are valid."""
        # 200 ms that other commands save
        from homeport.catalogs.publishing import push_catalog
        from homeport.images.address import parse_destination

        address = parse_destination(destination)
        target = self.destinations([address], access)(address)
        return push_catalog(folder, target, self.runtime)

    def catalog_recipe(self, name: str) -> LockedRecipe:
        """A recipe of the catalog, its file, and what is locked for it."""
        # 70 ms that other commands save
        from homeport.recipe.catalog_listing import locked_recipe

        return locked_recipe(name)


def _for_one_platform(
    recipe: str,
    platform: Platform | None,
    mirrors: Sequence[str],
    allow_outside: Sequence[Path],
    *,
    command: str,
) -> BuildRequest:
    """A build that is looked at; without a platform, of the one of this machine."""
    # 110 ms that other commands save
    from homeport.building.request import BuildRequest

    return BuildRequest(
        recipe=recipe, platforms=(str(platform) if platform is not None else "native",),
        mirrors=tuple(mirrors), allow_outside=tuple(allow_outside), command=command,
    )  # fmt: skip
