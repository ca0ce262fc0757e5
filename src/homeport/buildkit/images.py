"""Results as images: by the engine's OCI exporter, or squashed where it has none.

Either way the image becomes a value of ``homeport.images`` and is written, or pushed, by
our own transports; several platforms are put together by us.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from homeport.buildkit.address import Engine
from homeport.buildkit.engine import Description, describe
from homeport.buildkit.protocol.errors import EngineTooOld
from homeport.buildkit.protocol.gateway import CONFIG
from homeport.buildkit.solve import Build, Export, Solved, solve
from homeport.buildkit.status import StatusListener
from homeport.content.digest import Digest
from homeport.oci.platform import Platform, native_platform
from homeport.progress import CancelToken
from homeport.runtime import Runtime

# What reads and writes images is imported when one is made: many builds have other outputs.
if TYPE_CHECKING:
    from homeport.images.address import RegistryAddress
    from homeport.images.image import Image, Index


class ImageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What making images needs. ``squash``: whether one layer may stand for all."""

    runtime: Runtime
    squash: bool = True
    listener: StatusListener | None = None

    @property
    def cancel(self) -> CancelToken:
        return self.runtime.cancel


@contextmanager
def built_image(
    engine: Engine, build: Build, platforms: Sequence[Platform], how: ImageOptions
) -> Iterator[tuple[Image | Index, Solved]]:
    """The image or index that ``build`` makes, usable inside the ``with`` block."""
    # 80 ms that an engine without an OCI exporter saves
    from homeport.images.address import ArchiveAddress
    from homeport.images.image import child_of, new_index
    from homeport.images.transports.oci_archive import OciArchive

    description = describe(engine, how.cancel)
    with tempfile.TemporaryDirectory(prefix="homeport-") as place:
        if description.has_oci_exporter:
            file = Path(place, "image.tar")
            with file.open("wb") as stream:
                solved = _solve(engine, build, Export(type="oci", to=stream), how)
            with OciArchive(ArchiveAddress(format="oci-archive", path=file)).open(
                how.runtime
            ) as value:
                yield value, solved
            return
        _refuse_or_say(description, how)
        make = _Squashing(engine, build, how, Path(place))
        images = [make.one(platform) for platform in platforms or (_native(description),)]
        value = (
            images[0][0]
            if len(images) == 1
            else new_index([child_of(image) for image, _ in images])
        )
        yield value, images[0][1]


def pushed_by_engine(
    engine: Engine, build: Build, address: RegistryAddress, how: ImageOptions
) -> tuple[Solved, Digest]:
    """Let the engine push, with the logins of the session; the digest that it names."""
    if not describe(engine, how.cancel).has_oci_exporter:
        raise EngineTooOld(
            f"{engine.name} cannot push images", hint="omit --push-by: then homeport pushes"
        )
    attrs = {"name": str(address.reference), "push": "true"}
    export = Export(type="image", attrs=attrs)
    solved = _solve(engine, build, export, how)
    return solved, Digest.parse(solved.response.get("containerimage.digest", ""))


class _Squashing(msgspec.Struct, frozen=True):
    engine: Engine
    build: Build
    how: ImageOptions
    place: Path

    def one(self, platform: Platform) -> tuple[Image, Solved]:
        # 40 ms that an engine with an OCI exporter saves
        from homeport.buildkit.squash import squashed_image
        from homeport.layers.trees import read_tree
        from homeport.tree.node import Source

        build = self.build
        if build.frontend:
            attrs = {**build.attrs, "platform": str(platform)}
            build = msgspec.structs.replace(build, attrs=attrs, wants_metadata=True)
        with tempfile.TemporaryFile(dir=self.place) as spool:
            solved = _solve(self.engine, build, Export(type="tar", to=spool), self.how)
            spool.seek(0)
            source = Source(kind="step", name="result", detail=self.engine.name)
            tree = read_tree(spool, self.how.runtime.store, source, self.how.cancel)
        config = solved.metadata.get(CONFIG) or solved.metadata.get(f"{CONFIG}/{platform}", b"")
        return squashed_image(
            tree, config, platform, self.how.runtime.store, self.how.cancel
        ), solved


def _solve(engine: Engine, build: Build, export: Export, how: ImageOptions) -> Solved:
    return solve(
        engine,
        msgspec.structs.replace(build, exports=(export,)),
        listener=how.listener,
        cancel=how.cancel,
    )


def _refuse_or_say(description: Description, how: ImageOptions) -> None:
    if not how.squash:
        raise EngineTooOld(
            f"{description.engine} cannot export layers",
            hint='enable the containerd store ({"features": {"containerd-snapshotter": true}}'
            " in dockerd's daemon.json, since 24.0), or omit --no-squash",
        )
    how.runtime.progress.note(
        "squash",
        f"warning: {description.engine} cannot export layers: squashing the image into one",
    )


def _native(description: Description) -> Platform:
    for worker in description.workers:
        if worker.platforms:
            return worker.platforms[0]
    return native_platform()
