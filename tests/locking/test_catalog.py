"""The catalog's lockfiles answer its recipes, so that a build needs no index."""

from __future__ import annotations

import pytest

from homeport.locking.staleness import stale_reasons
from homeport.oci.platform import parse_platform
from homeport.recipe.catalog import find_recipe, shipped_catalog
from homeport.recipe.loading import load_recipe
from homeport.recipe.lock.model import Lockfile
from homeport.recipe.lock.reading import read_lockfile
from homeport.recipe.lock.writing import format_lockfile
from homeport.recipe.model import Recipe

_CATALOG = shipped_catalog()
SEVEN = [
    "linux/386", "linux/amd64", "linux/arm/v7", "linux/arm64", "linux/ppc64le", "linux/riscv64",
    "linux/s390x",
]  # fmt: skip


def load(name: str) -> tuple[Recipe, Lockfile]:
    recipe = load_recipe(find_recipe(name, _CATALOG), _CATALOG)
    lockfile = read_lockfile(recipe.path.parent / recipe.lock_name)
    assert lockfile is not None
    return recipe, lockfile


@pytest.mark.parametrize("name", _CATALOG.names())
def test_every_recipe_of_the_catalog_is_locked_as_it_stands(name: str) -> None:
    recipe, lockfile = load(name)
    assert stale_reasons(recipe, lockfile) == ()
    path = recipe.path.parent / recipe.lock_name
    assert format_lockfile(lockfile) == path.read_bytes()


def test_dockerfile_copy_is_locked_for_seven_platforms_from_one_state() -> None:
    _, lockfile = load("dockerfile-copy")
    assert list(map(str, lockfile.platforms)) == SEVEN
    assert {suite.archive for suite in lockfile.archives} == {"debian", "debian-security"}
    assert all(suite.signers for suite in lockfile.archives)


def test_dockerfile_copy_has_the_packages_that_it_reads_and_no_others() -> None:
    """Facts that were measured: ten packages and base-files, two more on 32-bit ARM."""
    _, lockfile = load("dockerfile-copy")
    usual = {
        "base-files", "libbz2-1.0", "libc6", "libexpat1", "libffi8", "liblzma5", "libzstd1",
        "libpython3.13-minimal", "libpython3.13-stdlib", "python3.13-minimal", "zlib1g",
    }  # fmt: skip
    for platform, packages in lockfile.platforms.items():
        names = {package.name for package in packages}
        more = {"libgcc-s1", "gcc-14-base"} if platform == parse_platform("linux/arm/v7") else set()
        assert names == usual | more
        assert not any(package.whole for package in packages)
