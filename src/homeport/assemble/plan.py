"""The build plan: everything that decides one platform's image, made once.

Made from recipe, lockfile and options; local files are read and hashed here. Nothing
below asks recipe or lockfile again. ``inputs_of`` is the plan as bytes, the heart of the
cache key: equal inputs are equal images.

Not for opening packages or other images: they are named by digest and opened when the
image is really built.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import msgspec

from homeport.assemble.local_files import local_nodes
from homeport.assemble.locale_selection import PACKAGES as LOCALES
from homeport.assemble.part_outputs import part_nodes
from homeport.content.blob import BytesBlob
from homeport.content.digest import Digest
from homeport.debian.package import PackageFile
from homeport.errors import UsageError
from homeport.oci.platform import Platform
from homeport.progress import CancelToken
from homeport.recipe.entries import (
    Archive,
    Config,
    Group,
    ImageFiles,
    InlineFile,
    Layers,
    Link,
    LocalFiles,
    PartFiles,
    Steps,
    User,
)
from homeport.recipe.lock.model import AccountNumbers, LockedPackage, Lockfile
from homeport.recipe.model import Recipe
from homeport.recipe.platforms import debian_architecture
from homeport.recipe.slices.model import Slice
from homeport.tree.compression import Encoder, make_encoder
from homeport.tree.node import Node, Source, Tree

_SECOND = 1_000_000_000


class BuildOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line adds to recipe and lockfile.

    labels, annotations: on top of the recipe's
    source_date_epoch: overrides the lockfile's epoch, in seconds
    """

    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    annotations: Mapping[str, str] = msgspec.field(default_factory=dict)
    source_date_epoch: int | None = None
    compression: str = "gzip"
    level: int | None = None


class PlannedPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A locked package with the definitions of its slices; none: the whole package.

    exclude: globs of files that are left out of a whole package
    locales: of a package of locales, those that are wanted; none: all
    """

    file: PackageFile
    source_name: str
    source_version: str
    slices: tuple[Slice, ...]
    exclude: tuple[str, ...] = ()
    locales: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.file.id.name

    @property
    def whole(self) -> bool:
        return not self.slices


class PlannedImageFiles(msgspec.Struct, frozen=True, kw_only=True):
    """A file or tree to be taken out of another image; ``None`` keeps what is there."""

    address: str
    digest: Digest
    path: bytes
    to: bytes
    into: bool
    mode: int | None
    uid: int | None
    gid: int | None
    source: Source


class BuildPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One image of one platform, decided.

    epoch:          seconds since 1970
    epoch_override: whether it came from SOURCE_DATE_EPOCH
    own:            the recipe's directories, links, local and inline files, by path
    replaces:       where the recipe's files take the place of packages' ones, also below
    recipe_digest, lockfile_digest: of their bytes, recorded in the image
    numbers:        of accounts that packages make, as the lockfile records them
    checked:        whether programs must be able to start
    results, materials: of parts that were built on an engine, recorded in the image
    """

    name: str
    platform: Platform
    architecture: str
    epoch: int
    epoch_override: bool
    packages: tuple[PlannedPackage, ...]
    archives: tuple[Archive, ...]
    own: tuple[tuple[bytes, Node], ...]
    image_files: tuple[PlannedImageFiles, ...]
    replaces: tuple[bytes, ...]
    users: tuple[User, ...]
    groups: tuple[Group, ...]
    numbers: AccountNumbers
    steps: Steps
    alternatives: Mapping[str, str]
    layers: Layers
    config: Config
    without: tuple[str, ...]
    recipe_digest: Digest
    lockfile_digest: Digest
    results: tuple[str, ...]
    materials: tuple[str, ...]
    checked: bool
    encoder: Encoder

    @property
    def mtime(self) -> int:
        """The epoch as nodes have it."""
        return self.epoch * _SECOND


class PlanInputs(msgspec.Struct, frozen=True, kw_only=True):
    """Recipe and lockfile, with the digests of their bytes.

    trees:   what the recipe's parts gave, by their name and the platform
    checked: whether every program must be able to start; not in a build root, which holds
             the libraries of other machines
    """

    recipe: Recipe
    recipe_digest: Digest
    lockfile: Lockfile
    lockfile_digest: Digest
    trees: Mapping[tuple[str, Platform], Tree] = msgspec.field(default_factory=dict)
    checked: bool = True


