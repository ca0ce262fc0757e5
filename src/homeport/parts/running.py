"""Building one part on an engine: its result is a tar with one folder per platform.

Commands run in LLB of our own making, all platforms in one call: the build root, which
Homeport assembled, with the inputs on top, and an empty ``/out`` for each platform. A
Dockerfile is built by its frontend, one call for each platform. Not for deciding whether
a part must be built, nor for reading the result (``homeport.parts.resolve``).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from homeport.buildkit.address import Engine
from homeport.buildkit.dockerfile import DockerfileBuild, prepare
from homeport.buildkit.llb import sources
from homeport.buildkit.llb.files import copy
from homeport.buildkit.llb.marshal import marshal
from homeport.buildkit.llb.mounts import bind
from homeport.buildkit.llb.state import State
from homeport.buildkit.progress_display import BarWatcher
from homeport.buildkit.session.content_store import content_services
from homeport.buildkit.session.context_folder import Offer
from homeport.buildkit.solve import Build, Export, ServicesFor, solve
from homeport.content.blob import Blob
from homeport.content.files import explained
from homeport.debian.architecture import TRIPLET_OF
from homeport.images.image import Image
from homeport.oci.platform import Platform
from homeport.progress import CancelToken, Progress
from homeport.recipe.parts import DockerfilePart, GitInput, ImageInput, RunPart
from homeport.recipe.platforms import debian_architecture

OUT = "/out"
#: Folders that are sent, each with one archive: engines mix up two sources of one folder.
_ROOT, _INPUTS, _ARCHIVE = "homeport-root", "homeport-inputs", "layer.tar.gz"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of building on an engine.

    folder:   for large temporary files
    services: of the session: logins of registries
    fresh:    do not use the engine's cache
    """

    folder: Path
    progress: Progress
    cancel: CancelToken
    services: ServicesFor
    fresh: bool = False


class PreparedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A part that runs commands, with its build root and its inputs as a layer.

    on:     the platform of the build root
    layout: whether the engine takes the root as an image of ours; else it gets a tar
    epoch:  SOURCE_DATE_EPOCH for the commands
    """

    part: RunPart
    on: Platform
    layout: bool
    root: Image
    layer: Blob
    context: Blob | None
    epoch: int


@contextmanager
def run_commands(
    engine: Engine,
    prepared: PreparedRun,
    platforms: Sequence[Platform],
    how: RunOptions,
) -> Iterator[BinaryIO]:
    """The results for all ``platforms`` as a tar of folders (``folder_of``).

    Raises what ``solve`` does.
    """
    layout = prepared.layout
    with tempfile.TemporaryDirectory(prefix="engine-", dir=how.folder) as name:
        folders: dict[str, Offer] = {}
        for folder, blob in (
            (_ROOT, None if layout else prepared.layer), (_INPUTS, prepared.context),
        ):  # fmt: skip
            if blob is not None:
                folders[folder] = Offer(Path(name, folder))
                _place(blob, folders[folder].path)
        services = content_services({"root": prepared.root}) if layout else {}
        build = Build(
            definition=marshal(_graph(prepared, platforms, how)),
            folders=folders,
            services=services,
        )
        with _solved(engine, _with_services(build, how), how) as stream:
            yield stream


@contextmanager
def run_dockerfile(
    engine: Engine, part: DockerfilePart, platform: Platform, how: RunOptions
) -> Iterator[BinaryIO]:
    """The filesystem of the Dockerfile's target for one platform, as a tar."""
    build = prepare(
        DockerfileBuild(
            context=part.context,
            file=part.file,
            target=part.target,
            build_args=part.args,
            platforms=(platform,),
            no_cache=how.fresh,
            options={} if part.network else {"force-network-mode": "none"},
        )
    )
    with _solved(engine, _with_services(build, how), how) as stream:
        yield stream


def _with_services(build: Build, how: RunOptions) -> Build:
    services = {**build.services, **how.services(build)}
    return msgspec.structs.replace(build, services=services)


