"""A Dockerfile build as BuildKit's ``dockerfile.v0`` frontend wants it told.

Turns what a user says (context, file, arguments, platforms) into the frontend's attributes
and the directories that the session offers. The frontend itself asks for the Dockerfile and
.dockerignore and filters the context. Not for running it (``homeport.buildkit.solve``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from homeport.buildkit.failures import Sources
from homeport.buildkit.session.context_folder import BadContext
from homeport.buildkit.session.session import shared_key
from homeport.buildkit.solve import Build
from homeport.content.reading import read_bounded
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
    """What a user asks for.

    context:        a directory, or a URL that the engine fetches
    file:           the Dockerfile; by default ``Dockerfile`` in the context
    build_contexts: named contexts: a directory, a URL, ``docker-image://…``
    options:        any attribute of the frontend, the last word
    """

    context: Path | str
    file: Path | str | None = None
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
        raise BadContext(f"there is no directory {text}", where={"file": text})
    if not path.is_dir():
        raise BadContext(
            f"{text} is no directory", where={"file": text},
            hint="the context is a directory, a URL, or a file that ends in .llb",
        )  # fmt: skip
    return path


def prepare(asked: DockerfileBuild) -> Build:
    """The build, without exports. Raises ``BadContext``."""
    attrs: dict[str, str] = {}
    folders: dict[str, Path] = {}
    sources = Sources()
    key = ""
    if isinstance(asked.context, str):
        attrs["context"] = asked.context
        if asked.file is not None:
            attrs["filename"] = str(asked.file)
    else:
        file = Path(asked.file) if asked.file is not None else asked.context / "Dockerfile"
        sources = Sources({str(file): _read(file)})
        folders = {"context": asked.context, "dockerfile": file.parent}
        attrs["filename"] = file.name
        key = shared_key(os.uname().nodename, str(asked.context.resolve()), str(file.resolve()))
    attrs |= _attributes(asked)
    for name, value in asked.build_contexts.items():
        attrs[f"context:{name}"] = _named_context(name, value, folders)
    attrs |= asked.options
    return Build(
        frontend="dockerfile.v0", attrs=attrs, folders=folders, shared_key=key, sources=sources
    )


def _attributes(asked: DockerfileBuild) -> dict[str, str]:
    attrs: dict[str, str] = {}
    if asked.target:
        attrs["target"] = asked.target
    if asked.no_cache:
        attrs["no-cache"] = ""
    if asked.platforms:
        for platform in asked.platforms:
            _check(platform)
        attrs["platform"] = ",".join(str(platform) for platform in asked.platforms)
    attrs |= {f"build-arg:{name}": value for name, value in asked.build_args.items()}
    attrs |= {f"label:{name}": value for name, value in asked.labels.items()}
    for text in asked.attests:
        kind, _, rest = text.removeprefix("type=").partition(",")
        if kind not in ("sbom", "provenance"):
            raise UsageError(
                f"--attest {text!r}: known are sbom and provenance",
                hint="--attest provenance,mode=max",
            )
        attrs[f"attest:{kind}"] = rest
    return attrs


def _check(platform: Platform) -> None:
    """Engines believe any name, as long as nothing runs."""
    if platform.os not in _SYSTEMS or platform.architecture not in _ARCHITECTURES:
        raise UsageError(
            f"--platform {platform}: there is no such platform",
            hint=f"architectures are {', '.join(_ARCHITECTURES)}",
        )


def _named_context(name: str, value: str, folders: dict[str, Path]) -> str:
    if "://" in value or value.startswith("git@"):
        return value
    path = Path(value)
    if not path.is_dir():
        raise BadContext(
            f"the build context {name!r} is no directory: {value}", where={"file": value}
        )
    folders[f"context:{name}"] = path
    return f"local:context:{name}"


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return read_bounded(stream, _FILE_LIMIT, str(file)).decode("utf-8", "replace")
    except OSError as error:
        raise BadContext(
            f"the Dockerfile cannot be read: {error.strerror}", where={"file": str(file)},
            hint="name another one with --file",
        ) from error  # fmt: skip