def make_plans(
    inputs: PlanInputs, platforms: Iterable[Platform], options: BuildOptions, cancel: CancelToken
) -> tuple[BuildPlan, ...]:
    """A plan for each of ``platforms``.

    Raises ``UsageError`` for a local file that is missing or unusable, or a platform
    that is not locked.
    """
    own = _OwnFiles(inputs, _epoch(inputs, options) * _SECOND, cancel)
    return tuple(_plan(inputs, platform.normalized(), options, own) for platform in platforms)


def plan_of_packages(recipe: Recipe, lockfile: Lockfile, platform: Platform) -> BuildPlan:
    """The plan without local files, parts and files of other images, to be read while locking."""
    bare = msgspec.structs.replace(recipe, directories=(), links=(), files=(), parts={})
    none = Digest.of(b"")
    inputs = PlanInputs(recipe=bare, recipe_digest=none, lockfile=lockfile, lockfile_digest=none)
    return make_plans(inputs, (platform,), BuildOptions(), CancelToken())[0]


def inputs_of(plan: BuildPlan) -> bytes:
    """What decides the layer of ``plan``, as canonical JSON; no paths of this machine in it."""
    return msgspec.json.encode(
        {
            "architecture": plan.architecture,
            "epoch": plan.epoch,
            "packages": [_package_inputs(package) for package in plan.packages],
            "own": [_node_inputs(path, node) for path, node in plan.own],
            "replaces": plan.replaces,
            "image_files": [_image_files_inputs(files) for files in plan.image_files],
            "users": [[u.name, u.uid, u.gid, u.home, u.shell, u.comment] for u in plan.users],
            "groups": [[g.name, g.gid, g.members] for g in plan.groups],
            **({"numbers": msgspec.to_builtins(plan.numbers)} if plan.numbers else {}),
            "steps": msgspec.to_builtins(plan.steps),
            "alternatives": plan.alternatives,
            "archives": [
                [each.name, each.suites, each.components, each.mirrors]
                for each in plan.archives
                if plan.steps.apt_sources
            ],
            "layers": msgspec.to_builtins(plan.layers),
            # Of no effect on the bytes, but an image whose program is missing is refused.
            "program": plan.config.entrypoint[:1],
            "user": plan.config.user,
            "checked": plan.checked,
            "encoder": plan.encoder.id,
        },
        order="sorted",
    )


def _epoch(inputs: PlanInputs, options: BuildOptions) -> int:
    chosen = options.source_date_epoch
    return inputs.lockfile.epoch if chosen is None else chosen


def _plan(
    inputs: PlanInputs, platform: Platform, options: BuildOptions, own: _OwnFiles
) -> BuildPlan:
    recipe, lockfile = inputs.recipe, inputs.lockfile
    locked = lockfile.platforms.get(platform)
    if locked is None:
        known = ", ".join(map(str, lockfile.platforms))
        raise UsageError(
            f"the lockfile has no packages for {platform}",
            where={"recipe": recipe.name},
            hint=f"it has {known}" if known else None,
        )
    config = recipe.config_for(platform)
    parts = [(name, lockfile.parts[name]) for name, of in inputs.trees if of == platform]
    return BuildPlan(
        name=recipe.name,
        platform=platform,
        architecture=debian_architecture(platform),
        epoch=_epoch(inputs, options),
        epoch_override=options.source_date_epoch is not None,
        packages=tuple(_planned(package, recipe, lockfile, platform) for package in locked),
        archives=recipe.archives,
        own=own.of(platform),
        image_files=tuple(_image_files(recipe, platform)),
        replaces=tuple(sorted(_replaces(recipe, platform))),
        users=recipe.users,
        groups=recipe.groups,
        numbers=lockfile.accounts,
        steps=recipe.steps,
        alternatives=recipe.alternatives,
        layers=recipe.layers,
        config=msgspec.structs.replace(
            config,
            labels={**config.labels, **options.labels},
            annotations={**config.annotations, **options.annotations},
        ),
        without=lockfile.without,
        recipe_digest=inputs.recipe_digest,
        lockfile_digest=inputs.lockfile_digest,
        results=tuple(f"{name}@{part.outputs[platform].digest}" for name, part in parts),
        materials=tuple(sorted({each for _, part in parts for each in part.materials})),
        checked=inputs.checked,
        encoder=make_encoder(options.compression, options.level),
    )


