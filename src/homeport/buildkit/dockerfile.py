"""A Dockerfile build as BuildKit's ``dockerfile.v0`` frontend expects it, or another frontend.

A file whose first lines name a frontend image (``# syntax=REF``) is built by that image through
the gateway, as the Dockerfile frontend itself would hand it on, on engines of every age.

Turns the options of a build (context, file, arguments, platforms) into the frontend's attributes
and the directories that the session offers. The frontend itself asks for the Dockerfile and
.dockerignore and filters the context; what it may ask for is limited here all the same. Not for
running it (``homeport.buildkit.solve``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from homeport.buildkit.failures import Sources
from homeport.buildkit.session.context_folder import IGNORE_FILE, BadContext, Offer
from homeport.buildkit.session.session import shared_key
from homeport.buildkit.solve import GATEWAY, Build
from homeport.content.files import open_input
from homeport.content.reading import read_bounded
from homeport.copying.errors import CopyError
from homeport.copying.ignore import Ignore
from homeport.copying.ignore import read as read_ignore
from homeport.dockerfile.syntax import BUILT_IN, find_syntax
from homeport.errors import UsageError
from homeport.oci.platform import Platform

_FILE_LIMIT = 4 << 20
#: By Go's names, as platforms of images are.
_SYSTEMS = ("linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "wasi", "wasip1")
_ARCHITECTURES = (
    "amd64", "386", "arm64", "arm", "ppc64le", "ppc64", "s390x", "riscv64", "loong64",
    "mips64le", "mips64", "mipsle", "mips", "wasm",
)  # fmt: skip
_REMOTE = ("http://", "https://", "git://", "ssh://", "git@")


class DockerfileBuild(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a build.

    context:        a directory, or a URL that the engine fetches
    file:           the Dockerfile, or a file for another frontend, as a path of this machine or
                    in the context; by default ``Dockerfile`` in the context
    syntax:         the frontend's image, instead of the one that the file or the build argument
                    ``BUILDKIT_SYNTAX`` names; ``dockerfile.v0`` is the one built into BuildKit
    build_contexts: named contexts: a directory, a URL, ``docker-image://…``
    options:        any attribute of the frontend; overrides all others
    """

    context: Path | str
    file: Path | str | None = None
    syntax: str = ""
    target: str = ""
    build_args: Mapping[str, str] = msgspec.field(default_factory=dict)
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    build_contexts: Mapping[str, str] = msgspec.field(default_factory=dict)
    platforms: Sequence[Platform] = ()
    no_cache: bool = False
    attests: Sequence[str] = ()
    options: Mapping[str, str] = msgspec.field(default_factory=dict)


def read_context(text: str) -> Path | str:
    """A directory, or a URL. Raises ``BadContext``."""
    if text.startswith(_REMOTE):
        return text
    path = Path(text)
    if not path.exists():
        raise BadContext(f"no such directory: {text}", where={"file": text})
    if not path.is_dir():
        raise BadContext(
            f"not a directory: {text}", where={"file": text},
            hint="the context is a directory, a URL, or a file that ends in .llb",
        )  # fmt: skip
    return path


def prepare(wanted: DockerfileBuild) -> Build:
    """The build, without exports. Raises ``BadContext``."""
    attrs: dict[str, str] = {}
    folders: dict[str, Offer] = {}
    sources = Sources()
    key = ""
    if isinstance(wanted.context, str):
        attrs["context"] = wanted.context
        if wanted.file is not None:
            attrs["filename"] = str(wanted.file)
    else:
        file = _find(wanted.context, wanted.file)
        sources = Sources({str(file): _read(file)})
        attrs["filename"] = file.name
        filename = wanted.options.get("filename", file.name)
        other = bool(_frontend(wanted, "".join(sources.texts.values())))
        folders = _offered(wanted.context, file.parent, filename, other=other)
        key = shared_key(os.uname().nodename, str(wanted.context.resolve()), str(file.resolve()))
    attrs |= _attributes(wanted)
    for name, value in wanted.build_contexts.items():
        attrs[f"context:{name}"] = _named_context(name, value, folders)
    frontend = _frontend(wanted, "".join(sources.texts.values()))
    if frontend:
        attrs |= {"source": frontend, "cmdline": frontend}
    attrs |= wanted.options
    return Build(
        frontend=GATEWAY if frontend else BUILT_IN,
        attrs=attrs, folders=folders, shared_key=key, sources=sources,
    )  # fmt: skip


