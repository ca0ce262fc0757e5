"""The wheel builds what the checkout builds: images, statements and kits have equal digests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.network
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as pip installs it from a wheel, which it builds."""
    site = tmp_path_factory.mktemp("wheel") / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-compile", "--target",
         str(site), str(ROOT)],
        check=True, capture_output=True,
    )  # fmt: skip
    return site


def built(package: Path, folder: Path) -> str:
    """Digests of the shipped recipe's index and kit, built by the package in its own folder.

    Of the kit only what the inputs decide: the lockfile's proof is not in wheels.
    """
    folder.mkdir()
    environment = os.environ | {
        "PYTHONPATH": str(package), "HOMEPORT_CACHE_DIR": str(folder / "cache"),
        "HOME": str(folder),
    }  # fmt: skip

    def python(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], env=environment, cwd=folder, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = python("-c", "import homeport; print(homeport.__file__)").strip()
    assert Path(where).is_relative_to(package)
    document = json.loads(
        python("-m", "homeport", "build", "dockerfile-copy", "--locked", "-o", "oci:out",
               "--attest", "sbom,provenance,kit", "--format", "json")
    )  # fmt: skip
    (_, line) = json.loads((folder / "out/index.json").read_text())["manifests"]
    kit = json.loads((folder / "out/blobs/sha256" / line["digest"].split(":")[1]).read_bytes())
    return f"{document['digest']} {kit['layers'][0]['digest']}"


def test_wheel_and_checkout_give_the_same_index_and_kit(installed: Path, tmp_path: Path) -> None:
    assert built(installed, tmp_path / "a") == built(ROOT / "src", tmp_path / "b")
