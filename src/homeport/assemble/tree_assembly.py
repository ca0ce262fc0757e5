"""A plan becomes a tree: packages, the recipe's own files, files of other images, steps.

Everything is settled here, before the first byte of a layer is written: what comes from
where, that no two sources give one path, and that the image's programs can start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from homeport.assemble import elf_check
from homeport.assemble.omitted_depends import omitted_depends
from homeport.assemble.packages_in_image import PackageInImage
from homeport.assemble.path_selection import SelectedPath, path_nodes, select_paths
from homeport.assemble.plan import BuildPlan, PlannedPackage
from homeport.assemble.start_user import check_user
from homeport.assemble.steps import (
    accounts,
    alternatives,
    apt_sources,
    ca_bundle,
    ca_hashes,
    dpkg_database,
    gsettings_schemas,
    java_keystore,
    layout,
    ld_cache,
    mime_database,
    packaged_state,
    pixbuf_loaders,
    python_bytecode,
    status_database,
    tmp,
    usrmerge,
    xml_catalogs,
)
from homeport.assemble.steps.step import Step, View
from homeport.assemble.system.accounts import chosen_numbers
from homeport.assemble.system.installed import InstalledSystem, expects_system, read_system
from homeport.assemble.tree_merge import TreeMerger
from homeport.assemble.usrmerge import merged_path
from homeport.content.blob import BytesBlob
from homeport.content.store import Store
from homeport.debian.deb.contents import PackageContents
from homeport.debian.deb.path_globs import EVERYTHING, PathGlobs
from homeport.debian.deb822 import parse_paragraph
from homeport.debian.diversions import ShippedFiles, diverted_paths, read_diversions
from homeport.debian.library_package import is_called_like
from homeport.debian.relations import parse_dependencies
from homeport.debian.scripts.effects import Divert, Effect
from homeport.recipe.lock.model import NO_NUMBERS, AccountNumbers
from homeport.recipe.slices.model import wanted_globs
from homeport.tree.node import Node, Tree

PathNode = tuple[bytes, Node]


class AssembledTree(msgspec.Struct, frozen=True, kw_only=True):
    """The tree of one image, and what the build report says about it.

    accounts: numbers that neither Debian nor the recipe fixes
    declared: dependencies that packages declare and the image does not have
    """

    tree: Tree
    accounts: AccountNumbers
    warnings: tuple[str, ...]
    declared: tuple[str, ...]


def globs_of(package: PlannedPackage, plan: BuildPlan) -> PathGlobs:
    """The content that a build needs of a package; the same globs that locking used."""
    wanted = wanted_globs(package.slices, plan.architecture)
    certificates = plan.steps.ca_bundle or plan.steps.ca_hashes or plan.steps.java_keystore
    if certificates and package.name == ca_bundle.PACKAGE and wanted != EVERYTHING:
        return PathGlobs.of((*wanted.globs, ca_bundle.READS_OF_PACKAGE))
    return wanted


def missing_contents(
    package: PlannedPackage, plan: BuildPlan, contents: PackageContents
) -> frozenset[bytes]:
    """Files that the image gets and ``contents`` has no content of, by the package's paths.

    A slice may name ``/usr/bin/x``, where usrmerge puts it, of a package that ships ``/bin/x``.
    """
    entries = tuple(contents.entries.values())
    chosen = select_paths(package, entries, plan.architecture, usrmerge=plan.steps.usrmerge)
    return frozenset(
        each.entry.path
        for each in chosen
        if each.entry.type == "file" and each.entry.path not in contents.blobs
    )


def assemble_tree(
    plan: BuildPlan,
    contents: Mapping[str, PackageContents],
    image_files: Iterable[PathNode],
    store: Store,
) -> AssembledTree:
    """The tree that ``plan`` describes.

    contents: every package of the plan by name, read with ``globs_of``
    image_files: what comes out of other images (``image_files``)
    Raises ``Clash``, ``EmptySlicePath``, ``CannotStart``, or ``Faults`` of several.
    """
    merging, packages, diversions = _merged_packages(plan, contents)
    conffiles = {path for package in packages for path in package.contents.conffiles}
    for path, node in (*plan.own, *image_files):
        place = merged_path(path) if plan.steps.usrmerge else path
        # A conffile is made to be changed by who runs the system.
        if path in conffiles or place in conffiles or _covered(path, plan.replaces):
            merging.replace(place, node)
        else:
            merging.add(place, node)
    _move_folders(plan, merging, packages)
    system: InstalledSystem | None = None
    told: list[str] = []
    for step in _steps(plan):
        if system is None and step in _OF_SYSTEM and expects_system(packages):
            system = read_system(plan, merging.nodes, packages)
        view = View(
            plan=plan, nodes=merging.nodes, packages=packages, diversions=diversions,
            system=system, store=store, warn=told.append,
        )  # fmt: skip
        merging.change_all(step.apply(view).items())
    tree = merging.finish()
    warnings: tuple[str, ...] = ()
    if plan.checked:
        check_user(plan.config.user, tree)
        providers = _Providers(packages)
        warnings = elf_check.check(
            tree,
            plan.architecture,
            plan.config.entrypoint,
            store,
            providers.of,
            related=providers.related,
            search=plan.config.env.get("PATH", ""),
        )
    return AssembledTree(
        tree=tree,
        accounts=(
            chosen_numbers(system.accounts, plan.users, plan.groups) if system else NO_NUMBERS
        ),
        warnings=(
            *(system.warnings if system is not None else ()),
            *told,
            *warnings,
        ),
        declared=omitted_depends(package.contents for package in packages),
    )


def effects_of(
    plan: BuildPlan, contents: Mapping[str, PackageContents], store: Store
) -> tuple[Effect, ...]:
    """What the packages of ``plan`` expect of an installed system, before a step makes it."""
    readable = {
        package.name: _with_stand_ins(package, plan, contents[package.name])
        for package in plan.packages
    }
    merging, packages, diversions = _merged_packages(plan, readable)
    if not expects_system(packages):
        return ()
    _move_folders(plan, merging, packages)
    for step in _steps(plan):
        if step in _OF_SYSTEM:
            break
        view = View(
            plan=plan, nodes=merging.nodes, packages=packages, diversions=diversions, store=store
        )
        merging.change_all(step.apply(view).items())
    return read_system(plan, merging.nodes, packages).effects


def _with_stand_ins(
    package: PlannedPackage, plan: BuildPlan, contents: PackageContents
) -> PackageContents:
    """With empty files where locking did not read what a slice takes."""
    missing = missing_contents(package, plan, contents)
    if not missing:
        return contents
    blobs = {**contents.blobs, **dict.fromkeys(missing, BytesBlob(b""))}
    return msgspec.structs.replace(contents, blobs=blobs)


def _merged_packages(
    plan: BuildPlan, contents: Mapping[str, PackageContents]
) -> tuple[TreeMerger, tuple[PackageInImage, ...], tuple[Divert, ...]]:
    """The packages' files, where diversions put them."""
    merging = TreeMerger(plan.mtime)
    packages = tuple(_packages(plan, contents))
    diversions = _diversions(plan, packages) if plan.steps.diversions else ()
    packages = tuple(
        _diverted(each, diverted_paths(diversions, each.name), plan) for each in packages
    )
    for planned, package in zip(plan.packages, packages, strict=True):
        merging.add_all(
            path_nodes(
                planned, package.chosen, package.contents.blobs, plan.mtime,
                usrmerge=plan.steps.usrmerge,
            )
        )  # fmt: skip
    return merging, packages, diversions