def _frontend(wanted: DockerfileBuild, text: str) -> str:
    """The image of the frontend; nothing for the one that is built into BuildKit."""
    named = wanted.syntax or wanted.build_args.get("BUILDKIT_SYNTAX", "")
    if not named and (found := find_syntax(text)):
        named = found.value
    return "" if named == BUILT_IN else named


def context_offer(context: Path) -> Offer:
    """A build context without what its ``.dockerignore`` excludes. Raises ``BadContext``."""
    return Offer(context, ignore=_ignore_patterns(context / os.fsdecode(IGNORE_FILE)) or ())


def _offered(context: Path, folder: Path, filename: str, *, other: bool) -> dict[str, Offer]:
    """The build context without what is ignored; of the Dockerfile's folder two files only.

    other: not the frontend of BuildKit. Where the file lies in the context itself, such a one
           may also read what is beside it, a lockfile for instance
    An ignore file beside the Dockerfile replaces that of the context (BuildKit's dockerui).
    """
    own_ignore = filename + ".dockerignore"
    patterns = _ignore_patterns(folder / own_ignore)
    offer = context_offer(context) if patterns is None else Offer(context, ignore=patterns)
    if other and folder.resolve() == context.resolve():
        named = (b"!" + os.fsencode(filename),) if offer.ignore else ()
        beside_it = msgspec.structs.replace(offer, ignore=(*offer.ignore, *named))
        return {"context": offer, "dockerfile": beside_it}
    beside = (os.fsencode(filename), os.fsencode(own_ignore))
    return {"context": offer, "dockerfile": Offer(folder, only=beside)}


def _ignore_patterns(file: Path) -> tuple[bytes, ...] | None:
    """What an ignore file excludes; ``None`` without one. Raises ``BadContext``."""
    try:
        with open_input(file) as stream:
            data = read_bounded(stream, _FILE_LIMIT, str(file))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BadContext(
            f"cannot read the ignore file: {error.strerror}", where={"file": str(file)}
        ) from error
    try:
        patterns = tuple(read_ignore(data, str(file)))
        Ignore(list(patterns))
    except CopyError as error:
        raise BadContext(
            f"invalid ignore file: {error.what}", where={"file": str(file), **error.where}
        ) from error
    return patterns


def _attributes(wanted: DockerfileBuild) -> dict[str, str]:
    attrs: dict[str, str] = {}
    if wanted.target:
        attrs["target"] = wanted.target
    if wanted.no_cache:
        attrs["no-cache"] = ""
    if wanted.platforms:
        for platform in wanted.platforms:
            _check(platform)
        attrs["platform"] = ",".join(str(platform) for platform in wanted.platforms)
    attrs |= {f"build-arg:{name}": value for name, value in wanted.build_args.items()}
    attrs |= {f"label:{name}": value for name, value in wanted.labels.items()}
    for text in wanted.attests:
        kind, _, rest = text.removeprefix("type=").partition(",")
        if kind not in ("sbom", "provenance"):
            raise UsageError(
                f"--attest {text!r}: unknown kind; use sbom or provenance",
                hint="--attest provenance,mode=max",
            )
        attrs[f"attest:{kind}"] = rest
    return attrs


def _check(platform: Platform) -> None:
    """Engines accept any name as long as no step runs."""
    if platform.os not in _SYSTEMS or platform.architecture not in _ARCHITECTURES:
        raise UsageError(
            f"--platform {platform}: unknown platform",
            hint=f"architectures are {', '.join(_ARCHITECTURES)}",
        )


def _named_context(name: str, value: str, folders: dict[str, Offer]) -> str:
    if "://" in value or value.startswith("git@"):
        return value
    path = Path(value)
    if not path.is_dir():
        raise BadContext(
            f"the build context {name!r} is not a directory: {value}", where={"file": value}
        )
    folders[f"context:{name}"] = context_offer(path)
    return f"local:context:{name}"


def _find(context: Path, named: Path | str | None) -> Path:
    """The file to build: as a path of this machine, else in the context."""
    if named is None:
        return context / "Dockerfile"
    file = Path(named)
    inside = context / file
    return inside if not file.exists() and inside.exists() else file


def _read(file: Path) -> str:
    try:
        with open_input(file) as stream:
            return read_bounded(stream, _FILE_LIMIT, str(file)).decode("utf-8", "replace")
    except OSError as error:
        raise BadContext(
            f"cannot read the Dockerfile: {error.strerror}", where={"file": str(file)},
            hint="name another one with --file",
        ) from error  # fmt: skip
