"""The parts of a recipe as trees, pinned by digest in the lockfile.

    resolved = resolve_parts(recipe, lockfile, options, tools)
    resolved.trees["helper", platform]      the tree that files come from

A result that the lockfile pins and the cache holds is used without an engine. A missing
one is built; one that was pinned must have the same digest. Where a part's inputs
changed, or ``--update`` names it, it is built and pinned anew (docs/formats/lockfile.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from homeport.assemble.part_outputs import decode_tree, encode_tree, select_files
from homeport.content.blob import verified
from homeport.debian.archive.index_fetch import NotCached
from homeport.debian.archive.package_fetch import PackageGone
from homeport.errors import HomeportError, IntegrityError, OutOfDate
from homeport.locking.lock import lock
from homeport.locking.staleness import stale_reasons
from homeport.locking.update_policy import KEEP_LOCKED, UPDATE_ALL, UpdatePolicy
from homeport.oci.platform import Platform
from homeport.parts.building import PartBuilder, PartTools
from homeport.parts.inputs import Inputs, read_inputs
from homeport.parts.kept import restore_kept
from homeport.parts.sources import lock_sources
from homeport.progress import CancelToken
from homeport.recipe.catalog import lock_command
from homeport.recipe.lock.model import LockedPart, LockedSource, LockedTree, Lockfile
from homeport.recipe.model import Recipe, build_root_recipe, files_of_part
from homeport.recipe.parts import DockerfilePart, EnginePart, RunPart, SourceInput
from homeport.tree.node import Source, Tree


class OutputChanged(IntegrityError):
    """A part built again from the same inputs has another output."""

    id = "output-changed"


class PartOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How parts are resolved.

    platforms: of the image
    frozen:    fail for results that the lockfile does not pin (``--locked``)
    fresh:     build although the cache has the result, and compare (``--no-cache``)
    offline:   fail for results that the cache does not have
    kept:      folders with results beside lockfiles, which are as good as the cache
    """

    platforms: tuple[Platform, ...]
    frozen: bool = False
    fresh: bool = False
    offline: bool = False
    kept: tuple[Path, ...] = ()
    update: UpdatePolicy = KEEP_LOCKED
    as_of: datetime | None = None
    command: str = "homeport lock"


class ResolvedParts(msgspec.Struct, frozen=True, kw_only=True):
    """The lockfile that pins every part, the trees by part and platform, and what was built."""

    lockfile: Lockfile
    trees: Mapping[tuple[str, Platform], Tree]
    built: tuple[str, ...] = ()


def resolve_parts(
    recipe: Recipe, lockfile: Lockfile, options: PartOptions, tools: PartTools
) -> ResolvedParts:
    """Every part with files for the images of ``options.platforms``.

    Raises ``OutOfDate`` for ``frozen``, ``OutputChanged``, ``NotInResult``, ``Unpinned``,
    ``BuildFailed`` and similar errors, ``EngineUnreachable``, and what locking and fetching raise.
    """
    trees: dict[tuple[str, Platform], Tree] = {}
    built: list[str] = []
    known = {part.name for part in recipe.parts}
    kept = {name: part for name, part in lockfile.parts.items() if name in known}
    if kept != lockfile.parts and not options.frozen:
        lockfile = msgspec.structs.replace(lockfile, parts=kept)
        tools.save(lockfile)
    for part in recipe.parts:
        resolving = _PartResolver(recipe, part, lockfile.parts.get(part.name), options, tools)
        try:
            locked, found = resolving.run()
        except HomeportError as error:
            error.at(part=part.name, **part.place.where())
            raise
        trees |= {(part.name, platform): tree for platform, tree in found.items()}
        built += [part.name] if resolving.was_built else []
        if locked is not None and locked != lockfile.parts.get(part.name):
            parts = {**lockfile.parts, part.name: locked}
            lockfile = msgspec.structs.replace(lockfile, parts=dict(sorted(parts.items())))
            tools.save(lockfile)
    return ResolvedParts(lockfile=lockfile, trees=trees, built=tuple(built))


