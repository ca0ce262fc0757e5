"""Files that a package's script diverts lie where dpkg would unpack them."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.building import BARE, BuildWorld, listing
from builders.deb import deb, file, hardlink
from homeport.debian.diversions import DiversionsDiffer
from homeport.errors import HomeportError

_PREINST = """#!/bin/sh
set -e
if [ "$1" = install ]; then
  dpkg-divert --package full --add --rename --divert /usr/bin/x.small /usr/bin/x
  dpkg-divert --local /usr/share/gone
fi
"""
_DATABASE = BARE.replace("tmp: false}", "tmp: false, dpkg_database: true}")
_FULL = deb("full", files={"usr/bin/x": "full"}, scripts={"preinst": _PREINST})


def _small() -> bytes:
    files = {
        "usr/bin/x": file("small", mode=0o755),
        "usr/bin/y": hardlink("usr/bin/x"),
        "usr/share/gone": "g",
    }
    return deb("small", files=files)


def test_another_packages_file_lies_at_the_other_name(tmp_path: Path) -> None:
    made = listing(
        BuildWorld(tmp_path, [_FULL, _small()]).build(_DATABASE + "packages: [full, small]\n")
    )
    assert made["usr/bin/x"] == "0644 full"
    assert made["usr/bin/x.small"] == "0755 small"
    assert made["usr/bin/y"] == "=> usr/bin/x.small"
    assert made["usr/share/gone.distrib"] == "0644 g"
    assert "usr/share/gone" not in made
    assert made["var/lib/dpkg/diversions"] == (
        "0644 /usr/bin/x\n/usr/bin/x.small\nfull\n/usr/share/gone\n/usr/share/gone.distrib\n:"
    )
    lists = made["var/lib/dpkg/info/small.list"].split("\n")
    assert {"/usr/bin/x", "/usr/share/gone"} <= set(lists)
    assert "  usr/bin/x\n" in made["var/lib/dpkg/info/small.md5sums"]


def test_without_the_step_two_packages_with_one_path_clash(tmp_path: Path) -> None:
    off = _DATABASE.replace("tmp: false", "tmp: false, diversions: false")
    with pytest.raises(HomeportError, match="the packages do not fit the recipe"):
        BuildWorld(tmp_path, [_FULL, _small()]).build(off + "packages: [full, small]\n")


def test_paths_are_compared_as_packages_ship_them(tmp_path: Path) -> None:
    """As dpkg does, which knows nothing of the links in the root."""
    text = "#!/bin/sh\ndpkg-divert --add /bin/x\n"
    full = deb("full", files={"usr/bin/f": "f"}, scripts={"postinst": text})
    packages = [full, deb("old", files={"bin/x": "old"}), deb("new", files={"usr/bin/x": "new"})]
    recipe = BARE.replace("usrmerge: false", "usrmerge: true") + "packages: [full, old, new]\n"
    made = listing(BuildWorld(tmp_path, packages).build(recipe))
    assert (made["usr/bin/x"], made["usr/bin/x.distrib"]) == ("0644 new", "0644 old")


def test_a_script_may_put_a_link_in_the_place_of_what_it_diverts(tmp_path: Path) -> None:
    text = (
        "#!/bin/sh\ndpkg-divert --add --rename /usr/bin/x\nln -s x2 /usr/bin/x\nln -s x2 /usr/z\n"
    )
    full = deb("full", files={"usr/bin/x2": "2"}, scripts={"postinst": text})
    recipe = BARE.replace("packaged_state: false", "packaged_state: true")
    made = listing(
        BuildWorld(tmp_path, [full, _small()]).build(recipe + "packages: [full, small]\n")
    )
    assert made["usr/bin/x"] == "-> x2"
    assert made["usr/bin/x.distrib"] == "0755 small"
    assert "usr/z" not in made


def test_two_packages_that_divert_one_path_to_different_places(tmp_path: Path) -> None:
    packages = [
        deb(name, files={f"usr/{name}": name},
            scripts={"preinst": f"#!/bin/sh\ndpkg-divert --divert /usr/{name}2 --add /usr/bin/x\n"})
        for name in ("one", "two")
    ]  # fmt: skip
    with pytest.raises(DiversionsDiffer, match="one and two divert /usr/bin/x to different places"):
        BuildWorld(tmp_path, packages).build(BARE + "packages: [one, two]\n")


def test_a_postinst_ends_what_the_preinst_of_another_package_says(tmp_path: Path) -> None:
    ends = "#!/bin/sh\ndpkg-divert --remove --no-rename /usr/bin/x\n"
    says = "#!/bin/sh\ndpkg-divert --package first --add --no-rename /usr/bin/x\n"
    packages = [
        deb("first", files={"usr/1": "1"}, scripts={"postinst": ends}),
        deb("second", files={"usr/2": "2"}, scripts={"preinst": says}),
    ]
    made = listing(
        BuildWorld(tmp_path, [*packages, _small()]).build(
            _DATABASE + "packages: [first, second, small]\n"
        )
    )
    assert made["usr/bin/x"] == "0755 small"
    assert made["var/lib/dpkg/diversions"] == "0644"
