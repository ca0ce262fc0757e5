"""Where results go: ``dir:DIR`` and ``tar:FILE`` straight from the engine's stream.

Not for images (``homeport.buildkit.squash``), which become OCI images of ours first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from homeport.buildkit.solve import Export
from homeport.content.files import atomic_write
from homeport.errors import UsageError

if TYPE_CHECKING:
    from homeport.images.address import Address

FORMS = "dir:DIR, tar:FILE, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE or docker://REF"


class FolderOutput(msgspec.Struct, frozen=True):
    """The result's files in a directory, merged with what is there."""

    path: Path

    def __str__(self) -> str:
        return f"dir:{self.path}"


class TarOutput(msgspec.Struct, frozen=True):
    """The result's files as a tar archive; ``None`` is standard output."""

    path: Path | None

    def __str__(self) -> str:
        return f"tar:{self.path or '-'}"


class ImageOutput(msgspec.Struct, frozen=True):
    """The result as an image."""

    address: Address

    def __str__(self) -> str:
        return str(self.address)


Output = FolderOutput | TarOutput | ImageOutput


def parse_output(text: str) -> Output:
    """Read ``-o``. Raises ``UsageError``."""
    kind, colon, place = text.partition(":")
    if kind in ("dir", "tar"):
        if not colon or not place or "\0" in place:
            raise UsageError(f"-o {text}: no path", hint=f"write {FORMS}")
        if kind == "dir":
            return FolderOutput(Path(place))
        return TarOutput(None if place == "-" else Path(place))
    if text.startswith("type="):
        raise UsageError(f"-o {text}: unknown kind of output", hint=f"write {FORMS}")
    # 9 ms that a build without an image saves
    from homeport.images.address import StreamAddress, parse_destination

    address = parse_destination(text)
    if isinstance(address, StreamAddress):
        raise UsageError(f"-o {text}: name the archive format", hint=f"write {FORMS}")
    return ImageOutput(address)


@contextmanager
def export_to(output: FolderOutput | TarOutput | None) -> Iterator[tuple[Export, ...]]:
    """The exports for one output; a file appears whole when the block ends, or not at all."""
    if output is None:
        yield ()
    elif isinstance(output, FolderOutput):
        yield (Export(type="local", to=output.path),)
    elif output.path is None:
        yield (Export(type="tar", to=sys.stdout.buffer),)
        sys.stdout.buffer.flush()
    else:
        with atomic_write(output.path) as stream:
            yield (Export(type="tar", to=stream),)
