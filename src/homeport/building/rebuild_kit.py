"""The rebuild kit of an image: recipe, lockfile and local files, as one artifact.

With the image and its kit, anyone can build it again, bit for bit (docs/formats/rebuild-kit.md).
The kit refers to the index, so it comes after it; its one layer depends on the inputs alone and
is named in the provenance. Not for packages: the lockfile names those by digest.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated

import msgspec

from homeport import __version__
from homeport.assemble.local_files import local_nodes
from homeport.assemble.plan import BuildPlan
from homeport.building.request import BuildRequest
from homeport.content.blob import Blob, BytesBlob
from homeport.content.code_hash import code_hash
from homeport.content.files import explained
from homeport.content.kept_blobs import recall_blob, remember_blob
from homeport.content.store import Store
from homeport.errors import HomeportError
from homeport.images.artifact import artifact, artifact_layer
from homeport.images.image import Image, Index
from homeport.locking.ensure_lock import EnsuredLock
from homeport.locking.lock_paths import proof_path
from homeport.parts.inputs import context_of, ignore_file
from homeport.printable import path_text
from homeport.progress import CancelToken
from homeport.recipe.catalog import Catalog
from homeport.recipe.entries import LocalFiles
from homeport.recipe.model import Recipe
from homeport.recipe.parts import DockerfilePart, EnginePart, RunPart
from homeport.tree.compression import make_encoder
from homeport.tree.layer_writer import write_layer
from homeport.tree.node import Node, Source, Tree

ARTIFACT_TYPE = "application/vnd.homeport.rebuild-kit.v1"
LAYER = "application/vnd.homeport.rebuild-kit.v1.tar+gzip"
#: A second layer: the proof of the lockfile. No digest in the index depends on it, because it
#: may be made later, or not at all.
PROOF_LAYER = "application/vnd.homeport.lock-proof.v1"
DESCRIPTION = "kit.json"
#: In a kit: what it needs of the user's catalog.
CATALOG = "catalog"
#: Where local directories may hold links; what is read by its name lies elsewhere, or is no link.
LINKS_BELOW = (b"recipe/", b"outside/")
SCHEMA = "homeport-rebuild-kit/v1"
_NAMESPACE = "rebuild-kits"
_DECIDES = ("building/rebuild_kit.py", "assemble/local_files.py", "tree")
_SOURCE = Source(kind="local", name="rebuild kit")


#: Since 1970, as the variable SOURCE_DATE_EPOCH takes them.
_Seconds = Annotated[int, msgspec.Meta(ge=0, lt=10**11)]


class KitDescription(msgspec.Struct, frozen=True, kw_only=True):
    """``kit.json``: how to build from the files beside it.

    recipe, lockfile: their paths in the kit
    moved:            what the recipe names as ``from`` and lies elsewhere in the kit
    """

    schema: str = SCHEMA
    homeport: str
    recipe: str
    lockfile: str
    platforms: tuple[str, ...]
    compression: str
    level: int | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    source_date_epoch: _Seconds | None = None
    attest: tuple[str, ...] = ()
    moved: dict[str, str] = {}

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path of the kit that it names."""
        return (self.recipe, self.lockfile, *self.moved.values())


class KitInputs(msgspec.Struct, frozen=True, kw_only=True):
    """A finished build, as far as its kit depends on it."""

    request: BuildRequest
    recipe: Recipe
    locked: EnsuredLock
    plans: tuple[BuildPlan, ...]
    catalog: Catalog


class NoKit(HomeportError):
    """The recipe takes something that cannot be put into a kit."""

    id = "no-rebuild-kit"


def kit_layer(inputs: KitInputs, store: Store, cancel: CancelToken) -> Blob:
    """The kit's layer: the same bytes for the same inputs. Raises ``NoKit``."""
    if inputs.recipe.local_packages is not None:
        raise NoKit("the recipe has local packages, which a kit does not hold")
    key = _key(inputs)
    if (found := recall_blob(store, _NAMESPACE, key)) is not None:
        return found
    tree = Tree(_together(_nodes(inputs, cancel)))
    layer = write_layer(tree, make_encoder("gzip"), store, cancel)
    remember_blob(store, _NAMESPACE, key, layer.blob)
    return layer.blob


