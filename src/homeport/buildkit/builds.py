"""A build as a user asks for it: Dockerfile or LLB, secrets, caches, contexts, outputs.

Puts together what the frontend and the session take, from one request. Not for talking to
engines (``homeport.buildkit.solve``) nor for choosing among them (``scheduling``).
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from homeport.buildkit.address import Engine
from homeport.buildkit.caching import parse_cache
from homeport.buildkit.dockerfile import DockerfileBuild, prepare, read_context
from homeport.buildkit.engine import describe
from homeport.buildkit.llb.dump import LARGEST, read_definition
from homeport.buildkit.llb.source_policy import read_policy
from homeport.buildkit.outputs import ImageOutput, Output
from homeport.buildkit.protocol.errors import EngineTooOld
from homeport.buildkit.session.content_store import content_services
from homeport.buildkit.session.secrets import read_agents, read_secrets
from homeport.buildkit.session.services import secret_values, ssh_agents, uploads
from homeport.buildkit.solve import Build
from homeport.content.files import open_input
from homeport.content.reading import read_bounded
from homeport.errors import UsageError
from homeport.oci.platform import Platform
from homeport.progress import CancelToken

if TYPE_CHECKING:  # only a build with a cache or an image of this machine loads what they need
    from homeport.buildkit.session.cache_folder import LocalCaches
    from homeport.images.image import Image, Index

_UPLOAD = "context"
_STORE_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_IMAGES = ("oci:", "oci-archive:", "docker-archive:")


class SolveRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A build on a BuildKit engine.

    context:            a directory or URL with a Dockerfile, or a file that ends in ``.llb``
    upload:             a tar of a context, instead of ``context``
    file:               the Dockerfile; by default ``Dockerfile`` in the context
    syntax:             the frontend's image, instead of the one that the file names; also an image
                        of this machine, for engines of this machine
    build_contexts:     name → directory, URL, ``docker-image://REF``, or an image of this machine
    options:            further attributes of the frontend
    secrets, agents:    as ``--secret`` and ``--ssh`` write them
    platforms:          by default the engine's
    engines:            addresses; empty: what the environment names
    push_by_engine:     the engine pushes outputs in registries
    squash:             where the engine exports no layers, one layer may stand for all
    engine_credentials: send passwords to the engine where a registry does not issue tokens
    allowed_pulls:      repositories that the engine may pull though the build does not name them
    """

    context: str
    upload: BinaryIO | None = None
    outputs: tuple[Output, ...] = ()
    file: Path | None = None
    syntax: str = ""
    target: str = ""
    build_args: Mapping[str, str] = msgspec.field(default_factory=dict)
    build_contexts: Mapping[str, str] = msgspec.field(default_factory=dict)
    options: Mapping[str, str] = msgspec.field(default_factory=dict)
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    secrets: Sequence[str] = ()
    agents: Sequence[str] = ()
    platforms: Sequence[Platform] = ()
    no_cache: bool = False
    cache_from: Sequence[str] = ()
    cache_to: Sequence[str] = ()
    source_policy: Path | None = None
    attests: Sequence[str] = ()
    engines: Sequence[str] = ()
    push_by_engine: bool = False
    squash: bool = True
    engine_credentials: bool = False
    allowed_pulls: Sequence[str] = ()

    def local_images(self) -> dict[str, str]:
        """The named contexts that are images of this machine."""
        found = self.build_contexts.items()
        return {name: value for name, value in found if value.startswith(_IMAGES)}

    def local_frontend(self) -> str:
        """The address of the frontend, if it is an image of this machine."""
        return self.syntax if self.syntax.startswith(_IMAGES) else ""

    def engine_pushes(self) -> list[str]:
        """The references that the engine pushes itself."""
        if not self.push_by_engine:
            return []
        # 9 ms that a build without an image saves
        from homeport.images.address import RegistryAddress

        addresses = [each.address for each in self.outputs if isinstance(each, ImageOutput)]
        return [str(each.reference) for each in addresses if isinstance(each, RegistryAddress)]


def make_build(request: SolveRequest, environment: Mapping[str, str]) -> Build:
    """The build, without what must be open while it runs. Raises ``UsageError``, ``BadContext``."""
    if request.context.endswith(".llb") and request.upload is None:
        build = _from_llb(Path(request.context))
    else:
        build = _from_dockerfile(request)
    services = dict(build.services)
    services |= secret_values(read_secrets(request.secrets, environment).get)
    if agents := read_agents(request.agents, environment):
        services |= ssh_agents(agents)
    policy = request.source_policy
    return msgspec.structs.replace(
        build,
        services=services,
        source_policy=read_policy(policy) if policy is not None else None,
        cache_imports=[parse_cache(text) for text in request.cache_from],
        cache_exports=[parse_cache(text) for text in request.cache_to],
    )


