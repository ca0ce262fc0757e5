"""From a recipe to a lockfile: which packages, in which slices, from which state."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders.archive import DATE, SEVEN, archive, suite
from builders.deb import deb, directory, file, link
from builders.locking import World, faults, versions
from homeport.debian.resolution.explain import Unresolvable
from homeport.errors import Faults, HomeportError
from homeport.locking.staleness import stale_reasons
from homeport.locking.update_policy import UPDATE_ALL, UpdatePolicy
from homeport.oci.platform import parse_platform
from homeport.recipe.lock.model import Lockfile
from homeport.recipe.lock.reading import parse_lockfile
from homeport.recipe.lock.writing import format_lockfile

LATER = DATE + timedelta(days=1)


def package(name: str, version: str = "1.0-1", **more: str) -> bytes:
    """A package with one program and a copyright file."""
    files = {f"usr/bin/{name}": b"x", f"usr/share/doc/{name}/copyright": b"free"}
    return deb(name, version, files=files, **more)


def test_a_whole_package_brings_what_it_depends_on(tmp_path: Path) -> None:
    world = World(
        tmp_path,
        [
            package("app", depends="lib1", pre_depends="lib2", recommends="extra"),
            package("lib1"),
            package("lib2", "2:1-1", depends="lib1 (>= 1)"),
            package("extra"),
        ],
    )
    assert versions(world.lock("packages: [app]").lockfile) == {
        "app": "1.0-1", "lib1": "1.0-1", "lib2": "2:1-1",
    }  # fmt: skip


def test_of_a_sliced_package_only_the_needs_of_its_slices_count(tmp_path: Path) -> None:
    world = World(
        tmp_path, [package("app", depends="lib1, lib2"), package("lib1"), package("lib2")]
    )
    world.slices("app", "bin: {needs: [lib1_bin], paths: [/usr/bin/app]}")
    world.slices("lib1", "bin: {paths: [/usr/bin/lib1]}")
    locked = world.lock("packages: [app_bin]")
    assert versions(locked.lockfile) == {
        "app": "1.0-1 [bin, copyright]", "lib1": "1.0-1 [bin, copyright]",
    }  # fmt: skip
    assert list(map(str, locked.lockfile.slices)) == ["app_bin", "lib1_bin"]
    report = locked.platforms[parse_platform("amd64")]
    assert report.declared == ("lib2",)


def test_what_a_whole_package_depends_on_is_whole_unless_the_recipe_slices_it(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, [package("app", depends="lib1"), package("lib1"), package("tool")])
    world.slices("lib1", "bin: {paths: [/usr/bin/lib1]}")
    world.slices("tool", "bin: {needs: [lib1_bin], paths: [/usr/bin/tool]}")
    by_need = world.lock("packages: [app, tool_bin]").lockfile
    assert versions(by_need)["lib1"] == "1.0-1"
    by_name = world.lock("packages: [app, tool_bin, lib1_bin]").lockfile
    assert versions(by_name)["lib1"] == "1.0-1 [bin, copyright]"


def test_a_slice_is_its_successors_where_the_archive_has_that(tmp_path: Path) -> None:
    """A package that was renamed leaves an empty one behind, or none: one slice for both."""
    world = World(
        tmp_path,
        [
            package("app", architecture="amd64"), package("app", architecture="arm64"),
            package("old1", architecture="amd64"),
            deb("old1", "2.0-1", "arm64", files={"usr/share/doc/old1/copyright": b"free"}),
            package("new1", architecture="arm64"),
        ],
    )  # fmt: skip
    world.slices("app", "bin: {needs: [old1_bin], paths: [/usr/bin/app]}")
    world.slices("old1", "bin: {paths: [/usr/bin/old1]}", "new1")
    world.slices("new1", "bin: {paths: [/usr/bin/new1]}")
    platforms = "platforms: [linux/amd64, linux/arm64]\n"
    for text in ("packages: [app_bin]", "packages: [app_bin, old1_bin]"):
        lockfile = world.lock(platforms + text).lockfile
        assert set(versions(lockfile, "linux/amd64")) == {"app", "old1"}
        assert set(versions(lockfile, "linux/arm64")) == {"app", "new1"}
        assert list(map(str, lockfile.slices)) == ["app_bin", "new1_bin", "old1_bin"]
        again = parse_lockfile(format_lockfile(lockfile))
        assert stale_reasons(world.recipe(platforms + text), again) == ()
    # The other reasons of a stale lockfile do not name the slice that is not there.
    more = "packages: [app_bin, old1_bin]\npins: [{name: app, version: 1.*}]"
    assert stale_reasons(world.recipe(platforms + more), again) == (
        "versions, archives, pins, programs or steps of the recipe have changed",
    )
    world.slices("new1", "bin: {paths: [/usr/bin/new1, /usr/bin/*]}")
    assert stale_reasons(world.recipe(platforms + text), again) == (
        "the slice new1_bin has a new definition",
    )


def test_a_recipe_that_slices_a_renamed_package_slices_its_successor(tmp_path: Path) -> None:
    """Else a whole package that depends on it would make it whole."""
    world = World(tmp_path, [package("app", depends="new1"), package("new1")])
    world.slices("old1", "bin: {paths: [/usr/bin/old1]}", "new1")
    world.slices("new1", "bin: {paths: [/usr/bin/new1]}")
    lockfile = world.lock("packages: [app, old1_bin]").lockfile
    assert versions(lockfile) == {"app": "1.0-1", "new1": "1.0-1 [bin, copyright]"}


def test_each_platform_has_the_package_of_its_architecture(tmp_path: Path) -> None:
    packages = [
        deb("app", f"1.0-{number}", architecture, files={"usr/bin/app": architecture.encode()})
        for number, architecture in enumerate(SEVEN, 1)
    ]
    world = World(tmp_path, packages)
    lockfile = world.lock("platforms: [linux/arm/v7, linux/ppc64le]\npackages: [app]").lockfile
    assert versions(lockfile, "linux/arm/v7") == {"app": "1.0-3"}
    assert versions(lockfile, "linux/ppc64le") == {"app": "1.0-5"}


def test_a_copyright_file_in_another_package_brings_that_package_for_it_alone(
    tmp_path: Path,
) -> None:
    """As libgcc-s1 points to gcc-14-base, which points nowhere."""
    world = World(
        tmp_path,
        [
            deb("lib1", files={"usr/lib/lib1.so": b"x", "usr/share/doc/lib1": link("base")}),
            deb("base", files={"usr/share/doc/base/copyright": b"x", "usr/big": b"y"}),
        ],
    )
    world.slices("lib1", "libs: {paths: [/usr/lib/lib1.so]}")
    assert versions(world.lock("packages: [lib1_libs]").lockfile) == {
        "base": "1.0-1 [copyright]", "lib1": "1.0-1 [copyright, libs]",
    }  # fmt: skip
    off = "steps: {copyright: false, os_release: false}\npackages: [lib1_libs]"
    assert versions(world.lock(off).lockfile) == {"lib1": "1.0-1 [libs]"}


def test_a_package_without_a_copyright_file_is_in_the_report(tmp_path: Path) -> None:
    world = World(tmp_path, [deb("app", files={"usr/bin/app": b"x"})])
    locked = world.lock("packages: [app]")
    assert locked.platforms[parse_platform("amd64")].without_copyright == ("app",)


def test_packages_that_put_no_file_in_the_tree_are_not_locked(tmp_path: Path) -> None:
    world = World(
        tmp_path,
        [
            deb("app", files={"usr/bin/app": b"x"}, depends="hollow"),
            deb("hollow", files={"usr/share/hollow": directory()}),
        ],
    )
    locked = world.lock("packages: [app]")
    assert versions(locked.lockfile) == {"app": "1.0-1"}
    assert locked.platforms[parse_platform("amd64")].empty == ("hollow",)


def test_a_slice_path_that_matches_nothing_on_some_platform_is_named_with_it(
    tmp_path: Path,
) -> None:
    world = World(
        tmp_path,
        [
            deb("lib1", "1-1", "amd64", files={"usr/lib/lib1.so": b"x", "usr/lib64/l": b""}),
            deb("lib1", "1-1", "arm64", files={"usr/lib/lib1.so": b"x"}),
        ],
    )
    text = "platforms: [linux/amd64, linux/arm64]\npackages: [lib1_libs]"
    world.slices("lib1", "libs: {paths: [/usr/lib/*.so, /usr/lib64/*, /usr/none]}")
    assert faults(lambda: world.lock(text)) == [
        "the path /usr/none of the slice lib1_libs matches nothing in lib1 1-1 amd64 (linux/amd64)",
        "the path /usr/lib64/* of the slice lib1_libs matches nothing in lib1 1-1 arm64 "
        "(linux/arm64)",
        "the path /usr/none of the slice lib1_libs matches nothing in lib1 1-1 arm64 (linux/arm64)",
    ]
    world.slices(
        "lib1",
        "libs: {paths: [/usr/lib/*.so, {path: /usr/lib64/*, architectures: [amd64]}]}",
    )
    assert world.lock(text).lockfile.slices


def test_two_packages_that_provide_one_path_are_named_both(tmp_path: Path) -> None:
    world = World(
        tmp_path,
        [
            deb("one", files={"usr/bin/x": b"1", "usr/share": directory()}),
            deb("two", files={"bin/x": b"2", "usr/share": directory()}),
        ],
    )
    text = "platforms: [linux/amd64, linux/arm64]\npackages: [one, two]"
    assert faults(lambda: world.lock(text)) == [
        "one 1.0-1 and two 1.0-1 both provide /usr/bin/x (linux/amd64, linux/arm64)"
    ]
    apart = "steps: {usrmerge: false, os_release: false}\npackages: [one, two]"
    assert len(versions(world.lock(apart).lockfile)) == 2


def test_the_links_of_merged_usr_are_no_clash(tmp_path: Path) -> None:
    """base-files ships /bin as a link, older packages as the folder that they put things in."""
    world = World(
        tmp_path,
        [
            deb("base", files={"bin": link("usr/bin"), "usr/x": b""}),
            deb("old", files={"bin/y": b""}),
        ],
    )
    assert len(versions(world.lock("packages: [base, old]").lockfile)) == 2


def test_links_that_say_the_same_may_be_in_two_packages(tmp_path: Path) -> None:
    both = {"usr/lib/x.so": link("x.so.1")}
    world = World(
        tmp_path,
        [
            deb("one", files={**both, "usr/one": b""}),
            deb("two", files={**both, "usr/two": b""}),
            deb("bad", files={"usr/lib/x.so": link("y.so")}),
        ],
    )
    assert len(versions(world.lock("packages: [one, two]").lockfile)) == 2
    assert len(faults(lambda: world.lock("packages: [one, bad]"))) == 1


def test_what_is_left_out_on_purpose_is_recorded(tmp_path: Path) -> None:
    world = World(
        tmp_path, [package("app", depends="perl-base, lib1"), package("perl-base"), package("lib1")]
    )
    locked = world.lock("packages: [app]\nwithout: [perl-base, unrelated]")
    assert versions(locked.lockfile) == {"app": "1.0-1", "lib1": "1.0-1"}
    assert locked.lockfile.without == ("perl-base",)
    (left,) = locked.platforms[parse_platform("amd64")].left_out
    assert (left.name, left.by.name) == ("perl-base", "app")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("packages: [lib1]", "3"),
        ("packages: ['lib1=2']", "2"),
        ("packages: [{name: lib1, version: '1'}]", "1"),
        ("packages: [lib1]\npins: [{name: lib1, version: '2*'}]", "2"),
        ("packages: [app]\npins: [{name: lib1, version: '1'}]", "1"),
        ("packages: [lib1]\npins: [{name: lib1, version: '1', platforms: [linux/s390x]}]\n"
         "platforms: [linux/amd64, linux/s390x]", "3"),
    ],
)  # fmt: skip
def test_versions_and_pins_decide(tmp_path: Path, text: str, version: str) -> None:
    world = World(
        tmp_path, [package("app", depends="lib1"), *(package("lib1", str(n)) for n in (1, 2, 3))]
    )
    assert versions(world.lock(text).lockfile)["lib1"] == version


TWO_SUITES = (
    "archives: [{{name: test, suites: [trixie, {}], mirrors: [./none], keys: [key.asc]}}]\n"
    "packages: "
)


@pytest.mark.parametrize(
    ("packages", "expected"),
    [
        ("[app]", {"app": "1.0-1", "lib1": "1.0-1"}),
        ("[app, lib1/news]", {"app": "1.0-1", "lib1": "2~bpo13+1"}),
        ("[fresh]", {"fresh": "1.0-1", "lib1": "2~bpo13+1"}),
    ],
)
def test_a_suite_that_says_not_automatic_gives_only_what_is_asked_of_them_or_had_nowhere_else(
    tmp_path: Path, packages: str, expected: dict[str, str]
) -> None:
    world = World(
        tmp_path,
        [package("app", depends="lib1"), package("lib1"),
         package("fresh", depends="lib1 (>= 2~)")],
    )  # fmt: skip
    newer = [package("lib1", "2~bpo13+1"), package("app", "2~bpo13+1", depends="lib1")]
    says = {"NotAutomatic": "yes", "ButAutomaticUpgrades": "yes"}
    world.archive.publish(suite("news", packages=newer, fields=says))
    assert versions(world.lock(TWO_SUITES.format("news") + packages).lockfile) == expected


def test_a_suite_is_not_judged_by_its_name(tmp_path: Path) -> None:
    world = World(tmp_path, [package("app")])
    world.archive.publish(suite("trixie-backports", packages=[package("app", "2~bpo13+1")]))
    asked = TWO_SUITES.format("trixie-backports") + "[app]"
    assert versions(world.lock(asked).lockfile) == {"app": "2~bpo13+1"}


def test_when_there_is_no_solution_the_chain_and_the_platforms_are_named(tmp_path: Path) -> None:
    world = World(
        tmp_path, [package("app", depends="mid"), package("mid", depends="lib1 (>= 2)"),
                   package("lib1")]
    )  # fmt: skip
    with pytest.raises(Unresolvable) as caught:
        world.lock("platforms: [linux/amd64, linux/arm64]\npackages: [app]")
    (problem,) = caught.value.answer.problems
    assert [why.text for why in problem.chain] == ["app", "mid", "lib1 (>= 2)"]
    assert caught.value.where["platform"] == "linux/amd64, linux/arm64"


def test_a_suite_that_no_archive_of_the_recipe_names_is_told_before_anything_is_fetched(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, [package("app")])
    world.archive.lose("dists/*")
    with pytest.raises(Faults) as caught:
        world.lock("packages: [app/trixy]\npins: [{name: lib1, suite: sid}]")
    first, second = caught.value.faults
    assert first.what == "app needs the suite trixy, which no archive of the recipe has"
    assert first.where["field"] == "packages[0]"
    assert first.hint == "did you mean trixie? the recipe has the suites trixie"
    assert second.what.startswith("lib1 needs the suite sid")


def test_a_slice_file_with_faults_is_told_before_anything_is_fetched(tmp_path: Path) -> None:
    world = World(tmp_path, [package("app")])
    world.slices("app", "bin: {pats: [/x]}")
    world.archive.lose("dists/*")
    assert faults(lambda: world.lock("packages: [app_bin]")) == [
        "unknown field 'pats' of a slice (None)",
        "unknown slice app_bin (None)",
    ]


def test_a_package_that_is_not_what_the_index_says_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, [package("app")])
    (path,) = (tmp_path / "mirror" / "pool").rglob("*.deb")
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(HomeportError) as caught:
        world.lock("packages: [app]")
    assert str(caught.value.where["package"]).startswith("app ")


def test_the_state_is_recorded_and_the_epoch_is_its_date(tmp_path: Path) -> None:
    world = World(tmp_path, [package("app")])
    lockfile = world.lock("packages: [app]").lockfile
    (state,) = lockfile.archives
    assert (state.archive, state.suite, state.codename) == ("test", "trixie", "trixie")
    assert (state.date, state.signers) == (DATE, (world.archive.fingerprint,))
    assert lockfile.epoch == int(DATE.timestamp())
    assert lockfile.suite_dates() == {("test", "trixie"): DATE}


def test_the_epoch_is_that_of_the_suites_that_gave_a_package(tmp_path: Path) -> None:
    world = World(tmp_path, [package("app")])
    world.archive.publish(suite("extra", packages=[package("new")], date=LATER))
    world.now = LATER
    both = "archives: [{name: test, suites: [trixie, extra], mirrors: [./none], keys: [key.asc]}]\n"
    assert world.lock(both + "packages: [app]").lockfile.epoch == int(DATE.timestamp())
    assert world.lock(both + "packages: [app, new]").lockfile.epoch == int(LATER.timestamp())


def newer(world: World) -> Lockfile:
    """Lock, then publish a state with newer versions of all packages."""
    old = world.lock("packages: [app, tool]").lockfile
    world.now = LATER
    world.publish(
        [package("app"), package("app", "2"), package("tool"), package("tool", "2")], date=LATER
    )
    return old


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        (UpdatePolicy(), {"app": "1.0-1", "tool": "1.0-1"}),
        (UpdatePolicy(names=frozenset({"app"})), {"app": "2", "tool": "1.0-1"}),
        (UPDATE_ALL, {"app": "2", "tool": "2"}),
    ],
)
def test_locked_versions_stay_while_they_are_there_unless_they_are_to_be_renewed(
    tmp_path: Path, update: UpdatePolicy, expected: dict[str, str]
) -> None:
    world = World(tmp_path, [package("app"), package("tool")])
    old = newer(world)
    locked = world.lock("packages: [app, tool]", previous=old, update=update)
    assert versions(locked.lockfile) == expected
    assert [str(change) for change in locked.changes] == [
        f"{name} 1.0-1 → 2 (linux/amd64)" for name, version in expected.items() if version == "2"
    ]


def test_locking_again_without_news_changes_no_image(tmp_path: Path) -> None:
    world = World(tmp_path, [package("app"), package("tool")])
    old = newer(world)
    again = world.lock("packages: [app, tool]", previous=old).lockfile
    assert again.epoch == old.epoch
    assert again.archives[0].date == LATER
    assert again.platforms == old.platforms


def test_no_state_older_than_the_locked_one_is_taken(tmp_path: Path) -> None:
    world = World(tmp_path, [package("app")], date=LATER)
    world.now = LATER
    old = world.lock("packages: [app]").lockfile
    world.publish([package("app")], date=DATE)
    with pytest.raises(HomeportError) as caught:
        world.lock("packages: [app]", previous=old)
    assert caught.value.id == "rolled-back"


_NAMES = ("a1", "b1", "c1", "d1")


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    edges=st.lists(st.tuples(st.sampled_from(_NAMES), st.sampled_from(_NAMES)), max_size=6),
    wanted=st.permutations(_NAMES[:3]),
)
def test_the_order_of_a_recipe_changes_nothing_and_text_is_lossless(
    tmp_path_factory: pytest.TempPathFactory,
    edges: list[tuple[str, str]],
    wanted: list[str],
) -> None:
    depends = {name: sorted({b for a, b in edges if a == name}) for name in _NAMES}
    world = World(
        tmp_path_factory.mktemp("world"),
        [package(name, depends=", ".join(depends[name])) for name in _NAMES],
    )
    text = format_lockfile(world.lock(f"packages: [{', '.join(wanted)}]").lockfile)
    assert text == format_lockfile(world.lock(f"packages: [{', '.join(sorted(wanted))}]").lockfile)
    assert format_lockfile(parse_lockfile(text)) == text


def test_one_file_in_the_lockfile_for_every_fact_of_a_package(tmp_path: Path) -> None:
    world = World(
        tmp_path,
        [deb("app", "1:2-3+b1", "amd64", files={"usr/bin/app": file(b"x", mode=0o755)},
             fields={"Source": "src (1:2-3)"})],
    )  # fmt: skip
    (locked,) = world.lock("packages: [app]").lockfile.platforms[parse_platform("amd64")]
    assert (locked.source_name, locked.source_version) == ("src", "1:2-3")
    assert locked.file.path == "pool/main/a/app/app_2-3+b1_amd64.deb"
    assert (locked.file.archive, locked.suite) == ("test", "trixie")


TWO_ARCHIVES = (
    "archives:\n"
    "  - {{name: test, suites: [trixie], mirrors: [./none], keys: [key.asc]}}\n"
    "  - {{name: vendor, suites: [stable], mirrors: [./none], keys: [vendor.asc]{}}}\n"
)


def with_vendor(tmp_path: Path, *packages: bytes) -> World:
    """A second archive with a key of its own; both have the program ``app``."""
    world = World(tmp_path, [package("app", depends="lib"), package("lib")])
    vendor = archive(tmp_path / "vendor", [suite("stable", packages=packages)])
    (world.home / "vendor.asc").write_bytes(vendor.certificate)
    world.more = {"vendor": vendor.url}
    return world


def test_another_archive_replaces_no_package_unasked(tmp_path: Path) -> None:
    world = with_vendor(tmp_path, package("app", "9"), package("lib", "9"), package("tool", "9"))
    locked = world.lock(TWO_ARCHIVES.format("") + "packages: [app, tool]")
    packages = locked.lockfile.platforms[parse_platform("amd64")]
    assert {p.name: (p.version, p.file.archive) for p in packages} == {
        "app": ("1.0-1", "test"), "lib": ("1.0-1", "test"), "tool": ("9", "vendor"),
    }  # fmt: skip
    warning = (
        "warning: app: the archive vendor has 9, which is higher; 1.0-1 of test is used, "
        "which precedes it"
    )
    assert world.notes.lines.count(warning) == 1
    assert len(locked.platforms[parse_platform("amd64")].higher_elsewhere) == 2


def test_an_archive_replaces_what_the_recipe_lists(tmp_path: Path) -> None:
    world = with_vendor(tmp_path, package("app", "9", depends="lib"), package("lib", "9"))
    locked = world.lock(TWO_ARCHIVES.format(", packages: [app]") + "packages: [app]")
    packages = locked.lockfile.platforms[parse_platform("amd64")]
    assert {p.name: (p.version, p.file.archive) for p in packages} == {
        "app": ("9", "vendor"), "lib": ("1.0-1", "test"),
    }  # fmt: skip
    other = world.recipe(TWO_ARCHIVES.format("") + "packages: [app]")
    assert stale_reasons(other, locked.lockfile)


def test_a_name_that_one_package_provides_is_locked_as_that_package(tmp_path: Path) -> None:
    world = World(tmp_path, [package("libssl3t64", provides="libssl3")])
    locked = world.lock("packages: [libssl3]")
    assert versions(locked.lockfile) == {"libssl3t64": "1.0-1"}
    assert "libssl3: takes libssl3t64, its only provider" in world.notes.lines
