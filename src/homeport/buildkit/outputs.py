"""Where results go: ``dir:DIR`` and ``tar:FILE`` straight from the engine's stream.

Not for images (``homeport.buildkit.squash``), which become OCI images of ours first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from homeport.buildkit.solve import Export
from homeport.content.files import atomic_write
from homeport.errors import UsageError

if TYPE_CHECKING:
    from homeport.images.address import Address
    from homeport.oci.reference import Reference

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


class LoadOutput(msgspec.Struct, frozen=True):
    """The native image under a name in a running docker or podman."""

    name: Reference

    def __str__(self) -> str:
        return f"load:{self.name}"


Output = FolderOutput | TarOutput | ImageOutput | LoadOutput


def parse_output(text: str) -> Output:
    """Read ``-o``, also as buildx writes it. Raises ``UsageError``."""
    if text.startswith("type="):
        text = _of_buildx(text)
    kind, colon, place = text.partition(":")
    if kind in ("dir", "tar"):
        if not colon or not place or "\0" in place:
            raise UsageError(f"-o {text}: no path", hint=f"write {FORMS}")
        if kind == "dir":
            return FolderOutput(Path(place))
        return TarOutput(None if place == "-" else Path(place))
    # 9 ms that a build without an image saves
    from homeport.images.address import StreamAddress, parse_destination

    address = parse_destination(text)
    if isinstance(address, StreamAddress):
        raise UsageError(f"-o {text}: name the archive format", hint=f"write {FORMS}")
    return ImageOutput(address)


def with_tags(
    outputs: Sequence[Output], tags: Sequence[str], *, push: bool, load: bool
) -> tuple[Output, ...]:
    """The outputs with the names of ``--tag``, and those of ``--push`` and ``--load``.

    Raises ``UsageError``.
    """
    if not (tags or push or load):
        return tuple(outputs)
    if not tags:
        raise UsageError(
            f"{'--push' if push else '--load'} requires a name",
            hint="add one, for example --tag registry.example/team/app:1",
        )
    # 9 ms that a build without an image saves
    from homeport.images.address import RegistryAddress
    from homeport.images.tagging import check_tags, tagged
    from homeport.oci.reference import parse_reference

    images = [output.address for output in outputs if isinstance(output, ImageOutput)]
    check_tags(images, tags, used_otherwise=push or load)
    found: list[Output] = []
    for output in outputs:
        if isinstance(output, ImageOutput):
            named = tagged(output.address, tags, lambda tag: str(parse_reference(tag)))
            found += [ImageOutput(address) for address in named]
        else:
            found.append(output)
    names = [parse_reference(tag) for tag in tags] if push or load else []
    found += [ImageOutput(RegistryAddress(reference=name)) for name in names if push]
    found += [LoadOutput(name) for name in names if load]
    return tuple(found)


def _of_buildx(text: str) -> str:
    """``type=local,dest=DIR`` and its like in our form. Raises ``UsageError``."""
    fields: dict[str, str] = {}
    for word in text.split(","):
        key, equals, value = word.partition("=")
        if not equals or key in fields:
            raise UsageError(f"-o {text}: {word!r} is not KEY=VALUE", hint=f"write {FORMS}")
        fields[key] = value
    kind = fields.pop("type")
    place = fields.pop("dest", "")
    if kind in ("image", "registry"):
        name, pushed = fields.pop("name", ""), fields.pop("push", "") == "true"
        form = f"docker://{name}" if name and (pushed or kind == "registry") else ""
        wanted = "name=REF,push=true"
    else:
        folder = kind == "oci" and fields.pop("tar", "true") == "false"
        prefix = "oci" if folder else _BUILDX.get(kind, "")
        form = f"{prefix}:{place}" if prefix and place else ""
        wanted = "dest=PLACE"
        if not prefix:
            raise UsageError(f"-o {text}: unknown kind of output", hint=f"write {FORMS}")
    if fields:
        raise UsageError(f"-o {text}: {next(iter(fields))} is not supported", hint=f"write {FORMS}")
    if not form:
        raise UsageError(f"-o {text}: no destination", hint=f"write type={kind},{wanted}")
    return form


#: Outputs of buildx and ours.
_BUILDX = {"local": "dir", "tar": "tar", "oci": "oci-archive", "docker": "docker-archive"}


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
