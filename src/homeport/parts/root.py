"""The build root of a part, as an image of ours, and its inputs as a layer on top of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from homeport.assemble.build import Build, build
from homeport.assemble.plan import BuildOptions, PlanInputs, make_plans
from homeport.assemble.tree_merge import TreeMerger
from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.content.files import explained
from homeport.content.store import Store
from homeport.debian.package import PackageFile
from homeport.errors import HomeportError, IntegrityError
from homeport.images.image import Image
from homeport.locking.archive_access import ArchiveAccess
from homeport.locking.fetching import fetch_locked
from homeport.net.client import Client
from homeport.net.clock import Deadline
from homeport.net.download import expect_ok
from homeport.oci.platform import Platform
from homeport.parts.inputs import PathNode
from homeport.progress import CancelToken
from homeport.quantities import human_size
from homeport.recipe.lock.model import Lockfile, files_of
from homeport.recipe.lock.writing import format_lockfile
from homeport.recipe.model import Recipe
from homeport.recipe.parts import UrlInput
from homeport.tree.compression import make_encoder
from homeport.tree.layer_writer import write_layer

_SECOND = 1_000_000_000
_LARGEST = 4 << 30  # bytes of a file from a web server
_PATIENCE = 3600.0  # seconds for a file, from a server that may drip bytes


class BuildRoot(msgspec.Struct, frozen=True, kw_only=True):
    """A build root: the image, and its one layer."""

    image: Image
    layer: Blob


def make_root(
    recipe: Recipe,
    lockfile: Lockfile,
    on: Platform,
    how: Build,
    access: Callable[[], ArchiveAccess],
) -> BuildRoot:
    """Build the root for one platform; its packages are fetched where the cache lacks them.

    Raises ``PackageGone``, and what building an image raises.
    """
    inputs = PlanInputs(
        recipe=recipe,
        recipe_digest=Digest.of(b""),
        lockfile=lockfile,
        lockfile_digest=Digest.of(format_lockfile(lockfile)),
        checked=False,
    )
    plans = make_plans(inputs, [on], BuildOptions(), how.runtime.cancel)
    debs = _cached(lockfile, on, how.runtime.store)
    if debs is None:
        debs = fetch_locked(lockfile, [on], access())
    built = build(plans, debs, how).images[0]
    return BuildRoot(image=built.image, layer=built.layers[0].blob)


def _cached(lockfile: Lockfile, on: Platform, store: Store) -> dict[PackageFile, Blob] | None:
    found: dict[PackageFile, Blob] = {}
    for file in files_of(lockfile, [on]):
        blob = store.get(file.sha256, file.size)
        if blob is None:
            return None
        found[file] = blob
    return found


def write_context(
    nodes: Iterable[PathNode], epoch: int, store: Store, cancel: CancelToken
) -> Blob | None:
    """The inputs as a layer: modes, owners and times are the same on every machine."""
    merging = TreeMerger(epoch * _SECOND)
    merging.add_all(nodes)
    tree = merging.finish()
    if not tree:
        return None
    return write_layer(tree, make_encoder("gzip", None), store, cancel).blob


def _too_large(url: str) -> IntegrityError:
    return IntegrityError(f"{url} is larger than {human_size(_LARGEST)}")


def fetch_url(wanted: UrlInput, client: Callable[[], Client], store: Store) -> Blob:
    """The file, from the cache or from its server, with the digest that the recipe gives."""
    found = store.get(wanted.sha256)
    if found is not None:
        return found
    opened = client()
    deadline = Deadline.after(_PATIENCE, opened.clock, hint=None)

    def once() -> Blob:
        with opened.request("GET", wanted.url, deadline=deadline) as response:
            expect_ok(response)
            if (response.length or 0) > _LARGEST:
                raise _too_large(wanted.url)
            with store.writer() as writer, explained(store.root):
                while data := response.read(1 << 20):
                    writer.write(data)
                    if writer.size > _LARGEST:
                        raise _too_large(wanted.url)
                return writer.commit(wanted.sha256)

    try:
        return opened.retrier.reread(once, opened.cancel)
    except HomeportError as error:
        raise error.at(url=wanted.url, **wanted.place.where()) from error.__cause__
