"""An image opened for inspection: config, layers as lists, their history, contents.

All other modules read from an ``OpenedImage``. Layers are listed in parallel; a second
inspection reads the lists from the store. Does not interpret files.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from threading import Lock

import msgspec

from homeport.budget import Budget
from homeport.content.blob import Blob
from homeport.content.thread_pools import run_all
from homeport.errors import HomeportError
from homeport.images.image import Image, digest_of
from homeport.inspection.binaries.facts import BinaryFacts
from homeport.inspection.image.file_contents import Sink, read_files, stream_contents
from homeport.inspection.layers.examine_layer import CannotRead, LayerMetadata, examine_layer
from homeport.inspection.layers.worker_process import WORTH_IT, examine_in_process
from homeport.layers.history import History, StackedEntry
from homeport.layers.listing import ENTRY_MEMORY, Listing, require_diff_id
from homeport.layers.overlay import stack
from homeport.oci.documents import Descriptor, ImageConfig
from homeport.runtime import Runtime


class OpenedImage(msgspec.Struct, frozen=True, kw_only=True):
    """One image, its layers read.

    address:        where it was opened, as results name it
    config_faults:  what cannot be read of the config
    metadata_files: contents stored with the listings (``metadata_files``), by their sha256
    metadata_paths: the paths of the final tree that have such a content, sorted
    programs:       the ELF files of the final tree and their facts, sorted by path
    """

    address: str
    image: Image
    config: ImageConfig
    config_faults: tuple[str, ...]
    descriptors: tuple[Descriptor, ...]
    history: History
    blobs: dict[int, Blob]
    runtime: Runtime
    metadata_files: dict[bytes, bytes]
    binaries: dict[bytes, BinaryFacts]
    metadata_paths: tuple[bytes, ...]
    programs: tuple[tuple[bytes, BinaryFacts], ...]

    def metadata(self, path: bytes) -> bytes | None:
        """The stored content of a file of the final tree, links followed, if there is one."""
        resolved = self.history.resolve(path)
        place = self.history.file_at(resolved) if resolved is not None else None
        if place is None or place.entry.kind != "file":
            return None
        return self.metadata_files.get(place.entry.sha256) if place.entry.size else b""

    def read(self, paths: Iterable[bytes], *, limit: int = 16 << 20) -> dict[bytes, bytes]:
        """Contents of files of the final tree, links followed (``file_contents.read_files``)."""
        runtime = self.runtime
        return read_files(
            self.history, self.blobs, paths, runtime.cancel, runtime.pools.processor, limit=limit
        )

    def stream(self, places: Iterable[StackedEntry], sink: Sink) -> None:
        """Hand the contents of files to ``sink``, in the order of the layers."""
        taken = list(places)
        stream_contents(
            self.history, self.blobs, taken, {id(place.entry): sink for place in taken},
            cancel=self.runtime.cancel, pool=self.runtime.pools.processor,
        )  # fmt: skip

    @property
    def listings(self) -> Sequence[Listing]:
        return self.history.listings


def open_layers(image: Image, runtime: Runtime, address: str = "") -> OpenedImage:
    """List and stack every layer of ``image``.

    Raises ``CannotRead`` for artifacts, encrypted layers, and non-distributable layers whose
    content is missing.
    """
    readable = image.readable_config()
    if readable is None:
        raise CannotRead(
            "this is an artifact, not an image: its layers hold no files",
            where={"digest": str(image.digest)},
            hint=f"to show its manifest: homeport manifest {shlex.quote(address)}"
            if address
            else None,
        )
    config, config_faults = readable[0].parsed, readable[1]
    descriptors = image.document.parsed.layers
    diff_ids = config.rootfs.diff_ids
    blobs = {number: _blob(image, each, number, address) for number, each in enumerate(descriptors)}
    large = [number for number, each in enumerate(descriptors) if each.size >= WORTH_IT]
    pool = runtime.pools.processor
    lister = _Lister(runtime)
    separate = large if len(large) > 1 and pool.workers > 1 else []
    runtime.progress.begin("layers", label="read layers", total=len(blobs), unit="items")
    try:
        calls = [
            lister.call(blob, number, diff_ids[number : number + 1], separate=number in separate)
            for number, blob in blobs.items()
        ]
        read = run_all(pool, calls)
    except BaseException:
        runtime.progress.end("layers", "failed")
        raise
    runtime.progress.end("layers")
    history = stack([listing for listing, _ in read], lister.budget)
    contents = [(path, place.entry.sha256) for path, place in history.final.items()]
    binaries = {digest: facts for _, found in read for digest, facts in found.binaries.items()}
    files = {digest: data for _, found in read for digest, data in found.files.items()}
    return OpenedImage(
        address=address,
        image=image, config=config, config_faults=config_faults, descriptors=descriptors,
        history=history, blobs=blobs,
        runtime=runtime, metadata_files=files, binaries=binaries,
        metadata_paths=tuple(sorted(path for path, digest in contents if digest in files)),
        programs=tuple(
            sorted((path, binaries[digest]) for path, digest in contents if digest in binaries)
        ),
    )  # fmt: skip


def _blob(image: Image, descriptor: Descriptor, number: int, address: str) -> Blob:
    if "encrypted" in descriptor.media_type:
        raise CannotRead(
            f"layer {number} is encrypted ({descriptor.media_type})",
            where={"digest": descriptor.digest},
            hint="decrypt the image first, for example with skopeo copy --decryption-key",
        )
    blob = image.blobs.get(digest_of(descriptor))
    if blob is None:
        urls = ", ".join(descriptor.urls[:2])
        hints = [f"its publisher serves it at {urls}"] if urls else []
        if address:
            included = (
                f"homeport pull {shlex.quote(address)} oci:DIR --allow-nondistributable-artifacts"
            )
            hints += [
                f"{included} includes it",
                f"homeport config {shlex.quote(address)} shows the rest",
            ]
        raise CannotRead(
            f"layer {number} is a non-distributable layer that is not stored with the image",
            where={"digest": descriptor.digest},
            hint="; ".join(hints) or None,
        )
    return blob


class _Lister:
    """Lists layers; ``budget`` is that of all together, each layer has one of its own, too."""

    def __init__(self, runtime: Runtime) -> None:
        self.budget = Budget("the image")
        self._runtime = runtime
        self._lock = Lock()

    def call(
        self, blob: Blob, number: int, diff_id: tuple[str, ...], *, separate: bool
    ) -> Callable[[], tuple[Listing, LayerMetadata]]:
        """The task that lists a layer, in a process of its own if ``separate``."""

        def call() -> tuple[Listing, LayerMetadata]:
            what = f"layer {number}"
            try:
                listing, metadata = examine_layer(
                    blob, self._runtime.store, self._runtime.cancel, what=what,
                    in_process=examine_in_process if separate else None,
                )  # fmt: skip
                if diff_id:
                    require_diff_id(listing, diff_id[0], what)
                self._add(listing, metadata)
            except HomeportError as error:
                raise error.at(layer=number, digest=str(blob.digest))  # noqa: B904  same error, with its place
            self._runtime.progress.advance("layers", 1)
            return listing, metadata

        return call

    def _add(self, listing: Listing, metadata: LayerMetadata) -> None:
        with self._lock:
            self.budget.entries(len(listing.entries), listing.path_bytes)
            self.budget.memory(len(listing.entries) * ENTRY_MEMORY + listing.path_bytes)
            self.budget.memory(sum(map(len, metadata.files.values())))
