"""/etc/ld.so.cache: when it is made, and what is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.building import BuildWorld, listing
from builders.deb import deb
from builders.elf import elf
from builders.ld_cache import cached
from homeport.assemble.ld_so_conf import configured_folders
from homeport.assemble.system.ld_so_cache import ARCHITECTURES, CachedLibrary, ld_so_cache, name_key

_RECIPE = (
    "steps: {os_release: false, copyright: false, status_database: false, tmp: false%s}\n"
    "packages: [libx]\n"
)
_PLACE = "usr/lib/x86_64-linux-gnu/private"


def _built(tmp_path: Path, more: str = "", **files: bytes | str) -> dict[str, str]:
    library = elf(soname="libx.so.1")
    package = deb("libx", files={f"{_PLACE}/libx.so.1.2": library, **files})
    return listing(BuildWorld(tmp_path, [package]).build(_RECIPE % more))


def test_it_is_made_for_libraries_outside_the_loaders_folders(tmp_path: Path) -> None:
    conf = {
        "etc/ld.so.conf": "include /etc/ld.so.conf.d/*.conf\n",
        "etc/ld.so.conf.d/x.conf": f"# ours\n/{_PLACE}/\n",
    }
    made = _built(tmp_path, **conf)
    assert made["etc/ld.so.cache"].startswith("0644 ")
    assert made[f"{_PLACE}/libx.so.1"] == "-> libx.so.1.2"
    assert "etc/ld.so.cache" not in _built(tmp_path / "off", ", ld_cache: false", **conf)


def test_without_such_libraries_there_is_none(tmp_path: Path) -> None:
    made = _built(tmp_path)
    assert "etc/ld.so.cache" not in made
    assert f"{_PLACE}/libx.so.1" not in made


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_names_go_downwards_and_numbers_count(architecture: str) -> None:
    names = ["liba.so.9", "liba.so.10", "libz.so", "liba.so"]
    libraries = [
        CachedLibrary(name=name, folder="/opt", architecture=architecture) for name in names
    ]
    newer = CachedLibrary(name="libz.so", folder="/opt", architecture=architecture, hwcaps="v3")
    found = cached(ld_so_cache([*libraries, newer], architecture))
    assert [(name, path, hwcaps) for _, name, path, hwcaps in found] == [
        ("libz.so", "/opt/glibc-hwcaps/v3/libz.so", "v3"),
        ("libz.so", "/opt/libz.so", ""),
        ("liba.so.10", "/opt/liba.so.10", ""),
        ("liba.so.9", "/opt/liba.so.9", ""),
        ("liba.so", "/opt/liba.so", ""),
    ]
    assert name_key("liba1") > name_key("libaz") > name_key("liba")


def test_files_that_are_included_count_in_the_order_of_names() -> None:
    files = {
        "/etc/ld.so.conf": "/first\ninclude ld.so.conf.d/*.conf\ninclude /etc/ld.so.conf\n",
        "/etc/ld.so.conf.d/b.conf": "/second # two\n/first\n",
        "/etc/ld.so.conf.d/a.conf": "hwcap 0 nosegneg\n\n/third/\n",
        "/etc/ld.so.conf.d/no": "/never\n",
    }
    folders = configured_folders(files.get, lambda folder: ["a.conf", "b.conf", "no"])
    assert folders == ["/first", "/third", "/second"]