def _move_folders(plan: BuildPlan, merging: TreeMerger, packages: Iterable[PackageInImage]) -> None:
    if plan.steps.layout and expects_system(packages):
        for old, new in layout.MOVED.items():
            there = merging.nodes.get(old)
            if there is None or (there.type == "directory" and there.source.kind == "package"):
                merging.move(old, new)


def _covered(path: bytes, roots: Iterable[bytes]) -> bool:
    """Whether ``path`` is one of ``roots`` or lies below one."""
    return any(path == root or path.startswith(root + b"/" if root else b"") for root in roots)


def _packages(plan: BuildPlan, contents: Mapping[str, PackageContents]) -> Iterator[PackageInImage]:
    for planned in plan.packages:
        found = contents[planned.name]
        chosen = select_paths(
            planned,
            tuple(found.entries.values()),
            plan.architecture,
            usrmerge=plan.steps.usrmerge,
        )
        yield PackageInImage(name=planned.name, contents=found, chosen=tuple(chosen))


def _diversions(plan: BuildPlan, packages: Iterable[PackageInImage]) -> tuple[Divert, ...]:
    shipped = (
        ShippedFiles(
            contents=each.contents, placed={one.path: one.entry for one in each.chosen},
            whole=each.whole,
        )
        for each in packages
    )  # fmt: skip
    return read_diversions(shipped, plan.architecture)


