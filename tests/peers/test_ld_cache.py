"""/etc/ld.so.cache holds what glibc's own ldconfig would put into it, on every architecture."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from builders.ld_cache import cached
from homeport.oci.platform import native_platform, parse_platform
from peers.test_built_image import QEMU, SEVEN
from peers.unpacked_image import unpacked

pytestmark = [pytest.mark.network, pytest.mark.root]

RECIPE = """\
homeport: 1
name: cached
archives: [{{name: debian, suites: [{suite}]}}]
platforms: [linux/{platform}]
essential: minimal
packages: [libc-bin, libfakeroot, zlib1g]
"""
#: Their mirrors of trixie are often in mid-sync; it also shows another release of glibc.
SUITES = {"ppc64le": "bookworm", "s390x": "bookworm"}
#: A library for newer processors, as glibc-hwcaps has them.
NEWER = """\
files: [{from: newer.so, to: /usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v3/libz.so.1}]
"""
NATIVE = str(native_platform()).removeprefix("linux/")
#: What is compared in every run; the others with HOMEPORT_FULL (.ci/run --full).
COMPARED = SEVEN if os.environ.get("HOMEPORT_FULL") else [NATIVE, "s390x"]


def image_of(folder: Path, name: str) -> Path:
    recipe = RECIPE.format(platform=name, suite=SUITES.get(name, "trixie"))
    if name == NATIVE == "amd64":
        shutil.copy("/usr/lib/x86_64-linux-gnu/libz.so.1", folder / "newer.so")
        recipe += NEWER
    return unpacked(folder, recipe, parse_platform(f"linux/{name}"))


@pytest.mark.peer("chroot")
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.peer(f"qemu-{QEMU[n]}-static")) for n in COMPARED],
)
def test_the_cache_is_ldconfigs_own(name: str, tmp_path: Path) -> None:
    root = image_of(tmp_path, name)
    ours = (root / "etc/ld.so.cache").read_bytes()
    command = ["/usr/sbin/ldconfig"]
    if name != NATIVE:
        emulator = f"qemu-{QEMU[name]}-static"
        shutil.copy(str(shutil.which(emulator)), root / "emulator")
        command = ["/emulator", *command]
    subprocess.run(["chroot", root, *command], check=True, capture_output=True, timeout=300)
    theirs = (root / "etc/ld.so.cache").read_bytes()
    assert cached(ours) == cached(theirs)
    assert any(hwcaps for *_, hwcaps in cached(ours)) == (name == NATIVE == "amd64")
    assert any("/libfakeroot/" in path for _, _, path, _ in cached(ours))
