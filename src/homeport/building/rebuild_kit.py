"""The rebuild kit of an image: recipe, lockfile and local files, as one artifact.

With the image and its kit, anyone can build it again, bit for bit (docs/formats/rebuild-kit.md).
The kit refers to the index, so it comes after it; its one layer depends on the inputs alone and
is named in the provenance. Not for packages: the lockfile names those by digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

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
from homeport.oci.platform import Platform
from homeport.progress import CancelToken
from homeport.recipe.catalog import Catalog
from homeport.recipe.entries import LocalFiles
from homeport.recipe.model import Recipe
from homeport.recipe.parts import RunPart
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
SCHEMA = "homeport-rebuild-kit/v1"
_NAMESPACE = "rebuild-kits"
_DECIDES = ("building/rebuild_kit.py", "assemble/local_files.py", "tree")
_SOURCE = Source(kind="local", name="rebuild kit")


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
    source_date_epoch: int | None = None
    attest: tuple[str, ...] = ()
    moved: dict[str, str] = {}


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
    tree = Tree(dict(_nodes(inputs, cancel)))
    for path in list(tree):
        for parent in PurePosixPath(path.decode("utf-8", "surrogateescape")).parents:
            name = str(parent).encode("utf-8", "surrogateescape")
            if name != b"." and name not in tree:
                tree[name] = Node(type="directory", mode=0o755, source=_SOURCE)
    layer = write_layer(tree, make_encoder("gzip"), store, cancel)
    remember_blob(store, _NAMESPACE, key, layer.blob)
    return layer.blob


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

    parts = [
        msgspec.structs.replace(part, inputs=tuple(map(placed, part.inputs)))
        if isinstance(part, RunPart)
        else part
        for part in recipe.parts
    ]
    return msgspec.structs.replace(
        recipe, files=tuple(map(placed, recipe.files)), parts=tuple(parts)
    )


def _nodes(inputs: KitInputs, cancel: CancelToken) -> Iterator[tuple[bytes, Node]]:
    recipe = inputs.recipe
    folder = recipe.path.parent.resolve()
    yield _file(recipe.lock_name, _read(inputs.locked.path))
    # A recipe of the catalog may lie beside what it extends: each place once.
    named = {_kit_place(path, inputs): path for path in (recipe.path, *_beside(inputs))}
    for name, path in named.items():
        yield _file(name, _read(path))
    moved: dict[str, str] = {}
    root = str(PurePosixPath(_kit_place(recipe.path, inputs)).parent)
    for files in _local_files(recipe, [plan.platform for plan in inputs.plans]):
        below = _place(files, folder, moved, root)
        # Written as one directory or file: where the image puts it says nothing here.
        plain = msgspec.structs.replace(files, to=f"/{below}", mode=None)
        for place, node in local_nodes(plain, 0, cancel):
            yield place, msgspec.structs.replace(node, uid=0, gid=0)
    description = _described(inputs, moved)
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


def _local_files(recipe: Recipe, platforms: Sequence[Platform]) -> Iterable[LocalFiles]:
    """Everything local that the images of these platforms take, each source once."""
    found: dict[str, LocalFiles] = {}
    taken = [
        each
        for each in recipe.files
        if isinstance(each, LocalFiles) and any(map(each.applies_to, platforms))
    ]
    for part in recipe.parts:
        if not isinstance(part, RunPart):
            raise NoKit(
                f"the part {part.name} is built from a Dockerfile",
                hint="write it as commands of the recipe, or build with --attest sbom,provenance",
            )
        taken += [each for each in part.inputs if isinstance(each, LocalFiles)]
    for files in taken:
        known = found.get(files.written)
        if known is not None and known.exclude != files.exclude:
            files = msgspec.structs.replace(files, exclude=())  # noqa: PLW2901  all that either takes
        found[files.written] = files
    return found.values()


def _place(files: LocalFiles, folder: Path, moved: dict[str, str], root: str) -> str:
    """Where a source lies in the kit: as in the recipe's folder, or by a number if outside.

    root: where the recipe's folder is in the kit
    """
    real = files.source.resolve()
    named = Path(files.written)
    inside = folder in real.parents and not named.is_absolute() and ".." not in named.parts
    if inside:
        return f"{root}/{PurePosixPath(files.written)}"
    moved[files.written] = f"outside/{len(moved)}"
    if not real.is_dir():
        moved[files.written] += f"/{files.source.name}"
    return moved[files.written]


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
    for plan in plans:
        hasher.update(f"{plan.platform} {' '.join(plan.results)}\n".encode())
        for place, node in plan.own:
            digest = str(node.content.digest) if node.content is not None else ""
            hasher.update(place + f" {node.type} {node.mode} {digest}\n".encode())
    return hasher.hexdigest()
