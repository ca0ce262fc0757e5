"""``recipe explain``: why each package is in an image, what it weighs, what could be left out.

The image is assembled and not written. A package can be left out if the recipe does not name
it and no program of what the recipe names loads a file of it; the image without all such
packages is then checked as every image is before it is written. What is loaded by name at run
time is not seen (``assemble.reach``), so these are proposals.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from homeport.assemble import elf_check
from homeport.assemble.path_selection import select_paths
from homeport.assemble.plan import BuildPlan, PlannedPackage
from homeport.assemble.reach import Reach
from homeport.building.assembled import assembled
from homeport.building.request import BuildRequest, Connections
from homeport.content.store import Store
from homeport.debian.deb.contents import PackageContents
from homeport.debian.deb822 import parse_paragraph
from homeport.debian.package import Package, parse_package
from homeport.debian.relations import parse_dependencies, parse_relations
from homeport.errors import HomeportError
from homeport.locking.implied.implied_packages import ImageContents, Implied, explain_implied
from homeport.oci.platform import Platform
from homeport.printable import path_text
from homeport.recipe.model import Recipe
from homeport.recipe.slices.model import IMPLIED
from homeport.runtime import Runtime
from homeport.tree.node import Tree


class StartedPath(msgspec.Struct, frozen=True, kw_only=True):
    """A file of an Essential package, or several by a glob, and what needs it.

    path: "" for the whole package
    by:   the program, file or library that starts or needs it
    """

    path: str
    by: str


class ExplainedPackage(msgspec.Struct, frozen=True, kw_only=True):
    """One package of the image.

    size:  bytes of its files in the image; files: how many
    why:   the names from one that the recipe has to this one; empty: only a slice needs it
    slices: those that were taken; empty: the whole package
    used:  whether the recipe names it (or slices of it), or a program of it or of another used
           package loads a file of it
    started: what is taken of an Essential package that nothing depends on, and for what
    """

    name: str
    version: str
    size: int
    files: int
    why: tuple[str, ...]
    slices: tuple[str, ...]
    used: bool
    started: tuple[StartedPath, ...] = ()


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """An image explained.

    without:   packages that could be left out; saves: their bytes
    unreached: programs and libraries that nothing started from the entrypoint loads, the
               largest first, each with its bytes; none if the recipe has no entrypoint
    """

    recipe: str
    platform: Platform
    packages: tuple[ExplainedPackage, ...]
    without: tuple[str, ...]
    saves: int
    unreached: tuple[tuple[str, int], ...]


def explain(request: BuildRequest, runtime: Runtime, connections: Connections) -> Explanation:
    """Explain one platform's image. Raises what locking and assembling raise."""
    with assembled(request, runtime, connections) as found:
        return _explained(found.recipe, found.plan, found.tree, found.contents, runtime.store)


def _explained(
    recipe: Recipe,
    plan: BuildPlan,
    tree: Tree,
    contents: Mapping[str, PackageContents],
    store: Store,
) -> Explanation:
    reach = Reach(tree, plan.architecture, store)
    named = {choice.name for choice in recipe.packages if choice.applies_to(plan.platform)}
    chosen = [path for path, node in tree.items() if _is_chosen(node.source, named)]
    programs = [place for word in plan.config.entrypoint[:1] if (place := reach.program(word))]
    owners = _used_packages(named, [*chosen, *programs], tree, reach)
    why = _chains(named, contents)
    implied = _implied(recipe, plan, contents, {*named, *why}, store)
    sizes = _sizes(tree)
    packages = [
        ExplainedPackage(
            name=package.name,
            version=package.file.id.version,
            size=sizes.get(package.name, (0, 0))[0],
            files=sizes.get(package.name, (0, 0))[1],
            why=why.get(package.name, ()),
            slices=tuple(each.name.slice for each in package.slices),
            used=package.name in owners or not package.whole or package.name in implied.whole,
            started=_started(implied, package.name),
        )
        for package in plan.packages
    ]
    without = _proposed({each.name for each in packages if not each.used}, plan, tree, store)
    started = reach.from_files(programs)
    unreached = sorted(
        ((path_text(path), tree[path].size) for path in reach.code - started),
        key=lambda pair: (-pair[1], pair[0]),
    )
    return Explanation(
        recipe=recipe.name,
        platform=plan.platform,
        packages=tuple(sorted(packages, key=lambda each: (-each.size, each.name))),
        without=without,
        saves=sum(sizes.get(name, (0, 0))[0] for name in without),
        unreached=tuple(unreached) if programs else (),
    )


