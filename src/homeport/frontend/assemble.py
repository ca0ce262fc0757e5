"""The step that makes an image's files: runs in our own image, as root, without a network.

It is ``homeport build --locked --offline`` of the recipe for one platform over the packages
that the engine fetched, unpacked into ``/out`` with owners, times and capabilities.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from homeport.app import App, Settings, open_app
from homeport.assemble.plan import BuildOptions
from homeport.building.request import BuildRequest, BuildResult
from homeport.content.blob import verified
from homeport.content.digest import Digest
from homeport.copying.command import Flags, options_of
from homeport.copying.engine import Copier, Destination
from homeport.copying.rooted import Rooted
from homeport.copying.tarstream import TarReader
from homeport.copying.unpack import unpack
from homeport.frontend.graph import ABOUT, CONFIG_FILE, OUT, PACKAGES, RECIPE, SBOM_FILE, Step
from homeport.images.address import LayoutAddress
from homeport.sbom import spdx

if TYPE_CHECKING:
    from homeport.content.store import Store

_STEP = msgspec.json.Decoder(Step)
#: The step's own root, which is thrown away: on a disk, unlike what may be mounted at /tmp.
_WORK = Path("/")


def assemble(text: str) -> None:
    """Do what the argument says. Raises what a build raises."""
    step = _STEP.decode(text)
    os.chdir(RECIPE)
    with tempfile.TemporaryDirectory(dir=_WORK) as folder:
        settings = Settings(cache_dir=Path(folder, "cache"), offline=True)
        with open_app(settings) as app:
            _take_packages(app.runtime.store, sorted(Path(PACKAGES).iterdir()))
            request = BuildRequest(
                recipe=f"./{step.filename}",
                outputs=(LayoutAddress(path=Path(folder, "image")),),
                platforms=(step.platform,),
                options=BuildOptions(
                    labels=step.labels, source_date_epoch=step.epoch, compression="none"
                ),
                locked=True,
                attest=(),
            )
            result = app.build(request)
            _write(result, Path(OUT), Path(ABOUT))
            if step.sbom:
                Path(ABOUT, SBOM_FILE).write_bytes(_bill(app, request))


def _take_packages(store: Store, files: Iterable[Path]) -> None:
    """Into the cache, under the hash that is each file's name. Raises ``IntegrityError``."""
    for path in files:
        with path.open("rb") as stream:
            store.put(stream, Digest.parse(f"sha256:{path.name}"), sync=False)


def _write(result: BuildResult, out: Path, about: Path) -> None:
    (built,) = result.built.images
    config = built.image.config()
    assert config is not None  # an image of ours has one
    with closing(Rooted(os.fsencode(out), owners=True)) as root:
        copier = Copier(root, options_of(Flags(), root))
        for layer in built.layers:
            with verified(layer.blob, "a layer") as stream:
                unpack(copier, TarReader(stream), None, Destination(b"/"))
    about.joinpath(CONFIG_FILE).write_bytes(config.raw)


def _bill(app: App, request: BuildRequest) -> bytes:
    bill, subject = app.bill(request)
    return msgspec.json.encode(spdx.document(bill, subject))
