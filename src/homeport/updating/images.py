"""What an update makes of the image: built from the old and from the new lockfile, and tested."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from homeport.building.request import BuildRequest, Connections
from homeport.building.run import run_build
from homeport.errors import HomeportError, Interrupted
from homeport.images.address import LayoutAddress
from homeport.oci.platform import Platform
from homeport.recipe.lock.model import Lockfile
from homeport.recipe.lock.writing import write_lockfile
from homeport.recipe.model import Recipe
from homeport.runtime import Runtime
from homeport.updating.model import ImageChange, TestsSaid


class BothImages(msgspec.Struct, frozen=True, kw_only=True):
    """Digests and sizes of all platforms, and what the recipe's tests say of the new image."""

    images: tuple[ImageChange, ...] = ()
    tests: TestsSaid | None = None
    unknown: str = ""


class _Built(msgspec.Struct, frozen=True, kw_only=True):
    digest: str
    size: int


#: Address of an image and its recipe → what the recipe's tests say.
TestImage = Callable[[str, str], TestsSaid]


def build_both(
    recipe: Recipe, old: Lockfile, new: Lockfile, request: BuildRequest, *,
    runtime: Runtime, connections: Connections, test: TestImage,
) -> BothImages:  # fmt: skip
    """Build from both lockfiles into a temporary folder; what cannot be built is ``unknown``.

    request: mirrors, engines and folders of the builds
    """

    def build(lockfile: Lockfile, folder: Path) -> tuple[Mapping[Platform, _Built], str]:
        folder.mkdir()
        path = folder / recipe.lock_name
        write_lockfile(lockfile, path)
        asked = msgspec.structs.replace(
            request, recipe=str(recipe.path), lockfile=path, locked=True, platforms=("all",),
            attest=(), outputs=(LayoutAddress(path=folder / "image", tag="latest"),),
        )  # fmt: skip
        return _build(asked, runtime, connections)

    with tempfile.TemporaryDirectory(prefix="homeport-update-") as folder:
        before, why = build(old, Path(folder) / "old")
        after, problem = build(new, Path(folder) / "new")
        tests = None
        if after and recipe.tests:
            try:
                tests = test(f"oci:{folder}/new/image:latest", str(recipe.path))
            except Interrupted:
                raise
            except HomeportError as error:
                problem = f"its tests: {error.what}"
    unknown = [text for text in (why and f"the image before: {why}", problem) if text]
    return BothImages(images=_changes(before, after), tests=tests, unknown="; ".join(unknown))


def _build(
    request: BuildRequest, runtime: Runtime, connections: Connections
) -> tuple[Mapping[Platform, _Built], str]:
    """Platform → what was built, or why it could not be."""
    try:
        built = run_build(request, runtime, connections).built
    except Interrupted:
        raise
    except HomeportError as error:
        return {}, error.what
    return {
        each.platform: _Built(
            digest=str(each.image.digest), size=sum(layer.size for layer in each.layers)
        )
        for each in built.images
    }, ""


def _changes(
    before: Mapping[Platform, _Built], after: Mapping[Platform, _Built]
) -> tuple[ImageChange, ...]:
    nothing = _Built(digest="", size=0)
    found = []
    for platform, new in after.items():
        old = before.get(platform, nothing)
        found.append(
            ImageChange(
                platform=str(platform), old=old.digest, new=new.digest, old_size=old.size,
                new_size=new.size,
            )
        )  # fmt: skip
    return tuple(found)
