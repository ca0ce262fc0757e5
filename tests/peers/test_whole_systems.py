"""A recipe with ``variant`` is a Debian in which apt and dpkg work, as mmdebstrap makes one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from builders.runtime import runtime
from homeport.images.address import LayoutAddress
from homeport.images.image import Image, digest_of
from homeport.images.platforms import select
from homeport.images.transports.oci_layout import OciLayout
from homeport.oci.platform import native_platform
from peers.test_built_image import homeport

pytestmark = [pytest.mark.network, pytest.mark.root]

NATIVE = native_platform()
RECIPE = """\
homeport: 1
name: slim
platforms: [{platform}]
variant: {variant}
packages: [debian-archive-keyring]
exclude: [doc, man, locale]
"""
#: What is compared in every run; the others with HOMEPORT_FULL (.ci/run --full).
VARIANTS = ["essential", "apt", "important", "standard", "minbase"]
COMPARED = VARIANTS if os.environ.get("HOMEPORT_FULL") else ["minbase"]


def unpacked(folder: Path, variant: str) -> Path:
    """The root of the system, with what chroot does not give: devices and names of hosts."""
    folder.mkdir(exist_ok=True)
    (folder / "homeport.yaml").write_text(RECIPE.format(platform=NATIVE, variant=variant))
    homeport("build", ".", "--no-progress", "--no-attest", "-o", "oci:image", cwd=folder)
    root = folder / "root"
    root.mkdir()
    with OciLayout(LayoutAddress(path=folder / "image")).open(runtime()) as value:
        image = value if isinstance(value, Image) else select(value, [NATIVE])
        assert isinstance(image, Image)
        for layer in image.document.parsed.layers:
            with image.blobs[digest_of(layer)].open() as stream:
                data = stream.read()
            subprocess.run(["tar", "-xz", "-C", root], input=data, check=True)
    shutil.copy("/etc/resolv.conf", root / "etc")
    (root / "dev").mkdir(exist_ok=True)
    os.mknod(root / "dev/null", 0o666 | 0o020000, os.makedev(1, 3))
    return root


def inside(root: Path, *command: str) -> str:
    done = subprocess.run(
        ["chroot", root, *command],
        capture_output=True,
        check=False,
        timeout=600,
        text=True,
        env={"PATH": "/usr/sbin:/usr/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.peer("chroot")
def test_apt_installs_a_package_and_its_scripts_run(tmp_path: Path) -> None:
    root = unpacked(tmp_path, "minbase")
    assert inside(root, "dpkg", "--audit") == ""
    assert inside(root, "dpkg", "--verify") == ""
    inside(root, "apt-get", "check")
    inside(root, "apt-get", "update")
    said = inside(root, "apt-get", "install", "--yes", "--no-install-recommends", "nginx")
    assert "dpkg is already" not in said
    assert "Setting up nginx" in said
    assert "Processing triggers for libc-bin" in said
    assert inside(root, "dpkg-query", "-W", "-f", "${Status}", "nginx") == "install ok installed"
    assert inside(root, "dpkg", "-S", "/usr/bin/dpkg") == "dpkg: /usr/bin/dpkg\n"
    inside(root, "apt-get", "remove", "--yes", "nginx")


@pytest.mark.peer("mmdebstrap", "chroot")
@pytest.mark.parametrize("variant", COMPARED)
def test_the_packages_are_those_of_mmdebstrap(variant: str, tmp_path: Path) -> None:
    ours = unpacked(tmp_path / "ours", variant)
    theirs = tmp_path / "theirs.tar"
    subprocess.run(
        [
            "mmdebstrap", f"--variant={variant}", "--mode=root", "--quiet",
            "--include=debian-archive-keyring", "trixie", theirs, "http://deb.debian.org/debian",
        ],
        check=True, capture_output=True, timeout=600,
    )  # fmt: skip
    with tarfile.open(theirs) as archive:
        status = archive.extractfile("./var/lib/dpkg/status")
        assert status is not None
        names = {
            line.removeprefix("Package: ").strip()
            for line in status.read().decode().splitlines()
            if line.startswith("Package: ")
        }
    found = inside(ours, "dpkg-query", "-W", "-f", "${Package}\\n").split()
    assert set(found) == names