def _together(nodes: Iterable[tuple[bytes, Node]]) -> dict[bytes, Node]:
    """Each name once, with the directories above it.

    A recipe may take a link, in a directory, and by the same name what it leads to: ``NoKit``.
    """
    found: dict[bytes, Node] = {}
    directory = Node(type="directory", mode=0o755, source=_SOURCE)
    for path, node in nodes:
        above = [(parent, directory) for parent in _parents(path)]
        for name, each in (*above, (path, node)):
            if found.setdefault(name, each).type != each.type:
                raise NoKit(f"the recipe takes {path_text(name)} both as a link and as its target")
        if node.type == "symlink" and not path.startswith(LINKS_BELOW):
            raise NoKit(f"{path_text(path)}, in a catalog, is a link")
    return found


def _parents(path: bytes) -> Iterator[bytes]:
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path


def lock_proof(locked: EnsuredLock) -> Blob | None:
    """The proof that lies beside a lockfile."""
    path = proof_path(locked.path)
    return BytesBlob(_read(path)) if path.is_file() else None


def kit_artifact(layer: Blob, index: Index, proof: Blob | None = None) -> Image:
    """The artifact that refers to ``index``. proof: of the lockfile, if there is one."""
    layers = [artifact_layer(layer, LAYER)]
    if proof is not None:
        layers.append(artifact_layer(proof, PROOF_LAYER))
    return artifact(ARTIFACT_TYPE, layers, index.document.descriptor())


def with_moved(recipe: Recipe, moved: Mapping[str, Path]) -> Recipe:
    """``recipe`` taking local files from where they are in a kit, by the text of ``from``."""

    def placed(each: object) -> object:
        if isinstance(each, LocalFiles) and each.written in moved:
            return msgspec.structs.replace(each, source=moved[each.written])
        return each

    def part_placed(part: EnginePart) -> EnginePart:
        if isinstance(part, RunPart):
            return msgspec.structs.replace(part, inputs=tuple(map(placed, part.inputs)))
        return msgspec.structs.replace(
            part,
            file=moved.get(part.written, part.file),
            context=moved.get(part.context_written, part.context),
        )

    return msgspec.structs.replace(
        recipe,
        files=tuple(map(placed, recipe.files)),
        parts=tuple(map(part_placed, recipe.parts)),
    )


def _nodes(inputs: KitInputs, cancel: CancelToken) -> Iterator[tuple[bytes, Node]]:
    recipe = inputs.recipe
    yield _file(recipe.lock_name, _read(inputs.locked.path))
    # A recipe of the catalog may lie beside what it extends: each place once.
    named = {_kit_place(path, inputs): path for path in (recipe.path, *_beside(inputs))}
    for name, path in named.items():
        yield _file(name, _read(path))
    places = _Places(inputs)
    for below, files in _local_files(inputs, places):
        # Written as one directory or file: where the image puts it says nothing here.
        plain = msgspec.structs.replace(files, to=f"/{below}", mode=None)
        for place, node in local_nodes(plain, 0, cancel):
            yield place, msgspec.structs.replace(node, uid=0, gid=0)
    description = _described(inputs, places.moved)
    data = msgspec.json.format(msgspec.json.encode(description))
    yield _file(DESCRIPTION, data + b"\n")


def _described(inputs: KitInputs, moved: Mapping[str, str]) -> KitDescription:
    request, recipe = inputs.request, inputs.recipe
    options = request.options
    return KitDescription(
        homeport=__version__,
        recipe=_kit_place(recipe.path, inputs),
        lockfile=recipe.lock_name,
        platforms=tuple(str(plan.platform) for plan in inputs.plans),
        compression=options.compression,
        level=options.level,
        labels=dict(sorted(options.labels.items())),
        annotations=dict(sorted(options.annotations.items())),
        source_date_epoch=options.source_date_epoch,
        attest=request.attest,
        moved=dict(sorted(moved.items())),
    )


def _kit_place(path: Path, inputs: KitInputs) -> str:
    """Where a file lies in the kit: of the user's catalog, or below the recipe's folder."""
    real = path.resolve()
    folder = inputs.recipe.path.parent.resolve()
    own = inputs.catalog.own
    if own is not None and real.is_relative_to(own.folder):
        return f"{CATALOG}/{real.relative_to(own.folder).as_posix()}"
    if real.is_relative_to(folder):
        return f"recipe/{real.relative_to(folder).as_posix()}"
    raise NoKit(
        f"{path} lies outside the recipe's folder",
        hint="copy it below the folder, or build with --no-attest",
    )


