"""A catalog as an OCI artifact: a tar of its recipes and slices (docs/formats/catalog.md).

The bytes follow from the files and their execute bits alone, so the digest is a version.
"""

from __future__ import annotations

import shlex
from pathlib import Path, PurePosixPath

from homeport.assemble.local_files import local_nodes
from homeport.catalogs.source import BadCatalog
from homeport.content.blob import Blob
from homeport.errors import TooLarge
from homeport.images.artifact import artifact, artifact_layer
from homeport.images.image import Image, Index, digest_of
from homeport.oci.documents import Manifest
from homeport.quantities import human_size
from homeport.recipe.boundary import Boundary
from homeport.recipe.entries import LocalFiles
from homeport.runtime import Runtime
from homeport.tree.compression import make_encoder
from homeport.tree.layer_writer import write_layer
from homeport.tree.node import Node, Source, Tree
from homeport.yamlfile.position import FilePosition

ARTIFACT_TYPE = "application/vnd.homeport.catalog.v1"
LAYER = "application/vnd.homeport.catalog.v1.tar+gzip"
#: Bytes of a catalog, packed and unpacked: recipes bring small files.
CATALOG_LIMIT = 256 << 20
#: Of a folder: repositories, editors and the like.
_EXCLUDED = ("**/.*", ".*")
_SOURCE = Source(kind="local", name="catalog")


def catalog_artifact(folder: Path, runtime: Runtime) -> Image:
    """The artifact of the catalog in ``folder``. Raises ``BadCatalog`` for links in it."""
    tree = _tree(folder, runtime)
    layer = write_layer(tree, make_encoder("gzip"), runtime.store, runtime.cancel).blob
    _check_size(layer.size)
    return artifact(ARTIFACT_TYPE, [artifact_layer(layer, LAYER)])


def catalog_layer(value: Image | Index, named: str) -> Blob:
    """The one layer of a catalog's artifact. Raises ``BadCatalog``, ``TooLarge``."""
    manifest = value.document.parsed
    if not (
        isinstance(value, Image)
        and isinstance(manifest, Manifest)
        and manifest.artifact_type == ARTIFACT_TYPE
        and [layer.media_type for layer in manifest.layers] == [LAYER]
    ):
        raise BadCatalog(
            f"{named} is not a catalog",
            where={"digest": str(value.digest)},
            hint=f"homeport catalog push FOLDER {shlex.quote(named)} writes one",
        )
    (layer,) = manifest.layers
    _check_size(layer.size)
    return value.blobs[digest_of(layer)]


def _tree(folder: Path, runtime: Runtime) -> Tree:
    files = LocalFiles(
        source=folder, written=str(folder), boundary=Boundary((folder,)), to="/",
        exclude=_EXCLUDED, place=FilePosition(file=str(folder), line=1),
    )  # fmt: skip
    nodes = dict(local_nodes(files, 0, runtime.cancel))
    for path, node in nodes.items():
        if node.type not in ("file", "directory"):
            name = path.decode("utf-8", "replace")
            raise BadCatalog(
                f"the catalog holds a {node.type}, {name}",
                where={"file": str(folder / name)},
                hint="an artifact holds files only: put a copy in its place",
            )
    tree = Tree(nodes)
    for path in list(tree):
        for parent in PurePosixPath(path.decode("utf-8", "surrogateescape")).parents:
            name_of = str(parent).encode("utf-8", "surrogateescape")
            if name_of != b"." and name_of not in tree:
                tree[name_of] = Node(type="directory", mode=0o755, source=_SOURCE)
    return tree


def _check_size(size: int) -> None:
    if size > CATALOG_LIMIT:
        raise TooLarge(f"the catalog is larger than {human_size(CATALOG_LIMIT)}")
