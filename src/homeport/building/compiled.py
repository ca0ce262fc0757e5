"""Modules and crates in the programs that a recipe brings: local files and results of parts.

Packages of Debian are listed as packages; what is inside their programs their maintainers track.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from homeport.assemble.build import BuiltImage
from homeport.assemble.plan import BuildPlan
from homeport.content.blob import Blob, verified
from homeport.elf import MAGIC
from homeport.images.image import digest_of
from homeport.inspection.binaries.facts import BinaryFacts, examine
from homeport.inspection.packages.compiled_packages import compiled_packages
from homeport.inspection.report.image_bill import component_of
from homeport.layers.listing import Hashed, list_layer
from homeport.progress import CancelToken
from homeport.sbom.model import Bill, Component

#: Programs larger than this are not read, as in inspections.
_LARGEST = 256 << 20
_STEP = 1 << 18


def with_compiled(bill: Bill, image: BuiltImage, plan: BuildPlan) -> tuple[Component, ...]:
    """The components of ``bill`` and those that its programs record, each once, sorted."""
    programs = dict(_local(plan))
    results = {file.path for file in bill.files if file.origin in ("part", "image")}
    if results:
        programs |= programs_in_layers(image, results)
    found = (component_of(one, bill.distribution) for one in compiled_packages(programs.items()))
    return tuple(
        sorted(
            dict.fromkeys((*bill.components, *found)),
            key=lambda one: (one.kind, one.name, one.version, one.location),
        )
    )


def _local(plan: BuildPlan) -> Iterator[tuple[bytes, BinaryFacts]]:
    for path, node in plan.own:
        if node.content is not None and node.content.size <= _LARGEST and _is_elf(node.content):
            with verified(node.content, "a local file") as stream:
                yield path, examine(stream.readall())


def _is_elf(content: Blob) -> bool:
    with content.open() as stream:
        return stream.read(len(MAGIC)) == MAGIC


def programs_in_layers(image: BuiltImage, wanted: set[str]) -> dict[bytes, BinaryFacts]:
    """The facts of programs at these paths."""
    contents = _Programs({path.removeprefix("/").encode() for path in wanted})
    for layer in image.image.document.parsed.layers:
        list_layer(image.image.blobs[digest_of(layer)], contents, CancelToken())
    return contents.found


class _Programs(Hashed):
    """Examines programs at some paths; everything else is only hashed."""

    def __init__(self, wanted: set[bytes]) -> None:
        self.found: dict[bytes, BinaryFacts] = {}
        self._wanted = wanted

    def small(self, path: bytes, data: bytes) -> bytes:
        self._examine(path, data)
        return super().small(path, data)

    def large(self, path: bytes, size: int, read: Callable[[int], bytes]) -> tuple[bytes, bytes]:
        if path not in self._wanted or size > _LARGEST:
            return super().large(path, size, read)
        data = b"".join(iter(lambda: read(_STEP), b""))
        self._examine(path, data)
        return super().small(path, data), data[:4]

    def _examine(self, path: bytes, data: bytes) -> None:
        if path in self._wanted and data.startswith(MAGIC):
            self.found[path] = examine(data)
