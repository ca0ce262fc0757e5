"""Addresses of images, and the table of transports. Specified in docs/formats/addresses.md.

A transport is a row of ``TRANSPORTS``: how its addresses begin, how they are read, and the class
that reads and writes images there. Not for the names inside registries (``oci.reference``).
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Callable
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
_PATH_BEGINS = ("./", "../", "/")
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh")
_ARCHIVE_NAMES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz")
#: Words of other tools before a colon, and how Homeport spells what they mean as a destination.
_LOADS = "for docker or podman, use build --load, or write docker-archive:FILE"
_OTHER_WORDS = {
    "docker": _LOADS,
    "podman": _LOADS,
    "daemon": _LOADS,
    "layout": "for a directory, write oci:…",
    "ocidir": "for a directory, write oci:…",
    "oci-layout": "for a directory, write oci:…",
    "tar": "for a file, write oci-archive:… or docker-archive:…",
    "tarball": "for a file, write docker-archive:…",
    "file": "for a file, write oci-archive:… or docker-archive:…",
    "registry": "for a registry, write docker://…",
}
_IMAGE_ID = r"sha256:[0-9a-f]{64}|[0-9a-f]{12,64}"


class BadAddress(UsageError):
    """An invalid address, or one that cannot be used this way."""

    id = "bad-address"


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where an image is or goes. Each transport has its own; ``str`` gives its text."""

    @property
    def scheme(self) -> str:
        """The key of its row in ``TRANSPORTS``."""
        raise NotImplementedError


class RegistryAddress(Address, frozen=True, kw_only=True):
    """An image in a registry."""

    reference: Reference

    @property
    def scheme(self) -> str:
        return "docker"

    def __str__(self) -> str:
        return f"docker://{self.reference}"


class LayoutAddress(Address, frozen=True, kw_only=True):
    """An image in an OCI image layout, a directory. Empty ``tag`` and no ``digest``: see below.

    For reading the only image or ``latest``, for writing ``latest``.
    """

    path: Path
    tag: str = ""
    digest: Digest | None = None

    @property
    def scheme(self) -> str:
        return "oci"

    def __str__(self) -> str:
        return f"oci:{self.path}{_selector(self.tag, self.digest)}"


class DirAddress(Address, frozen=True, kw_only=True):
    """The one image in a directory, as skopeo's ``dir:`` keeps it."""

    path: Path

    @property
    def scheme(self) -> str:
        return "dir"

    def __str__(self) -> str:
        return f"dir:{self.path}"


class ArchiveAddress(Address, frozen=True, kw_only=True):
    """An image in a tar archive; ``path`` is ``None`` for standard input or output.

    tag:       of an OCI archive as in a layout; of a docker archive a whole reference
    position:  the N-th image of a docker archive, from 0
    """

    format: ArchiveFormat
    path: Path | None
    tag: str = ""
    digest: Digest | None = None
    position: int | None = None

    @property
    def scheme(self) -> str:
        return self.format

    @property
    def holds_attached(self) -> bool:
        """Whether what refers to the image can be added once the archive is written."""
        return self.format == "oci-archive" and self.path is not None

    def __str__(self) -> str:
        selector = _selector(self.tag, self.digest)
        if self.position is not None:
            selector = f":@{self.position}"
        return f"{self.format}:{self.path or '-'}{selector}"


class FileAddress(Address, frozen=True, kw_only=True):
    """An archive of this machine, named by its path alone: it tells of which kind it is."""

    path: Path

    @property
    def scheme(self) -> str:
        return "./"

    def __str__(self) -> str:
        text = str(self.path)
        return text if text.startswith(_PATH_BEGINS) else f"./{text}"


class EngineAddress(Address, frozen=True, kw_only=True):
    """An image in a local engine, by name or by image id."""

    engine: Engine
    name: str

    @property
    def scheme(self) -> str:
        return self.engine

    def __str__(self) -> str:
        return f"{self.engine}:{self.name}"


class StreamAddress(Address, frozen=True, kw_only=True):
    """``-``: an archive of either kind on standard input; an OCI archive on output."""

    @property
    def scheme(self) -> str:
        return "-"

    def __str__(self) -> str:
        return "-"


