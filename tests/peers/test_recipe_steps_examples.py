"""The examples with steps that run: Debian's compilers on dockerd 20.10, no public image.

The build roots come from the real archive. Every result must be the one that the
example's lockfile pins, so that each run is one more proof that they are reproducible.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from homeport.app import Settings, open_app
from homeport.building.request import BuildRequest, BuildResult
from homeport.content.blob import verified
from homeport.images.address import LayoutAddress
from homeport.images.image import digest_of
from homeport.layers.trees import read_tree
from homeport.progress import CancelToken
from homeport.tree.node import Source, Tree
from peers import buildkit_engines
from peers.buildkit_engines import RunningEngine

pytestmark = [pytest.mark.peer("dockerd"), pytest.mark.root, pytest.mark.network]
dockerd_20 = buildkit_engines.dockerd_20

EXAMPLES = Path(__file__).parents[2] / "examples"
MACHINES = {
    "linux/386": "EM_386",
    "linux/amd64": "EM_X86_64",
    "linux/arm/v7": "EM_ARM",
    "linux/arm64": "EM_AARCH64",
    "linux/ppc64le": "EM_PPC64",
    "linux/riscv64": "EM_RISCV",
    "linux/s390x": "EM_S390",
}
TWO = ("linux/amd64", "linux/arm64")
CASES = {"static-helper": "usr/bin/wait-for", "static-helper-c": "usr/bin/beat"}


@pytest.mark.parametrize("example", CASES)
@pytest.mark.parametrize(
    "platforms", [TWO, pytest.param(tuple(MACHINES), marks=pytest.mark.full)], ids=["two", "seven"]
)
def test_an_example_is_what_its_lockfile_pins_static_and_for_its_machine(
    tmp_path: Path, dockerd_20: RunningEngine, example: str, platforms: tuple[str, ...]
) -> None:
    recipe = tmp_path / example
    shutil.copytree(EXAMPLES / example, recipe)
    pinned = json.loads((recipe / f"{example}.lock").read_text())["parts"]
    result = build(recipe, platforms, dockerd_20.address, tmp_path / "cache")
    assert result.locked.reason is None
    assert json.loads((recipe / f"{example}.lock").read_text())["parts"] == pinned
    for image in result.built.images:
        tree = tree_of(result, str(image.platform), tmp_path)
        assert b"usr/bin/busybox" in tree  # the packages stand beside the program
        program = content(tree, CASES[example])
        elf = ELFFile(io.BytesIO(program))
        assert elf["e_machine"] == MACHINES[str(image.platform)]
        assert elf.get_section_by_name(".interp") is None
        assert elf.get_section_by_name(".dynamic") is None
        if str(image.platform) == "linux/amd64":
            path = tmp_path / "program"
            path.write_bytes(program)
            path.chmod(0o755)
            told = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
            assert "amd64" in told.stdout


def build(recipe: Path, platforms: tuple[str, ...], engine: str, cache: Path) -> BuildResult:
    with open_app(Settings.load(None, cache_dir=cache)) as app:
        return app.build(
            BuildRequest(
                recipe=str(recipe),
                outputs=(LayoutAddress(path=recipe / "out"),),
                platforms=platforms,
                engines=(engine,),
                locked=True,
            )
        )


def tree_of(result: BuildResult, platform: str, folder: Path) -> Tree:
    from homeport.content.store import Store

    image = next(each.image for each in result.built.images if str(each.platform) == platform)
    (layer,) = image.document.parsed.layers
    with verified(image.blobs[digest_of(layer)]) as stream:
        source = Source(kind="layer", name=platform)
        return read_tree(stream, Store(folder / "read back"), source, CancelToken())


def content(tree: Tree, path: str) -> bytes:
    blob = tree[path.encode()].content
    assert blob is not None
    with blob.open() as stream:
        return stream.read()