def folder_of(platform: Platform) -> str:
    """The folder of a platform in the tar of ``run_commands``."""
    return str(platform).replace("/", "-")


def _graph(prepared: PreparedRun, platforms: Sequence[Platform], how: RunOptions) -> State:
    part, on = prepared.part, prepared.on
    if prepared.layout:
        # The engine never resolves the name, but it must have the form of a registry's.
        reference = f"build.invalid/root@{prepared.root.digest}"
        root = sources.oci_layout(reference, store="root", platform=on)
    else:
        sent = sources.local(_ROOT, name=f"{part.name}: send the build root")
        unpacked = copy(sent, f"/{_ARCHIVE}", "/", unpack=True)
        root = sources.scratch().file(unpacked, name=f"{part.name}: unpack the build root")
    actions = []
    for each in part.inputs:
        if isinstance(each, GitInput):
            state = sources.git(each.url, ref=each.commit, name=f"{part.name}: {each.url}")
            actions.append(copy(state, "/", each.to, contents_only=True))
        elif isinstance(each, ImageInput):
            state = sources.image(each.image, platform=on, name=f"{part.name}: {each.image}")
            actions.append(copy(state, each.path, each.to, contents_only=True))
    if prepared.context is not None:
        sent = sources.local(_INPUTS, name=f"{part.name}: send the inputs")
        actions.append(copy(sent, f"/{_ARCHIVE}", "/", unpack=True))
    if actions:
        root = root.file(*actions, name=f"{part.name}: place the inputs")
    results = []
    for platform in platforms:
        ran = root.run(
            ["/bin/sh", "-euc", part.script],
            env=_environment(prepared, platform),
            mounts=[bind(sources.scratch(), OUT, readonly=False)],
            network="sandbox" if part.network else "none",
            platform=on,
            name=f"{part.name} for {platform}",
            ignore_cache=how.fresh,
        )
        where = f"/{folder_of(platform)}/"
        results.append(copy(ran.mount(OUT), "/", where, contents_only=True))
    return sources.scratch().file(*results, name=f"{part.name}: collect {OUT}")


def _environment(prepared: PreparedRun, platform: Platform) -> dict[str, str]:
    """BuildKit's names for the platform, and those of dpkg-architecture."""
    architecture = debian_architecture(platform)
    triplet = TRIPLET_OF[architecture]
    return {
        "PATH": _PATH,
        "HOME": "/tmp",  # noqa: S108  of the build root, where it is empty
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": str(prepared.epoch),
        "TARGETPLATFORM": str(platform),
        "TARGETOS": platform.os,
        "TARGETARCH": platform.architecture,
        "TARGETVARIANT": platform.variant,
        "DEB_HOST_ARCH": architecture,
        "DEB_HOST_MULTIARCH": triplet,
        # The one architecture whose compiler has another name than its libraries' folder.
        "DEB_HOST_GNU_TYPE": triplet.replace("i386", "i686"),
        **prepared.part.env,
    }


@contextmanager
def _solved(engine: Engine, build: Build, how: RunOptions) -> Iterator[BinaryIO]:
    """Build, and return the resulting tar."""
    listener = BarWatcher(how.progress)
    with explained(how.folder), tempfile.TemporaryFile(dir=how.folder) as spool:
        stream = cast("BinaryIO", spool)
        try:
            exported = msgspec.structs.replace(build, exports=(Export(type="tar", to=stream),))
            solve(engine, exported, listener=listener, cancel=how.cancel)
        finally:
            listener.close()
        stream.seek(0)
        yield stream


def _place(blob: Blob, folder: Path) -> None:
    """The blob as the file of a folder that is sent: a hard link if possible."""
    folder.mkdir()
    there, path = blob.local_path(), folder / _ARCHIVE
    try:
        if there is not None:
            os.link(there, path)
            return
    except OSError:
        pass  # another file system, or one without links
    with blob.open() as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