def with_upload(build: Build, stream: BinaryIO, stack: ExitStack) -> Build:
    """Offer a tar as the context, as long as ``stack`` is open."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="homeport-"))
    spool = Path(folder, "context.tar")
    with spool.open("wb") as out:
        shutil.copyfileobj(stream, out, 1 << 20)
    sent = uploads({_UPLOAD: partial(spool.open, "rb")})
    return msgspec.structs.replace(build, services={**build.services, **sent})


def find_local_caches(build: Build) -> LocalCaches | None:
    """Build caches in local folders, if there are any."""
    if all(entry.type != "local" for entry in (*build.cache_imports, *build.cache_exports)):
        return None
    # 50 ms that a build without a cache in a local folder saves
    from homeport.buildkit.session.cache_folder import local_caches

    return local_caches(build.cache_imports, build.cache_exports)


def with_contents(
    build: Build, images: Mapping[str, Image | Index], caches: LocalCaches | None
) -> Build:
    """Serve local images as named contexts, and local caches."""
    if not images and caches is None:
        return build
    # A name of an image, with registry and tag, cannot be that of a store.
    stores = {
        name: name if _STORE_NAME.fullmatch(name) else f"image-{at}"
        for at, name in enumerate(images)
    }
    attrs = {
        f"context:{name}": f"oci-layout://{stores[name]}@{image.digest}"
        for name, image in images.items()
    }
    offered = content_services(
        {stores[name]: image for name, image in images.items()}, caches.stores if caches else None
    )
    return msgspec.structs.replace(
        build,
        attrs={**build.attrs, **attrs},
        services={**build.services, **offered},
        cache_imports=caches.imports if caches else build.cache_imports,
    )


@contextmanager
def served_frontend(
    build: Build, value: Image | Index, engines: Sequence[Engine]
) -> Iterator[Build]:
    """Serve the frontend's image on 127.0.0.1 to engines of this machine.

    The gateway takes frontends from registries alone. Raises ``UsageError``.
    """
    for engine in engines:
        if not engine.name.startswith("unix://"):
            raise UsageError(
                f"{engine.name} cannot reach local images",
                hint="push the frontend to a registry, and name it there: --syntax REGISTRY/NAME",
            )
    # 12 ms that a build with a frontend of a registry saves
    from homeport.buildkit.local_registry import local_registry

    with local_registry(value, {}) as served:
        reference = served.reference(value.digest)
        attrs = {**build.attrs, "source": reference, "cmdline": reference}
        yield msgspec.structs.replace(build, attrs=attrs)


def require_layouts(engines: Sequence[Engine], cancel: CancelToken) -> None:
    """Raise ``EngineTooOld`` for an engine that would look for our images on Docker Hub."""
    _require_new(engines, cancel, "read local images", "push the image")


def require_attestations(engines: Sequence[Engine], cancel: CancelToken) -> None:
    """Raise ``EngineTooOld`` for an engine that would ignore ``--attest``."""
    _require_new(engines, cancel, "attach attestations", "leave out --attest")


def _require_new(
    engines: Sequence[Engine], cancel: CancelToken, doing: str, otherwise: str
) -> None:
    for engine in engines:
        found = describe(engine, cancel)
        if not (found.has_oci_exporter and found.version):
            raise EngineTooOld(
                f"{engine.name} cannot {doing}",
                hint="use BuildKit 0.11 or later (dockerd: with the containerd store), or"
                f" {otherwise}",
            )


def require_private(engines: Sequence[Engine]) -> None:
    """Raise ``UsageError`` for an engine to which passwords would travel without TLS."""
    public = [engine.name for engine in engines if not engine.private]
    if public:
        raise UsageError(
            f"--engine-credentials: {public[0]} is reached without TLS",
            hint="use tcp://HOST:PORT?certs=DIR",
        )


def _from_dockerfile(request: SolveRequest) -> Build:
    context = request.context
    if request.upload is not None:
        context = f"http://buildkit-session/{_UPLOAD}"  # BuildKit's name for what we send
    local = request.local_images()
    return prepare(
        DockerfileBuild(
            context=read_context(context),
            file=request.file,
            syntax=request.syntax,
            target=request.target,
            build_args=request.build_args,
            labels=request.labels,
            build_contexts={
                name: value for name, value in request.build_contexts.items() if name not in local
            },
            platforms=request.platforms,
            no_cache=request.no_cache,
            attests=request.attests,
            options=request.options,
        )
    )


def _from_llb(path: Path) -> Build:
    try:
        with open_input(path) as stream:
            return Build(definition=read_definition(read_bounded(stream, LARGEST, str(path))))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
