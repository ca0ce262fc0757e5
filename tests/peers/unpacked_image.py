"""A recipe built by the command line, and its image as a folder that programs can be run in."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

from builders.runtime import runtime
from homeport.images.address import LayoutAddress
from homeport.images.image import Image, digest_of
from homeport.images.platforms import select
from homeport.images.transports.oci_layout import OciLayout
from homeport.oci.platform import Platform, native_platform
from peers.test_built_image import homeport


def unpacked(folder: Path, recipe: str, platform: Platform | None = None) -> Path:
    """The files of ``recipe``'s image, below ``folder``."""
    (folder / "homeport.yaml").write_text(recipe)
    homeport("build", ".", "--no-progress", "--no-attest", "-o", "oci:image", cwd=folder)
    root = folder / "root"
    root.mkdir()
    with OciLayout(LayoutAddress(path=folder / "image")).open(runtime()) as value:
        chosen = [platform or native_platform()]
        image = value if isinstance(value, Image) else select(value, chosen)
        assert isinstance(image, Image)
        for layer in image.document.parsed.layers:
            with image.blobs[digest_of(layer)].open() as stream:
                data = gzip.decompress(stream.read())
            subprocess.run(["tar", "-x", "-C", root], input=data, check=True)
    return root


def run_inside(root: Path, *command: str) -> str:
    """What a program of the image prints, with /proc, in a mount namespace of its own."""
    begin = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", begin, root, *command],
        check=False, capture_output=True, timeout=600, env={"PATH": "/usr/sbin:/usr/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