def pinned(address: Address, digest: Digest) -> str:
    """An address of what was just written there, by its digest where the transport has such."""
    match address:
        case RegistryAddress(reference=reference):
            return str(reference.at_digest(digest))
        case LayoutAddress():
            return str(msgspec.structs.replace(address, tag="", digest=digest))
        case ArchiveAddress(path=Path()):
            return str(msgspec.structs.replace(address, tag="", digest=digest))
        case _:
            return str(digest)


class TransportRow(msgspec.Struct, frozen=True, kw_only=True):
    """One transport.

    prefix:       what its addresses begin with
    parse:        the whole text and what follows the prefix → the address
    serves:       ``module:class`` (``transports.base``), made for one address; imported when an
                  address needs it, because most runs use one. ``""``: the caller makes it,
                  because it needs a network
    writes:       whether images can be written there
    destination:  raises ``BadAddress`` for an address that can be read only
    """

    prefix: str
    parse: Callable[[str, str], Address]
    serves: str
    writes: bool = True
    destination: Callable[[str, Address], None] = lambda _text, _address: None


def registry_of(*addresses: Address) -> str:
    """The registry that options of a command are meant for: the first that is named, or ""."""
    for address in addresses:
        if isinstance(address, RegistryAddress):
            return address.reference.registry
    return ""


def parse_source(text: str) -> Address:
    """Read the address of an image that is to be read. Raises ``UsageError``.

    A path of this machine is an address where it cannot be a name in a registry (``./x``), and
    where a name without a slash is a layout or an archive here.
    """
    if found := _local(text):
        return found
    _refuse_archive_name(text)
    return _read(text)


def _refuse_archive_name(text: str) -> None:
    """A name like ``image.tar`` means a file, though a registry could have a repository of it."""
    first, slash, _ = text.partition("/")
    host = slash and ("." in first or ":" in first or first == "localhost")
    if text.startswith((*_PATH_BEGINS, *_transports())) or host:
        return
    if text.endswith(_ARCHIVE_NAMES) and ":" not in text:
        missing = not os.path.lexists(text)
        what = "no such file or directory" if missing else "neither a layout nor an archive"
        raise BadAddress(
            f"{text}: {what}",
            where={"file": text},
            hint=f"an image of that name in a registry is docker://{DEFAULT_REGISTRY}/{text}",
        )


def _read(text: str) -> Address:
    """``_parse``; text that is no reference may be in the words of another tool."""
    try:
        return _parse(text)
    except BadReference as error:
        error.hint = _meant(text) or error.hint
        raise


def _parse(text: str) -> Address:
    for row in TRANSPORTS.values():
        if text.startswith(row.prefix) and (row.prefix[-1] in ":/" or text == row.prefix):
            return row.parse(text, text.removeprefix(row.prefix))
    return _bare(text)


def parse_destination(text: str) -> Address:
    """Read the address of an image that is to be written. Raises ``UsageError``."""
    address = _read(text)
    row = TRANSPORTS[address.scheme]
    if not row.writes:
        raise BadAddress(
            f"{row.prefix} can be read, not written", hint="homeport build --load loads an image"
        )
    row.destination(text, address)
    return address


def _registry_destination(text: str, address: Address) -> None:
    if not names_registry(text.removeprefix("docker://")):
        hint = f"for {DEFAULT_REGISTRY}, write {address}"
        if guess := _meant(text):
            hint = f"{guess}; {hint}"
        raise BadAddress(f"the destination {text!r} names no registry", hint=hint)


def _meant(text: str) -> str:
    """What a bare name may have meant instead of an image on the default registry, or ``""``."""
    word, colon, rest = text.partition(":")
    if word in _OTHER_WORDS and names_registry(rest):
        return f"for a registry, write docker://{rest}"
    if colon and (spelled := _OTHER_WORDS.get(word)):
        return spelled.replace("…", rest)
    if "/" in text or colon:
        return ""
    if text.endswith(_ARCHIVE_NAMES):
        return f"for a file, write oci-archive:{text} or docker-archive:{text}"
    is_folder = text.endswith(".oci") or os.path.isdir(text)
    return f"for a directory, write oci:{text}" if is_folder else ""