def part_stale_reasons(recipe: Recipe, lockfile: Lockfile, cancel: CancelToken) -> tuple[str, ...]:
    """The differences between the recipe's parts and the lockfile, without an engine."""
    found = []
    for part in recipe.parts:
        locked = lockfile.parts.get(part.name)
        if locked is None:
            found.append(f"the part {part.name} is not locked")
            continue
        if isinstance(part, RunPart):
            root = build_root_recipe(recipe, part)
            details = stale_reasons(root, locked.root) if locked.root else ("it is not locked",)
            details = details or _unlocked(part, locked.sources)
            if details:
                found.append(f"the build root of {part.name}: {'; '.join(details)}")
                continue
        inputs = read_inputs(recipe, part, locked.root, locked.sources, cancel)
        if inputs.digest != locked.inputs:
            found.append(f"the inputs of the part {part.name} differ from the locked ones")
        wanted = [each for each in recipe.platforms if files_of_part(recipe, part, each)]
        if missing := [str(each) for each in wanted if each not in locked.outputs]:
            found.append(f"the part {part.name} is not locked for {', '.join(missing)}")
    return tuple(found)


class _PartResolver(msgspec.Struct):
    """One part. ``locked``: as the lockfile has it."""

    recipe: Recipe
    part: EnginePart
    locked: LockedPart | None
    options: PartOptions
    tools: PartTools
    was_built: bool = False

    def run(self) -> tuple[LockedPart | None, dict[Platform, Tree]]:
        platforms = [p for p in self.options.platforms if files_of_part(self.recipe, self.part, p)]
        if not platforms:
            return self.locked, {}
        root, sources = self._locked_root(self._renewal())
        try:
            return self._with(root, sources, platforms)
        except PackageGone as gone:
            if self.options.frozen:
                raise self._refused(f"{gone.what}") from gone
            self._note(f"{gone.what}; locking its build root again")
            root, sources = self._locked_root(UPDATE_ALL)
            return self._with(root, sources, platforms)

    def _with(
        self,
        root: Lockfile | None,
        sources: tuple[LockedSource, ...],
        platforms: Sequence[Platform],
    ) -> tuple[LockedPart, dict[Platform, Tree]]:
        inputs = read_inputs(self.recipe, self.part, root, sources, self._cancel)
        same = self.locked is not None and self.locked.inputs == inputs.digest
        pinned = dict(self.locked.outputs) if self.locked is not None and same else {}
        again = self.options.fresh or self._is_renewed
        trees = {} if again else self._cached_trees(pinned, platforms)
        missing = [platform for platform in platforms if platform not in trees]
        if missing:
            self._may_build(same, [p for p in missing if p not in pinned])
            for platform, (tree, output) in self._build(root, sources, inputs, missing).items():
                self._compare(platform, output, same=same)
                trees[platform], pinned[platform] = tree, output
        outputs = dict(sorted(pinned.items(), key=lambda item: str(item[0])))
        return LockedPart(
            inputs=inputs.digest, root=root, sources=sources, materials=inputs.materials,
            outputs=outputs,
        ), trees  # fmt: skip

    def _locked_root(
        self, update: UpdatePolicy
    ) -> tuple[Lockfile | None, tuple[LockedSource, ...]]:
        """The packages of the build root, and source packages, locked again where needed."""
        if isinstance(self.part, DockerfilePart):
            return None, ()
        recipe = build_root_recipe(self.recipe, self.part)
        old = self.locked.root if self.locked is not None else None
        details = stale_reasons(recipe, old) if old is not None else ("it is not locked yet",)
        sources = self.locked.sources if self.locked is not None else ()
        details = details or _unlocked(self.part, sources)
        if old is not None and not details and update == KEEP_LOCKED:
            return old, sources
        if self.options.frozen:
            raise self._refused("; ".join(details))
        self._note(f"locking its build root ({'; '.join(details) or 'update'})")
        found = lock(
            recipe, self.tools.access(), previous=old, update=update, as_of=self.options.as_of,
            command=self.options.command,
        )  # fmt: skip
        asked = [each for each in self.part.inputs if isinstance(each, SourceInput)]
        if asked:
            sources = lock_sources(asked, self.recipe, found.lockfile, self.tools.access())
        return found.lockfile, sources if asked else ()

    def _renewal(self) -> UpdatePolicy:
        """Which packages of the build root may change."""
        if self._is_renewed:
            return UPDATE_ALL
        root = self.locked.root if self.locked is not None else None
        names = {p.name for packages in root.platforms.values() for p in packages} if root else ()
        return UpdatePolicy(names=self.options.update.names & frozenset(names))

    @property
    def _is_renewed(self) -> bool:
        return not self.options.update.keeps(self.part.name)

    def _may_build(self, same: bool, unpinned: Sequence[Platform]) -> None:
        if self.options.frozen and not same:
            raise self._refused("its inputs differ from the locked ones")
        if self.options.frozen and unpinned:
            raise self._refused(f"nothing is locked for {', '.join(map(str, unpinned))}")
        if self.options.offline:
            raise NotCached(
                f"the cache has no result of the part {self.part.name}",
                hint="building it needs an engine; run it once without --offline",
            )

    def _refused(self, why: str) -> OutOfDate:
        return OutOfDate(
            f"the part {self.part.name} is out of date: {why}",
            hint=f"run {lock_command(self.recipe.path)}, review the changes, "
            "and commit the lockfile",
        )

    def _cached_trees(
        self, pinned: Mapping[Platform, LockedTree], platforms: Iterable[Platform]
    ) -> dict[Platform, Tree]:
        """Results of which the cache has every file."""
        found = {}
        for platform in platforms:
            output = pinned.get(platform)
            tree = self._cached_tree(output) if output is not None else None
            if tree is not None:
                found[platform] = tree
        return found

    def _cached_tree(self, output: LockedTree) -> Tree | None:
        store = self.tools.build.runtime.store
        restore_kept(output, self.options.kept, store)
        blob = store.get(output.digest, output.size)
        if blob is None:
            return None
        try:
            with verified(blob, "the result of a part") as stream:
                data = stream.read(-1)
        except (IntegrityError, OSError):
            store.drop(output.digest)
            return None
        return decode_tree(data, store, self._source)

    def _compare(self, platform: Platform, output: LockedTree, *, same: bool) -> None:
        old = self.locked.outputs.get(platform) if self.locked is not None else None
        if old is None:
            self._note(f"{platform}: {output.digest}")
        elif old != output and same and not self._is_renewed:
            raise OutputChanged(
                f"the output of the part {self.part.name} differs for {platform}: "
                f"built {output.digest}, locked {old.digest}",
                where={"platform": str(platform)},
                hint=f"its inputs are the same, so it is not reproducible; accept the new one "
                f"with --update {self.part.name}",
            )
        elif old != output:
            self._note(f"{platform}: {old.digest} → {output.digest}")

    def _build(
        self,
        root: Lockfile | None,
        sources: tuple[LockedSource, ...],
        inputs: Inputs,
        platforms: Sequence[Platform],
    ) -> dict[Platform, tuple[Tree, LockedTree]]:
        self.was_built = True
        fresh = self.options.fresh or self._is_renewed
        building = PartBuilder(recipe=self.recipe, tools=self.tools, fresh=fresh)
        if isinstance(self.part, DockerfilePart):
            results = building.dockerfile(self.part, platforms)
        else:
            assert root is not None
            results = building.commands(self.part, root, sources, inputs, platforms)
        return {platform: self._taken(tree, platform) for platform, tree in results.items()}

    def _taken(self, result: Tree, platform: Platform) -> tuple[Tree, LockedTree]:
        """What the image takes of a result, stored in the cache: contents, then the list."""
        store = self.tools.build.runtime.store
        wanted = files_of_part(self.recipe, self.part, platform)
        tree = select_files(result, wanted, self._source)
        for node in tree.values():
            if node.content is not None and store.get(node.content.digest) is None:
                with verified(node.content, "a file of a part") as stream:
                    store.put(stream, node.content.digest, sync=False)
        blob = store.put_bytes(encode_tree(tree))
        output = LockedTree(digest=blob.digest, size=blob.size)
        again = self._cached_tree(output)
        assert again is not None
        return again, output

    @property
    def _source(self) -> Source:
        return Source(kind="part", name=self.part.name, detail=str(self.part.place))

    @property
    def _cancel(self) -> CancelToken:
        return self.tools.build.runtime.cancel

    def _note(self, text: str) -> None:
        self.tools.build.runtime.progress.note("parts", f"part {self.part.name}: {text}")


def _unlocked(part: RunPart, sources: Sequence[LockedSource]) -> tuple[str, ...]:
    """Source packages that the recipe names and the lockfile does not have."""
    known = {(source.name, source.version) for source in sources}
    names = {name for name, _ in known}
    return tuple(
        f"the source package {each.package} is not locked"
        for each in part.inputs
        if isinstance(each, SourceInput)
        and (
            each.package not in names
            or each.version not in (None, *(v for n, v in known if n == each.package))
        )
    )