def _beside(inputs: KitInputs) -> Iterator[Path]:
    """Recipes that it extends, slices and keys; not those that ship with Homeport.

    Of a user's catalog only the slices that the lockfile holds, since its other ones are of others.
    """
    recipe, catalog = inputs.recipe, inputs.catalog
    used = {name.package for name in inputs.locked.lockfile.slices}
    yield from (path for path in recipe.extends if not catalog.ships(path))
    for folder in recipe.slices:
        if folder == catalog.slices or not folder.is_dir():
            continue
        for path in sorted(folder.glob("*.yaml")):
            if path.stem in used or not catalog.owns(path):
                yield path
    for archive in recipe.archives:
        yield from (key.path for key in archive.keys if key.path is not None)


class _Places:
    """Where local files lie in the kit: as beside the recipe, or by a number if elsewhere.

    moved: what recipes name as ``from`` and lies elsewhere
    """

    def __init__(self, inputs: KitInputs) -> None:
        self.moved: dict[str, str] = {}
        self._sources: dict[str, Path] = {}
        recipe, own = inputs.recipe.path, inputs.catalog.own
        root = PurePosixPath(_kit_place(recipe, inputs)).parent
        # By name, links not followed: so recipes name them, also those that are extended.
        self._folders = {_absolute(recipe.parent): root}
        if own is not None:
            self._folders[_absolute(own.folder)] = PurePosixPath(CATALOG)

    def of(self, files: LocalFiles) -> str:
        """Raises ``NoKit`` if two recipes mean different files by one name."""
        source, written = _absolute(files.source), files.written
        if not Path(written).is_absolute():
            for folder, place in self._folders.items():
                if source.is_relative_to(folder):
                    return str(place / source.relative_to(folder))
        if self._sources.setdefault(written, source) != source:
            raise NoKit(f"{written} is a different file in a recipe that the recipe extends")
        if written not in self.moved:
            file = "" if source.is_dir() else f"/{source.name}"
            self.moved[written] = f"outside/{len(self.moved)}{file}"
        return self.moved[written]


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _local_files(inputs: KitInputs, places: _Places) -> Iterator[tuple[str, LocalFiles]]:
    """Everything local that the images take, with its place in the kit."""
    platforms = [plan.platform for plan in inputs.plans]
    for each in inputs.recipe.files:
        if isinstance(each, LocalFiles) and any(map(each.applies_to, platforms)):
            yield places.of(each), each
    for part in inputs.recipe.parts:
        if isinstance(part, RunPart):
            yield from ((places.of(e), e) for e in part.inputs if isinstance(e, LocalFiles))
        else:
            yield from _files_of_dockerfile(part, places)


def _files_of_dockerfile(part: DockerfilePart, places: _Places) -> Iterator[tuple[str, LocalFiles]]:
    """The context without what it ignores, which may be the other two: they come along, too."""
    context = context_of(part)
    file = msgspec.structs.replace(context, source=part.file, written=part.written, exclude=())
    yield places.of(context), context
    yield places.of(file), file
    if (ignored := ignore_file(part)) is not None:
        named = PurePosixPath(places.of(file)).with_name(f"{part.file.name}.dockerignore")
        if ignored.name != named.name:
            named = PurePosixPath(places.of(context)) / ignored.name
        yield str(named), msgspec.structs.replace(file, source=ignored)


def _file(path: str, data: bytes) -> tuple[bytes, Node]:
    node = Node(type="file", mode=0o644, content=BytesBlob(data) if data else None, source=_SOURCE)
    return path.encode("utf-8", "surrogateescape"), node


def _read(path: Path) -> bytes:
    with explained(path, "read"):
        return path.read_bytes()


def _key(inputs: KitInputs) -> str:
    """Everything that decides the kit; local files by the content that the plans read."""
    request, recipe, plans = inputs.request, inputs.recipe, inputs.plans
    hasher = hashlib.sha256(code_hash(*_DECIDES).encode())
    hasher.update(msgspec.json.encode([request.options, request.attest, __version__]))
    names = f"{inputs.locked.digest} {plans[0].recipe_digest} {recipe.lock_name}\n"
    hasher.update(names.encode())
    for path in _beside(inputs):
        hasher.update(f"{_kit_place(path, inputs)}\n".encode())
        hasher.update(hashlib.sha256(_read(path)).digest())
    for part in inputs.recipe.parts:
        # The digest of its inputs, in the lockfile, has the Dockerfile and the context.
        if isinstance(part, DockerfilePart) and (file := ignore_file(part)) is not None:
            hasher.update(hashlib.sha256(_read(file)).digest())
    for plan in plans:
        hasher.update(f"{plan.platform} {' '.join(plan.results)}\n".encode())
        for place, node in plan.own:
            digest = str(node.content.digest) if node.content is not None else ""
            hasher.update(place + f" {node.type} {node.mode} {digest}\n".encode())
    return hasher.hexdigest()
