"""Changelog entries for an image and its descendants; checks; conversion to recipes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from dockerpkg.trees import CHANGELOG, add_image, tree_at
from homeport.dockerpkg.checking import check_tree
from homeport.dockerpkg.conversion import propose
from homeport.dockerpkg.dependencies import make_graph
from homeport.dockerpkg.tree import Tree
from homeport.dockerpkg.updating import Change, find_author, update
from homeport.errors import UsageError

CHANGE = Change(
    reason="New pip\nand more", author="Me <me@x.example>",
    now=datetime(2026, 11, 28, 12, tzinfo=UTC),
)  # fmt: skip


def family(tmp_path: Path) -> Tree:
    root = tmp_path / "images"
    add_image(root, "foo", version="1.0")
    add_image(root, "my-foo", version="3")
    add_image(root, "child", version="2-s4", control="Depends: foo\n")
    add_image(root, "grandchild", version="7", control="Depends: child\n")
    return tree_at(root)


def test_an_update_reaches_all_descendants_and_no_namesake(tmp_path: Path) -> None:
    tree = family(tmp_path)
    done = update(tree, make_graph(tree, {}), "foo", CHANGE)
    assert [(each.name, each.after) for each in done] == [
        ("foo", "1.0-s1"), ("child", "2-s5"), ("grandchild", "7-s1"),
    ]  # fmt: skip
    text = (tree.images["foo"].path / "changelog").read_text()
    assert text == (
        "foo (1.0-s1) wikimedia; urgency=high\n\n  * New pip\n    and more\n\n"
        " -- Me <me@x.example>  Sat, 28 Nov 2026 12:00:00 +0000\n\n"
        + CHANGELOG.format(name="foo", version="1.0")
    )
    child = (tree.images["child"].path / "changelog").read_text()
    assert "  * Refresh for update in parent image foo:\n    New pip\n" in child


def test_nothing_is_written_if_one_version_has_no_successor(tmp_path: Path) -> None:
    tree = family(tmp_path)
    add_image(tree.root, "odd", version="1.0rc1", control="Depends: foo\n")
    tree = tree_at(tree.root)
    before = (tree.images["foo"].path / "changelog").read_text()
    with pytest.raises(UsageError, match="no version follows"):
        update(tree, make_graph(tree, {}), "foo", CHANGE)
    assert (tree.images["foo"].path / "changelog").read_text() == before


def test_an_unknown_dependency_stops_an_update(tmp_path: Path) -> None:
    root = tmp_path / "images"
    add_image(root, "a", control="Depends: nowhere\n")
    tree = tree_at(root)
    with pytest.raises(UsageError, match="a depends on nowhere"):
        update(tree, make_graph(tree, {}), "a", CHANGE)
    with pytest.raises(UsageError, match="no image 'b'"):
        update(tree, make_graph(tree, {}), "b", CHANGE)


def test_the_author_is_debians_variables_before_git_and_the_fallback(tmp_path: Path) -> None:
    tree = family(tmp_path)
    environment = {"DEBFULLNAME": "D", "DEBEMAIL": "d@x.example"}
    assert find_author(tree.configuration, environment, tmp_path) == "D <d@x.example>"


def test_what_stands_in_the_way_of_several_platforms_is_found_by_line(tmp_path: Path) -> None:
    root = tmp_path / "images"
    add_image(root, "z")
    folder = add_image(
        root, "a",
        "FROM r.example/base:latest\n# amd64 in a comment\nRUN dpkg --add-architecture amd64\n"
        "RUN curl -o /x https://x.example/tool.tar.gz\n"
        "RUN curl -o /y https://x.example/tool-$TARGETARCH.tar.gz\n"
        'COPY --from={{ "z" | image_tag }} /z /z\n',
        control="Depends: gone\n",
    )  # fmt: skip
    (folder / "link").symlink_to("/etc/passwd")
    found = [(each.rule, Path(each.file).name, each.line) for each in check_tree(tree_at(root))]
    assert found == [
        ("floating-base", "Dockerfile.template", 1),
        ("one-architecture", "Dockerfile.template", 3),
        ("download", "Dockerfile.template", 4),
        ("undeclared-dependency", "Dockerfile.template", 6),
        ("other-tree", "control", 1),
        ("outside-link", "link", 0),
    ]


def test_a_template_that_installs_and_copies_becomes_a_recipe(tmp_path: Path) -> None:
    root = tmp_path / "images"
    add_image(root, "a")
    image = tree_at(root).images["a"]
    found = propose(
        image,
        "FROM r.example/trixie:1\n"
        "RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes tini curl"
        " --no-install-recommends && apt-get clean && rm -rf /var/lib/apt/lists/*\n"
        "RUN groupadd -o -g 900 -r app && useradd -l -o -r -m -d /var/lib/app -g app -u 900 app\n"
        "WORKDIR /srv\nCOPY --chown=900 conf/x run.sh ./\nENV A=1 B='two'\n"
        'RUN make all\nUSER 900\nENTRYPOINT ["/usr/bin/tini", "--"]\nCMD echo hi\n',
        (),
    )
    assert yaml.safe_load(found.recipe) == {
        "homeport": 1, "name": "a", "platforms": ["linux/amd64", "linux/arm64"],
        "packages": ["tini", "curl", "dash"],
        "files": [
            {"from": "./conf/x", "to": "/srv/", "owner": "900"},
            {"from": "./run.sh", "to": "/srv/", "owner": "900"},
        ],
        "accounts": {"users": [{"name": "app", "uid": 900, "home": "/var/lib/app"}]},
        "config": {
            "workdir": "/srv", "env": {"A": "1", "B": "two"}, "user": "900",
            "entrypoint": ["/usr/bin/tini", "--"], "cmd": ["/bin/sh", "-c", "echo hi"],
        },
    }  # fmt: skip
    assert [(each.line, each.why.partition(":")[0]) for each in found.not_carried] == [
        (1, "a recipe has no base image"), (7, "runs 'make all'"),
    ]  # fmt: skip
