"""Addresses of images: a transport and a place. Specified in docs/formats/addresses.md.

Parsing only; who serves an address is decided where the transports are put together
(``images.transports``). Not for the names inside registries (``oci.reference``).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import msgspec

from homeport.content.digest import Digest
from homeport.errors import UsageError
from homeport.oci.reference import (
    DEFAULT_REGISTRY,
    DEFAULT_TAG,
    BadReference,
    Reference,
    names_registry,
    parse_reference,
)

ArchiveFormat = Literal["oci-archive", "docker-archive"]
Engine = Literal["docker-daemon", "containers-storage"]

_WORD_CHAR = "A-Za-z0-9"
_LAYOUT_NAME = rf"[{_WORD_CHAR}]+(?:(?:[-._:@/+]|--)[{_WORD_CHAR}]+)*"
_IMAGE_ID = r"sha256:[0-9a-f]{64}|[0-9a-f]{12,64}"
_SCHEMES = (
    "docker://", "oci:", "oci-archive:", "docker-archive:", "docker-daemon:",
    "containers-storage:",
)  # fmt: skip


class BadAddress(UsageError):
    """Text that is no address, or one that cannot be used this way."""

    id = "bad-address"


class RegistryAddress(msgspec.Struct, frozen=True, kw_only=True):
    """An image in a registry."""

    reference: Reference

    def __str__(self) -> str:
        return f"docker://{self.reference}"


class LayoutAddress(msgspec.Struct, frozen=True, kw_only=True):
    """An image in an OCI image layout, a directory. Empty ``tag`` and no ``digest``: see below.

    For reading the only image or ``latest``, for writing ``latest``.
    """

    path: Path
    tag: str = ""
    digest: Digest | None = None

    def __str__(self) -> str:
        return f"oci:{self.path}{_selector(self.tag, self.digest)}"


class ArchiveAddress(msgspec.Struct, frozen=True, kw_only=True):
    """An image in a tar archive; ``path`` is ``None`` for standard input or output.

    tag:       of an OCI archive as in a layout; of a docker archive a whole reference
    position:  the N-th image of a docker archive, from 0
    """

    format: ArchiveFormat
    path: Path | None
    tag: str = ""
    digest: Digest | None = None
    position: int | None = None

    def __str__(self) -> str:
        selector = _selector(self.tag, self.digest)
        if self.position is not None:
            selector = f":@{self.position}"
        return f"{self.format}:{self.path or '-'}{selector}"


class EngineAddress(msgspec.Struct, frozen=True, kw_only=True):
    """An image in a local engine, by name or by image id."""

    engine: Engine
    name: str

    def __str__(self) -> str:
        return f"{self.engine}:{self.name}"


class StreamAddress(msgspec.Struct, frozen=True, kw_only=True):
    """``-``: an archive on standard input, whichever its kind; an OCI archive on output."""

    def __str__(self) -> str:
        return "-"


Address = RegistryAddress | LayoutAddress | ArchiveAddress | EngineAddress | StreamAddress


def parse_source(text: str) -> Address:
    """Read the address of an image that is to be read. Raises ``UsageError``."""
    scheme, colon, place = text.partition(":")
    match (scheme if colon else "", place):
        case ("docker", place) if place.startswith("//"):
            return RegistryAddress(reference=_reference_inside(text, place[2:]))
        case (("oci" | "oci-archive") as kind, place):
            return _layout_or_archive(text, kind, place)
        case ("docker-archive", place):
            return _docker_archive(text, place)
        case (("docker-daemon" | "containers-storage") as engine, name):
            return EngineAddress(engine=engine, name=_engine_name(text, name))
        case _:
            return _bare(text)


def parse_destination(text: str) -> Address:
    """Read the address of an image that is to be written. Raises ``UsageError``."""
    address = parse_source(text)
    match address:
        case RegistryAddress(reference=reference):
            if not names_registry(text.removeprefix("docker://")):
                raise BadAddress(
                    f"the destination {text!r} names no registry",
                    hint=f"if you mean {DEFAULT_REGISTRY}, write docker://{reference}",
                )
        case EngineAddress(engine=engine):
            raise BadAddress(
                f"{engine}: can be read, not written", hint="homeport build --load loads an image"
            )
        case LayoutAddress(digest=Digest()) | ArchiveAddress(digest=Digest()):
            raise BadAddress(f"a destination is named by a tag, not by a digest: {text}")
        case ArchiveAddress(position=int()):
            raise BadAddress(f"a destination is named by a tag, not by a position: {text}")
        case LayoutAddress(tag=tag) | ArchiveAddress(format="oci-archive", tag=tag):
            _check_layout_name(text, tag or DEFAULT_TAG)
        case _:
            pass
    return address


def _bare(text: str) -> RegistryAddress | StreamAddress:
    if text == "-":
        return StreamAddress()
    if not text:
        raise BadAddress("the address is empty")
    if text.startswith(("/", "./", "../", "~")):
        raise BadAddress(
            f"{text!r} is not the address of an image: it names no transport",
            hint=f"a directory is oci:{text}, a file oci-archive:{text} or docker-archive:{text}",
        )
    if "://" in text:
        raise BadAddress(
            f"{text!r} has an unknown transport", hint=f"known are {', '.join(_SCHEMES)} and -"
        )
    return RegistryAddress(reference=parse_reference(text))


def _split_place(text: str, place: str) -> tuple[str, str, Digest | None]:
    """Path, tag and digest of ``PATH[:TAG]`` or ``PATH@DIGEST``."""
    path, at, digest = place.rpartition("@")
    if at and digest.startswith(("sha256:", "sha512:")):
        return _path(text, path), "", Digest.parse(digest)
    path, colon, tag = place.partition(":")
    if colon and not tag:
        raise BadAddress(f"{text!r} ends with a colon, but no tag follows")
    return _path(text, path), tag, None


def _layout_or_archive(text: str, kind: str, place: str) -> LayoutAddress | ArchiveAddress:
    path, tag, digest = _split_place(text, place)
    if kind == "oci":
        return LayoutAddress(path=Path(path), tag=tag, digest=digest)
    return ArchiveAddress(format="oci-archive", path=_file(path), tag=tag, digest=digest)


def _docker_archive(text: str, place: str) -> ArchiveAddress:
    path, selector, digest = _split_place(text, place)
    position: int | None = None
    tag = ""
    if selector.startswith("@"):
        if not selector[1:].isascii() or not selector[1:].isdigit():
            raise BadAddress(f"{text!r}: after :@ comes the number of an image, from 0")
        position = int(selector[1:])
    elif selector:
        tag = str(_reference_inside(text, selector))
    return ArchiveAddress(
        format="docker-archive", path=_file(path), tag=tag, digest=digest, position=position
    )


def _engine_name(text: str, name: str) -> str:
    return name if re.fullmatch(_IMAGE_ID, name) else str(_reference_inside(text, name))


def _reference_inside(text: str, part: str) -> Reference:
    """The reference at the end of ``text``; an error counts characters from its start."""
    try:
        return parse_reference(part)
    except BadReference as error:
        column = int(error.where["column"]) + len(text) - len(part)
        error.where.update(reference=text, column=column)
        raise


def _path(text: str, path: str) -> str:
    if not path:
        raise BadAddress(f"{text!r} names no path")
    if "\0" in path:
        raise BadAddress(f"{text!r} holds a zero byte")
    return path


def _file(path: str) -> Path | None:
    return None if path == "-" else Path(path)


def _check_layout_name(text: str, tag: str) -> None:
    found = re.match(_LAYOUT_NAME, tag)
    good = found.end() if found else 0
    if good < len(tag):
        column = len(text) - len(tag) + good + 1
        raise BadAddress(
            f"{tag!r} cannot be the tag of an image layout: "
            f"{tag[good]!r} does not fit (character {column})",
            where={"reference": text, "column": column},
            hint="a tag is letters and digits, with single - . _ : @ / + between them",
        )


def _selector(tag: str, digest: Digest | None) -> str:
    return f"@{digest}" if digest else f":{tag}" if tag else ""
