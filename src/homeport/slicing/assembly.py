"""Packages assembled as an image would have them, without what makes an image of them.

The lockfile is not written anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from homeport.assemble.build import assemble_plan
from homeport.assemble.plan import BuildOptions, BuildPlan, PlanInputs, make_plans
from homeport.building.preparation import open_build
from homeport.building.request import Connections
from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.errors import HomeportError
from homeport.locking.archive_access import ArchiveAccess
from homeport.locking.fetching import fetch_locked
from homeport.locking.lock import lock
from homeport.locking.update_policy import KEEP_LOCKED
from homeport.recipe.entries import PackageChoice, Steps
from homeport.recipe.model import Recipe
from homeport.recipe.schema.defaults import FILE_NAME
from homeport.runtime import Runtime
from homeport.tree.node import Tree
from homeport.yamlfile.position import FilePosition

#: Only the packages' own files, where an image has them.
_STEPS = Steps(
    layout=False, accounts=False, alternatives=False, packaged_state=False, os_release=False,
    ca_bundle=False, java_keystore=False, status_database=False, copyright=False, tmp=False,
)  # fmt: skip


class AssembledPackages(msgspec.Struct, frozen=True, kw_only=True):
    """One platform: the tree, and the own files and links of every package in it."""

    plan: BuildPlan
    tree: Tree
    paths: Mapping[str, frozenset[bytes]]

    def of(self, package: str) -> frozenset[bytes]:
        """Paths of a package's own files and links."""
        return self.paths.get(package, frozenset())

    def size(self, paths: Iterable[bytes]) -> int:
        return sum(self.tree[path].size for path in paths)


def assembled(
    base: Recipe,
    package: str,
    slices: Sequence[str],
    folder: Path,
    *,
    runtime: Runtime,
    connections: Connections,
    archives: Callable[[Recipe], ArchiveAccess],
    command: str,
    checked: bool,
) -> Iterator[AssembledPackages]:
    """A package, whole or some of its slices, with what it needs, for each platform of ``base``.

    folder:  of this call alone
    checked: raise ``CannotStart`` or ``Faults`` for programs that lack a library or interpreter
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    path.write_bytes(b"")
    place = FilePosition(file=command, line=1)
    # Of the recipe only where packages come from: its entrypoint and accounts are no package's.
    recipe = Recipe(
        name=package, path=path, place=place, steps=_STEPS,
        packages=(PackageChoice(name=package, slices=tuple(slices), place=place),),
        boundary=base.boundary, platforms=base.platforms, archives=base.archives,
        slices=base.slices, local_packages=base.local_packages, pins=base.pins,
    )  # fmt: skip
    access = archives(recipe)
    try:
        locked = lock(
            recipe, access, previous=None, update=KEEP_LOCKED, as_of=None, command=command
        )
    except HomeportError as error:
        if error.where.get("file") == str(path):  # nobody wrote that file
            del error.where["file"]
        raise
    debs = fetch_locked(locked.lockfile, recipe.platforms, access)
    asked = PlanInputs(
        recipe=recipe, recipe_digest=Digest.of(b""), lockfile=locked.lockfile,
        lockfile_digest=Digest.of(b""), checked=checked,
    )  # fmt: skip
    how = open_build(Store(folder / "store"), runtime, connections)
    for plan in make_plans(asked, recipe.platforms, BuildOptions(), runtime.cancel):
        tree = assemble_plan(plan, debs, how)[0].tree
        yield AssembledPackages(plan=plan, tree=tree, paths=_by_package(tree))


def _by_package(tree: Tree) -> dict[str, frozenset[bytes]]:
    found: dict[str, list[bytes]] = {}
    for path, node in tree.items():
        if node.source.kind == "package" and node.type != "directory":
            found.setdefault(node.source.name, []).append(path)
    return {name: frozenset(paths) for name, paths in found.items()}
