"""A user's catalog as a folder of this machine, whatever it was named as.

A folder is used where it lies. Artifacts and repositories are copied into a directory of the run:
what they hold was verified by its digest or commit, and only directories and files are written.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import msgspec

from homeport.budget import Limits
from homeport.catalogs.artifact import CATALOG_LIMIT, catalog_layer
from homeport.catalogs.git import fetch_commit
from homeport.catalogs.source import (
    ArtifactSource,
    BadCatalog,
    FolderSource,
    GitSource,
    parse_catalog,
)
from homeport.content.blob import Blob, verified
from homeport.content.digest import Digest
from homeport.content.kept_blobs import recall_blob, remember_blob
from homeport.errors import UsageError
from homeport.images.address import Address, RegistryAddress
from homeport.images.image import Image, Index
from homeport.layers.plain_folder import write_plain_folder
from homeport.layers.trees import read_tree
from homeport.recipe.catalog import UserCatalog
from homeport.recipe.schema.defaults import FILE_NAME
from homeport.runtime import Runtime
from homeport.tree.node import Source

_NAMESPACE = "catalogs-artifact"


class CatalogAccess(msgspec.Struct, frozen=True, kw_only=True):
    """How a catalog is reached.

    verify: raises ``NotVerified`` for an artifact that a policy does not let in; ``None``: no
            policy was named
    """

    runtime: Runtime
    open_image: Callable[[str], AbstractContextManager[Image | Index]]
    verify: Callable[[Address, Image | Index], object] | None = None
    offline: bool = False


def open_catalog(written: str, access: CatalogAccess, closing: ExitStack) -> UserCatalog:
    """The catalog that ``written`` names. Raises ``BadCatalog`` and what fetching it raises.

    closing: removes the copy of one that was fetched
    """
    source = parse_catalog(written)
    if isinstance(source, FolderSource):
        return UserCatalog(folder=_checked(source.path, written), written=written)
    if access.verify is not None and isinstance(source, GitSource):
        raise UsageError(
            "a policy verifies catalogs in registries, not in git repositories",
            hint="leave out --catalog-policy: a commit's hash is verified in any case",
        )
    layer = (
        fetch_commit(source, access.runtime, offline=access.offline)
        if isinstance(source, GitSource)
        else _fetch_artifact(source, written, access)
    )
    folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="homeport-catalog-")))
    return UserCatalog(
        folder=_checked(_unpacked(layer, folder.resolve() / "catalog", access.runtime), written),
        written=written,
        fetched=True,
    )


def _fetch_artifact(source: ArtifactSource, written: str, access: CatalogAccess) -> Blob:
    """The artifact's layer. One of a known digest is found in the cache with ``--offline``."""
    store, address = access.runtime.store, source.address
    pinned = address.reference.digest if isinstance(address, RegistryAddress) else None
    if access.offline and pinned is not None and access.verify is None:
        found = recall_blob(store, _NAMESPACE, str(pinned))
        if found is not None:
            return found
        raise UsageError(
            f"the catalog {written} is not in the cache",
            hint="run the command once without --offline",
        )
    with access.open_image(written) as value:
        layer = catalog_layer(value, written)
        if access.verify is not None:
            access.verify(address, value)
        if isinstance(address, RegistryAddress) and pinned is None:
            named = address.reference.at_digest(value.digest)
            access.runtime.progress.note("catalog", f"catalog docker://{named}")
        with verified(layer, "the catalog") as stream:
            kept = store.put(stream, layer.digest)
        _remember(value.digest, kept, access)
        return kept


def _remember(digest: Digest, layer: Blob, access: CatalogAccess) -> None:
    remember_blob(access.runtime.store, _NAMESPACE, str(digest), layer)


def _unpacked(layer: Blob, folder: Path, runtime: Runtime) -> Path:
    with verified(layer, "the catalog") as stream:
        tree = read_tree(
            stream, runtime.store, Source(kind="layer", name="catalog"), runtime.cancel,
            limits=Limits.of_small(CATALOG_LIMIT),
        )  # fmt: skip
    write_plain_folder(tree, folder, "catalog", runtime.cancel)
    return folder


def _checked(folder: Path, written: str) -> Path:
    """``folder``, if it has a recipe or a slice."""
    if any(folder.glob(f"*/{FILE_NAME}")) or any(folder.glob("slices/*.yaml")):
        return folder
    raise BadCatalog(
        f"the catalog {written!r} has no recipes and no slices",
        hint=f"a catalog has NAME/{FILE_NAME} for each recipe, and slices/PACKAGE.yaml",
    )
