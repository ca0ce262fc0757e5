"""A folder of packages beside the recipe: resolved like an archive's, pinned by the lockfile."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.building import BARE, BuildWorld, listing
from builders.deb import deb
from homeport.errors import HomeportError, OutOfDate
from homeport.oci.platform import parse_platform

ARCHIVE = [
    deb("lib", "1.0", files={"usr/lib/lib": b"archive"}),
    deb("tool", "9.0", files={"usr/bin/tool": b"archive"}),
]
TOOL = deb("tool", "1.0", depends="lib", files={"usr/bin/tool": b"local"})
RECIPE = BARE + "local_packages: ./debs\npackages: [tool]\n"


@pytest.fixture
def here(tmp_path: Path) -> BuildWorld:
    world = BuildWorld(tmp_path, ARCHIVE)
    (world.home / "debs").mkdir()
    (world.home / "debs" / "tool_1.0_all.deb").write_bytes(TOOL)
    return world


def test_a_local_package_comes_before_the_archives_and_depends_on_theirs(here: BuildWorld) -> None:
    assert listing(here.build(RECIPE)) == {
        "usr/bin/tool": "0644 local",
        "usr/lib/lib": "0644 archive",
    }


def test_the_lockfile_holds_its_digest_and_a_build_needs_no_network(here: BuildWorld) -> None:
    built = here.build(RECIPE)
    packages = built.locked.lockfile.platforms[parse_platform("linux/amd64")]
    assert [(each.name, each.file.archive, each.file.path) for each in packages] == [
        ("lib", "test", packages[0].file.path),
        ("tool", "local", "tool_1.0_all.deb"),
    ]
    here.offline = True
    again = here.build(RECIPE, fresh=True)
    assert again.built.index.digest == built.built.index.digest


def test_a_changed_folder_is_locked_again_and_locked_refuses_it(here: BuildWorld) -> None:
    here.build(RECIPE)
    newer = deb("tool", "1.1", depends="lib", files={"usr/bin/tool": b"newer"})
    (here.home / "debs" / "tool_1.0_all.deb").write_bytes(newer)
    with pytest.raises(OutOfDate):
        here.build(RECIPE, locked=True)
    assert listing(here.build(RECIPE))["usr/bin/tool"] == "0644 newer"


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda folder: (folder / "tool_1.0_all.deb").unlink(), "has no *.deb files"),
        (lambda folder: (folder / "x.deb").write_bytes(b"no package"), "x.deb"),
        (lambda folder: (folder / "x.deb").symlink_to("/etc/passwd"), "x.deb"),
    ],
)
def test_a_folder_that_is_wrong_is_named(prepare, said: str, here: BuildWorld) -> None:
    prepare(here.home / "debs")
    with pytest.raises(HomeportError) as caught:
        here.build(RECIPE)
    assert said in f"{caught.value.what} {caught.value.where}"


def test_a_folder_outside_of_the_recipes_is_refused(here: BuildWorld) -> None:
    with pytest.raises(HomeportError, match="outside the recipe's folder"):
        here.build(RECIPE.replace("./debs", "/etc"))