def _tagged_destination(text: str, address: Address) -> None:
    match address:
        case LayoutAddress(digest=Digest()) | ArchiveAddress(digest=Digest()):
            raise BadAddress(f"invalid destination {text!r}: use a tag, not a digest")
        case ArchiveAddress(position=int()):
            raise BadAddress(f"invalid destination {text!r}: use a tag, not a position")
        case LayoutAddress(tag=tag) | ArchiveAddress(format="oci-archive", tag=tag):
            _check_layout_name(text, tag or DEFAULT_TAG)


def _bare(text: str) -> RegistryAddress:
    if not text:
        raise BadAddress("the address is empty")
    if text.startswith((*_PATH_BEGINS, "~")):
        raise BadAddress(
            f"invalid image address {text!r}: no transport",
            hint=f"a directory is oci:{text}, a file oci-archive:{text} or docker-archive:{text}",
        )
    if text.startswith(("https://", "http://")):
        plain = " --plain-http" if text.startswith("http:") else ""
        raise BadAddress(
            f"invalid image address {text!r}: a URL",
            hint=f"write {text.partition('//')[2]}{plain}",
        )
    if re.fullmatch(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}", text):
        raise BadAddress(
            f"invalid image address {text!r}: a digest without a repository",
            hint=f"write REPOSITORY@{text}, or docker-daemon:{text} for an image of docker",
        )
    if "://" in text:
        known = ", ".join(row.prefix for row in TRANSPORTS.values())
        raise BadAddress(f"unknown transport in {text!r}", hint=f"use one of {known}")
    return RegistryAddress(reference=parse_reference(text))


def _local(text: str) -> Address | None:
    """What is at a path of this machine, if ``text`` means one. Raises ``BadAddress``."""
    explicit = text.startswith(_PATH_BEGINS)
    if not explicit and (not text or "\0" in text or text.startswith(_transports())):
        return None
    path, selector = Path(text), ""
    if not os.path.lexists(_path(text, text)):
        place, separator, rest = text.partition(":")
        path, selector = Path(place), separator + rest
    found = _at(path, selector)
    if explicit:
        if found is None:
            missing = not os.path.lexists(path)
            what = "no such file or directory" if missing else "neither a layout nor an archive"
            raise BadAddress(
                f"{text}: {what}", where={"file": str(path)}, hint=folder_hint(path) or None
            )
        return found
    if found is not None and "/" in text:
        raise BadAddress(
            f"{text!r} is a path here and also the name of an image in a registry",
            hint=f"write {shlex.quote(f'./{text}')} or {shlex.quote(f'docker://{text}')}",
        )
    return found


def folder_hint(path: Path) -> str:
    """What a command that reads images may have been meant to do with a directory; or ``""``."""
    if not path.is_dir():
        return ""
    word = shlex.quote(str(FileAddress(path=path)))
    if (path / "homeport.yaml").is_file():
        return f"{path} has a recipe; build its image: homeport build {word}"
    return f"{path} is a directory without an image; audit its files: homeport audit {word}"


def _at(path: Path, selector: str) -> Address | None:
    """The layout or archive at a path, if there is one."""
    with contextlib.suppress(OSError):
        if (path / "oci-layout").is_file() or (path / "index.json").is_file():
            return _layout(f"{path}{selector}", f"{path}{selector}")
        if not selector and (path / "manifest.json").is_file() and (path / "version").is_file():
            return DirAddress(path=path)
        if path.is_file() and not selector:
            with path.open("rb") as stream:
                start = stream.read(512)
            if start[257:262] == b"ustar" or start.startswith(_COMPRESSED):
                return FileAddress(path=path)
    return None


def _transports() -> tuple[str, ...]:
    return ("-", "~", *(row.prefix for row in TRANSPORTS.values()))


def _split_place(text: str, place: str) -> tuple[str, str, Digest | None]:
    """Path, tag and digest of ``PATH[:TAG]`` or ``PATH@DIGEST``."""
    path, at, digest = place.rpartition("@")
    if at and digest.startswith(("sha256:", "sha512:")):
        return _path(text, path), "", Digest.parse(digest)
    path, colon, tag = place.partition(":")
    if colon and not tag:
        raise BadAddress(f"invalid address {text!r}: empty tag after the colon")
    return _path(text, path), tag, None


def _registry(text: str, place: str) -> RegistryAddress:
    return RegistryAddress(reference=_reference_inside(text, place))