def _planned(
    package: LockedPackage, recipe: Recipe, lockfile: Lockfile, platform: Platform
) -> PlannedPackage:
    own = (
        choice.exclude for choice in recipe.packages
        if choice.name == package.name and choice.applies_to(platform)
    )  # fmt: skip
    exclude = () if package.slices else tuple(chain(recipe.exclude, *own))
    return PlannedPackage(
        file=package.file,
        source_name=package.source_name,
        source_version=package.source_version,
        slices=lockfile.slices_of(package),
        exclude=exclude,
        locales=recipe.locales if package.name in LOCALES and not package.slices else (),
    )


class _OwnFiles:
    """The recipe's own files; local files are read once for all platforms."""

    def __init__(self, inputs: PlanInputs, mtime: int, cancel: CancelToken) -> None:
        self._recipe = inputs.recipe
        self._trees = inputs.trees
        self._mtime = mtime
        self._cancel = cancel
        self._read: dict[int, tuple[tuple[bytes, Node], ...]] = {}

    def of(self, platform: Platform) -> tuple[tuple[bytes, Node], ...]:
        """In the order of paths; of two nodes with one path both are there (they may clash)."""
        found: list[tuple[bytes, Node]] = []
        for directory in self._recipe.directories:
            if directory.applies_to(platform):
                source = Source(kind="recipe", name=str(directory.place), detail="directories")
                node = Node(
                    type="directory", mode=directory.mode, uid=directory.uid, gid=directory.gid,
                    mtime=self._mtime, source=source,
                )  # fmt: skip
                found.append((image_path(directory.path), node))
        for link in self._recipe.links:
            if link.applies_to(platform):
                source = Source(kind="recipe", name=str(link.place), detail="links")
                node = Node(
                    type="symlink", mode=0o777, target=link.target.encode("utf-8"),
                    mtime=self._mtime, source=source,
                )  # fmt: skip
                found.append((image_path(link.path), node))
        for number, files in enumerate(self._recipe.files):
            if isinstance(files, PartFiles) and files.applies_to(platform):
                found += part_nodes(files, self._trees[files.part, platform], self._mtime)
            elif files.applies_to(platform) and not isinstance(files, ImageFiles | PartFiles):
                if number not in self._read:
                    self._read[number] = tuple(self._nodes(files))
                found += self._read[number]
        return tuple(sorted(found, key=lambda pair: pair[0]))

    def _nodes(self, files: LocalFiles | InlineFile) -> Iterable[tuple[bytes, Node]]:
        if isinstance(files, LocalFiles):
            return local_nodes(files, self._mtime, self._cancel)
        data = files.text.encode("utf-8")
        node = Node(
            type="file", mode=files.mode, uid=files.uid, gid=files.gid, mtime=self._mtime,
            content=BytesBlob(data) if data else None,
            source=Source(kind="inline", name=files.to, detail=str(files.place)),
        )  # fmt: skip
        return [(image_path(files.to), node)]


def image_path(text: str) -> bytes:
    """An absolute path of a recipe as a path of a Tree."""
    return text.encode("utf-8", "surrogateescape").strip(b"/")


def _image_files(recipe: Recipe, platform: Platform) -> Iterable[PlannedImageFiles]:
    for files in recipe.files:
        if isinstance(files, ImageFiles) and files.applies_to(platform):
            yield PlannedImageFiles(
                address=files.image,
                digest=files.digest,
                path=image_path(files.path),
                to=image_path(files.to),
                into=files.to.endswith("/"),
                mode=files.mode,
                uid=files.uid,
                gid=files.gid,
                source=Source(kind="image", name=files.image, detail=str(files.place)),
            )


def _replaces(recipe: Recipe, platform: Platform) -> Iterator[bytes]:
    for entry in (*recipe.files, *recipe.links):
        if entry.replace and entry.applies_to(platform):
            yield image_path(entry.path if isinstance(entry, Link) else entry.to)


def _package_inputs(package: PlannedPackage) -> list[Any]:
    return [
        str(package.file.id),
        str(package.file.sha256),
        package.source_name,
        package.source_version,
        [
            [str(each.name), [[path.path, path.architectures] for path in each.paths]]
            for each in package.slices
        ],
        package.exclude,
        package.locales,
    ]


def _node_inputs(path: bytes, node: Node) -> list[Any]:
    content = str(node.content.digest) if node.content is not None else ""
    return [path, node.type, node.mode, node.uid, node.gid, node.mtime, node.target, content]


def _image_files_inputs(files: PlannedImageFiles) -> list[Any]:
    return [
        str(files.digest), files.path, files.to, files.into, files.mode, files.uid, files.gid,
    ]  # fmt: skip
