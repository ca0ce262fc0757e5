"""Images of several layers: what goes where, and what an update leaves as it was."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.archive import DATE
from builders.building import BuildWorld, image_of
from builders.deb import deb, file, hardlink
from homeport.assemble.layering import cheapest_cuts, group_sources, without_numbers
from homeport.building.request import BuildResult
from homeport.content.blob import verified
from homeport.content.store import Store
from homeport.errors import HomeportError
from homeport.images.image import digest_of
from homeport.layers.trees import read_layers, read_tree
from homeport.progress import CancelToken
from homeport.tree.node import Source, Tree

PACKAGES = {
    "libc6": deb(
        "libc6", files={"lib/libc.so": b"c" * 3000, "usr/share/doc/libc6/copyright": b"l"}
    ),
    "tool": deb(
        "tool",
        depends="libc6, helper",
        files={
            "usr/bin/tool": file(b"tool", mode=0o755),
            "usr/bin/twice": hardlink("usr/bin/tool"),
            "usr/share/doc/tool/copyright": b"l",
        },
    ),
    "helper": deb("helper", files={"usr/bin/helper": b"h", "usr/share/doc/helper/copyright": b"l"}),
}
RECIPE = """
packages: [tool]
steps: {os_release: false}
files: [{text: own, to: /usr/bin/own}]
"""


def layers_of(result: BuildResult) -> list[Tree]:
    image = image_of(result)
    store = Store(Path(str(result.written[0].address.path)).parent / "read")  # type: ignore[union-attr]
    found = []
    for layer in image.document.parsed.layers:
        with verified(image.blobs[digest_of(layer)]) as stream:
            found.append(read_tree(stream, store, Source(kind="layer", name="x"), CancelToken()))
    return found


def files_of(tree: Tree) -> set[str]:
    return {path.decode() for path, node in tree.items() if node.type != "directory"}


def build(root: Path, recipe: str, *packages: bytes) -> BuildResult:
    root.mkdir(exist_ok=True)
    return BuildWorld(root, packages or tuple(PACKAGES.values())).build(recipe)


def test_packages_named_by_hand_have_layers_of_their_own_between_the_rest_and_the_recipe(
    tmp_path: Path,
) -> None:
    built = build(tmp_path, RECIPE + "layers: {split: [[tool], [hel*]]}\n")
    status = "var/lib/dpkg/status.d"

    def of(name: str) -> set[str]:
        return {
            f"usr/share/doc/{name}/copyright", f"{status}/{name}", f"{status}/{name}.md5sums",
        }  # fmt: skip

    lowest, tool, helper, own = map(files_of, layers_of(built))
    assert lowest == {"usr/lib/libc.so"} | of("libc6")
    assert tool == {"usr/bin/tool", "usr/bin/twice"} | of("tool")
    assert helper == {"usr/bin/helper"} | of("helper")
    assert own == {"usr/bin/own", "etc/passwd", "etc/group", "bin", "lib", "lib64", "sbin"}


@pytest.mark.parametrize("layers", ["auto", "{split: [[tool]]}"])
def test_layers_hold_what_one_layer_holds_and_no_file_twice(layers: str, tmp_path: Path) -> None:
    one = build(tmp_path / "one", RECIPE)
    several = build(tmp_path / "several", RECIPE + f"layers: {layers}\n")
    trees = layers_of(several)
    assert sum(len(files_of(tree)) for tree in trees) == len(set().union(*map(files_of, trees)))

    image, store = image_of(several), Store(tmp_path / "all")
    blobs = [image.blobs[digest_of(each)] for each in image.document.parsed.layers]
    stacked = read_layers(blobs, store, CancelToken())
    (whole,) = layers_of(one)

    def told(tree: Tree) -> dict[bytes, tuple[object, ...]]:
        return {
            path: (node.type, node.mode, node.uid, node.gid, node.target, node.size,
                   node.content and node.content.digest)
            for path, node in tree.items()
        }  # fmt: skip

    assert told(stacked) == told(whole)


def test_every_layer_has_the_parents_of_what_it_holds(tmp_path: Path) -> None:
    """Some engines unpack a layer by itself and would make missing parents as they like."""
    for tree in layers_of(build(tmp_path, RECIPE + "layers: auto\n")):
        for path in tree:
            parent = path.rpartition(b"/")[0]
            assert tree[parent].type == "directory"


def digests(result: BuildResult) -> list[str]:
    return [each.digest for each in image_of(result).document.parsed.layers]


def test_an_update_of_one_package_changes_its_layer_and_no_other(tmp_path: Path) -> None:
    recipe = RECIPE + "layers: {split: [[libc6], [tool], [helper]]}\n"
    old = digests(build(tmp_path / "old", recipe))
    newer = deb("helper", version="2", files={"usr/bin/helper": b"new", "usr/bin/more": b""})
    changed = {**PACKAGES, "helper": newer}
    new = digests(build(tmp_path / "new", recipe, *changed.values()))
    assert [a == b for a, b in zip(old, new, strict=True)] == [True, True, False, True]


def test_a_later_archive_and_a_further_package_leave_layers_as_they_were(tmp_path: Path) -> None:
    recipe = RECIPE + "layers: {split: [[libc6], [tool], [helper]]}\n"
    old = digests(build(tmp_path / "old", recipe))
    packages = [*PACKAGES.values(), deb("extra", files={"usr/bin/extra": b"e"})]
    (tmp_path / "new").mkdir()
    later = BuildWorld(tmp_path / "new", packages, date=DATE + timedelta(hours=1))
    new = digests(later.build(recipe.replace("[tool]", "[tool, extra]", 1)))
    assert len(new) == len(old) + 1
    assert new[1:-1] == old[:-1]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("layers: some", "invalid value 'some': expected one, auto or split"),
        ("layers: {split: []}", "split has no packages"),
        ("layers: {split: [[]]}", "split has no packages"),
        ("layers: {split: [" + "[a1]," * 11 + "]}", "split has 11 entries; at most 10 are allowed"),
    ],
)  # fmt: skip
def test_wrong_layers_are_refused(text: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(HomeportError) as caught:
        build(tmp_path, RECIPE + text + "\n")
    assert fault in str(getattr(caught.value, "faults", [caught.value])[0].what)


def test_a_source_that_is_updated_often_is_apart_from_large_ones_that_are_not() -> None:
    groups = group_sources({"fonts": 90_000_000, "openssl": 2_000_000}, {"openssl": 9}, 11)
    assert groups == {"fonts": 0, "openssl": 1}


def test_there_are_never_more_layers_than_twelve(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(40)]
    packages = [
        deb(name, files={f"usr/share/{name}": name.encode() * 100 * number})
        for number, name in enumerate(names, start=1)
    ]
    built = build(tmp_path, f"packages: [{', '.join(names)}]\nsteps: {{os_release: false}}\n"
                  "layers: auto\n", *packages)  # fmt: skip
    assert len(layers_of(built)) == 12


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=9),
    st.integers(1, 5),
)
def test_the_cuts_are_the_cheapest_of_all(row: list[tuple[int, int]], most: int) -> None:
    """Compared with every way of cutting; rows are sorted as the caller sorts them."""
    row.sort(key=lambda pair: pair[1] / pair[0])
    sizes, updates = [pair[0] for pair in row], [float(pair[1]) for pair in row]

    def cost(bounds: list[int]) -> float:
        return sum(sum(sizes[a:b]) * sum(updates[a:b]) for a, b in itertools.pairwise(bounds))

    inner = range(1, len(row))
    ways = (
        [0, *cuts, len(row)]
        for count in range(min(most, len(row)))
        for cuts in itertools.combinations(inner, count)
    )
    found = cheapest_cuts(sizes, updates, most)
    assert (found[0], found[-1]) == (0, len(row))
    assert len(found) <= most + 1
    assert cost(found) == min(map(cost, ways))


@pytest.mark.parametrize(
    ("name", "counted"),
    [("postgresql-17", "postgresql-"), ("php8.4", "php"), ("python3.13", "python"),
     ("gcc-14", "gcc-"), ("libpng1.6", "libpng"), ("x264", "x"), ("openssl", "openssl"),
     ("openjdk-21", "openjdk-"), ("lib2geom", "lib2geom")],
)  # fmt: skip
def test_versions_in_names_of_sources_do_not_count(name: str, counted: str) -> None:
    assert without_numbers(name) == counted


def test_replayed_updates_send_little_more_than_what_changed() -> None:
    """Of counts that knew nothing of these updates, and of those that ship."""
    run = subprocess.run(
        [sys.executable, "-P", Path(__file__).parents[2] / "benchmarks" / "layers.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = {
        name: (float(times), int(less))
        for name, times, less in re.findall(
            r"(?m)^(\w+): ([0-9.]+) times the least, ([0-9]+)% less", run.stdout
        )
    }
    assert found["shipped"][0] <= 1.5
    assert found["auto"][0] <= 1.6
    assert min(less for _, less in found.values()) >= 70