def _layout(text: str, place: str) -> LayoutAddress:
    if re.match("//[^/]", place):  # helm and flux write registries so
        raise BadAddress(
            f"invalid image address {text!r}: {place} is not a path",
            hint=f"for a registry, write docker:{place}; for a directory, oci:{place[1:]}",
        )
    path, tag, digest = _split_place(text, place)
    return LayoutAddress(path=Path(path), tag=tag, digest=digest)


def _dir(text: str, place: str) -> DirAddress:
    return DirAddress(path=Path(_path(text, place)))


def _oci_archive(text: str, place: str) -> ArchiveAddress:
    path, tag, digest = _split_place(text, place)
    return ArchiveAddress(format="oci-archive", path=_file(path), tag=tag, digest=digest)


def _docker_archive(text: str, place: str) -> ArchiveAddress:
    path, selector, digest = _split_place(text, place)
    position: int | None = None
    tag = ""
    if selector.startswith("@"):
        if not re.fullmatch("[0-9]{1,9}", selector[1:]):
            raise BadAddress(f"invalid address {text!r}: :@ takes the number of an image, from 0")
        position = int(selector[1:])
    elif selector:
        tag = str(_reference_inside(text, selector))
    return ArchiveAddress(
        format="docker-archive", path=_file(path), tag=tag, digest=digest, position=position
    )


def _engine(engine: Engine) -> Callable[[str, str], EngineAddress]:
    def parse(text: str, name: str) -> EngineAddress:
        known = re.fullmatch(_IMAGE_ID, name)
        return EngineAddress(
            engine=engine, name=name if known else str(_reference_inside(text, name))
        )

    return parse


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
        raise BadAddress(
            f"invalid address {text!r}: no path",
            hint=f"write {text.partition(':')[0]}:PATH",
        )
    if "\0" in path:
        raise BadAddress(f"invalid address {text!r}: zero byte in the path")
    return path


def _file(path: str) -> Path | None:
    return None if path == "-" else Path(path)


def _check_layout_name(text: str, tag: str) -> None:
    found = re.match(_LAYOUT_NAME, tag)
    good = found.end() if found else 0
    if good < len(tag):
        column = len(text) - len(tag) + good + 1
        raise BadAddress(
            f"invalid layout tag {tag!r}: unexpected {tag[good]!r} (character {column})",
            where={"reference": text, "column": column},
            hint="use letters and digits, with single - . _ : @ / + between them",
        )


def _selector(tag: str, digest: Digest | None) -> str:
    return f"@{digest}" if digest else f":{tag}" if tag else ""


_BASE = "homeport.images.transports"

#: The transports by scheme. To add one, add a row here, its class beside the others, and a line in
#: tests/images/homes.py.
TRANSPORTS: dict[str, TransportRow] = {
    "docker": TransportRow(
        prefix="docker://", parse=_registry, serves="", destination=_registry_destination
    ),
    "oci": TransportRow(
        prefix="oci:", parse=_layout, serves=f"{_BASE}.oci_layout:OciLayout",
        destination=_tagged_destination,
    ),
    "dir": TransportRow(prefix="dir:", parse=_dir, serves=f"{_BASE}.skopeo_dir:SkopeoDir"),
    "oci-archive": TransportRow(
        prefix="oci-archive:", parse=_oci_archive, serves=f"{_BASE}.oci_archive:OciArchive",
        destination=_tagged_destination,
    ),
    "docker-archive": TransportRow(
        prefix="docker-archive:", parse=_docker_archive,
        serves=f"{_BASE}.docker_archive:DockerArchive", destination=_tagged_destination,
    ),
    "docker-daemon": TransportRow(
        prefix="docker-daemon:", parse=_engine("docker-daemon"),
        serves=f"{_BASE}.docker_daemon:DockerDaemon", writes=False,
    ),
    "containers-storage": TransportRow(
        prefix="containers-storage:", parse=_engine("containers-storage"),
        serves=f"{_BASE}.containers_storage:ContainersStorage", writes=False,
    ),
    "./": TransportRow(
        prefix="./", parse=lambda text, _rest: _bare(text),
        serves=f"{_BASE}.local_archive:LocalArchive", writes=False,
    ),
    "-": TransportRow(
        prefix="-", parse=lambda _text, _rest: StreamAddress(), serves=f"{_BASE}.stdio:Stream"
    ),
}  # fmt: skip