def _implied(
    recipe: Recipe,
    plan: BuildPlan,
    contents: Mapping[str, PackageContents],
    explained: Collection[str],
    store: Store,
) -> Implied:
    """Why Essential packages are there: asked again, as when the recipe was locked."""
    unexplained = {
        each.name for each in plan.packages
        if (each.whole and each.name not in explained)
        or any(one.name.slice == IMPLIED for one in each.slices)
    }  # fmt: skip
    image = ImageContents(
        platform=plan.platform,
        packages={each.name: _package(each, contents[each.name]) for each in plan.packages},
        slices={each.name: each.slices for each in plan.packages if not each.whole},
        contents=contents,
        taken={
            each.name: tuple(
                path.entry.path
                for path in select_paths(
                    each, tuple(contents[each.name].entries.values()), plan.architecture,
                    usrmerge=plan.steps.usrmerge,
                )
            )
            for each in plan.packages
        },
    )  # fmt: skip
    return explain_implied(recipe, image, unexplained, store) if unexplained else Implied()


def _package(planned: PlannedPackage, contents: PackageContents) -> Package:
    """As an index has it: the control file with the file's own fields."""
    file = planned.file
    own = f"\nFilename: {file.path}\nSize: {file.size}\nSHA256: {file.sha256.hex}\n"
    return parse_package(contents.control.strip(b"\n") + own.encode(), file.archive, "")


def _started(implied: Implied, name: str) -> tuple[StartedPath, ...]:
    if name in implied.whole:
        return (StartedPath(path="", by=implied.whole[name]),)
    return tuple(
        StartedPath(path=path, by=by) for path, by in sorted(implied.paths.get(name, {}).items())
    )


def _used_packages(named: set[str], roots: Iterable[bytes], tree: Tree, reach: Reach) -> set[str]:
    """The named packages, those with a file that ``roots`` load, and what their programs load."""
    used = set(named)
    found = reach.from_files(roots)
    while True:
        more = {tree[path].source.name for path in found if tree[path].source.kind == "package"}
        if more <= used:
            return used
        used |= more
        found = reach.from_files(
            path for path in reach.programs
            if tree[path].source.kind == "package" and tree[path].source.name in used
        )  # fmt: skip


def _is_chosen(source: object, named: set[str]) -> bool:
    kind, name = getattr(source, "kind", ""), getattr(source, "name", "")
    return kind in ("local", "inline", "image") or (kind == "package" and name in named)


def _sizes(tree: Tree) -> dict[str, tuple[int, int]]:
    """Package → bytes and number of its files."""
    found: dict[str, tuple[int, int]] = {}
    for node in tree.values():
        if node.source.kind == "package" and node.type == "file":
            size, files = found.get(node.source.name, (0, 0))
            found[node.source.name] = size + node.size, files + 1
    return found


def _proposed(names: set[str], plan: BuildPlan, tree: Tree, store: Store) -> tuple[str, ...]:
    """Those of ``names`` without which the image passes the check of every build."""
    kept = Tree(
        {
            path: node
            for path, node in tree.items()
            if node.type == "directory"
            or not (node.source.kind == "package" and node.source.name in names)
        }
    )
    try:
        elf_check.check(kept, plan.architecture, plan.config.entrypoint, store)
    except HomeportError:
        return ()
    return tuple(sorted(names))


def _chains(
    named: Iterable[str], contents: Mapping[str, PackageContents]
) -> dict[str, tuple[str, ...]]:
    """The shortest way of dependencies from a named package to each other one."""
    fields = {name: parse_paragraph(each.control) for name, each in contents.items()}
    providers: dict[str, list[str]] = {}
    for name, paragraph in fields.items():
        for relation in parse_relations(paragraph.get("Provides", "")):
            providers.setdefault(relation.name, []).append(name)
    chains: dict[str, tuple[str, ...]] = {name: (name,) for name in sorted(named) if name in fields}
    todo = list(chains)
    for name in todo:  # grows while it is walked: nearer packages come first
        for field in ("Pre-Depends", "Depends"):
            for group in parse_dependencies(fields[name].get(field, "")):
                for relation in group:
                    for found in (relation.name, *providers.get(relation.name, ())):
                        if found in fields and found not in chains:
                            chains[found] = (*chains[name], found)
                            todo.append(found)
    return chains