def _diverted(
    package: PackageInImage, moved: Mapping[bytes, bytes], plan: BuildPlan
) -> PackageInImage:
    """``package`` with its diverted files at their other names."""
    if not any(path in package.contents.entries for path in moved):
        return package

    def placed(each: SelectedPath) -> SelectedPath:
        entry = each.entry
        if entry.type == "hardlink" and entry.target in moved:
            entry = msgspec.structs.replace(entry, target=moved[entry.target])
        to = moved.get(entry.path) if entry.type != "directory" else None
        if to is None:
            return msgspec.structs.replace(each, entry=entry)
        path = merged_path(to) if plan.steps.usrmerge else to
        return msgspec.structs.replace(each, entry=entry, path=path, diverted=True)

    return msgspec.structs.replace(package, chosen=tuple(map(placed, package.chosen)))


#: Steps that make what packages expect of an installed system.
_OF_SYSTEM = (accounts.STEP, alternatives.STEP, packaged_state.STEP, xml_catalogs.STEP)


def _steps(plan: BuildPlan) -> Iterator[Step]:
    """The steps that are switched on, in order."""
    switches = (
        (plan.steps.usrmerge, usrmerge.STEP),
        (plan.steps.layout, layout.STEP),
        (plan.steps.accounts, accounts.STEP),
        (plan.steps.alternatives, alternatives.STEP),
        (plan.steps.packaged_state, packaged_state.STEP),
        (plan.steps.ld_cache, ld_cache.STEP),
        (plan.steps.ca_bundle, ca_bundle.STEP),
        (plan.steps.ca_hashes, ca_hashes.STEP),
        (plan.steps.java_keystore, java_keystore.STEP),
        (plan.steps.gsettings_schemas, gsettings_schemas.STEP),
        (plan.steps.mime_database, mime_database.STEP),
        (plan.steps.pixbuf_loaders, pixbuf_loaders.STEP),
        (plan.steps.xml_catalogs, xml_catalogs.STEP),
        (plan.steps.python_bytecode, python_bytecode.STEP),
        (plan.steps.status_database and not plan.steps.dpkg_database, status_database.STEP),
        (plan.steps.dpkg_database, dpkg_database.STEP),
        (plan.steps.apt_sources, apt_sources.STEP),
        (plan.steps.tmp, tmp.STEP),
    )
    return (step for on, step in switches if on)


class _Providers:
    """Which package has a file that the image lacks: one of the image, or one that it names."""

    def __init__(self, packages: tuple[PackageInImage, ...]) -> None:
        self._packages = packages

    def of(self, name: str) -> str | None:
        wanted = name.encode("utf-8", "surrogateescape")
        for package in self._packages:
            for path in package.contents.entries:
                if path.rpartition(b"/")[2] == wanted:
                    return package.name
        return None

    def related(self, name: str, library: str) -> str | None:
        """The package called like ``library`` among those that a package names."""
        control = next((each.contents.control for each in self._packages if each.name == name), b"")
        fields = parse_paragraph(control) if control else None
        named = (
            fields.get(field, "") if fields else ""
            for field in ("Depends", "Recommends", "Suggests")
        )
        names = (
            each.name for text in named for group in parse_dependencies(text) for each in group
        )
        return next((each for each in names if is_called_like(each, library)), None)
