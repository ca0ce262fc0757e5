"""A repository against the machine that audits it: links, pipes and devices instead of files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from homeport.audit.auditing import AuditRequest, audit

SECRET = "FROM secret.example/x:1\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository beside a file that is none of its business."""
    (tmp_path / "outside").write_text(SECRET)
    root = tmp_path / "tree"
    root.mkdir()
    return root


def findings(root: Path, *paths: str) -> tuple[list[str], list[str]]:
    report = audit(AuditRequest(paths=paths, root=root)).report
    return [image.name for image in report.images], [f"{u.file}: {u.what}" for u in report.unread]


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "a.yaml", ".gitlab-ci.yml"])
def test_a_link_out_of_the_tree_is_not_followed(tree: Path, name: str) -> None:
    (tree / name).symlink_to(tree.parent / "outside")
    why = f"{name}: a symbolic link out of the audited directory; not followed"
    assert findings(tree, name) == ([], [why])
    assert findings(tree, ".") == ([], [])


def test_a_directory_that_is_a_link_out_of_the_tree_is_not_entered(tree: Path) -> None:
    (tree / "up").symlink_to(tree.parent)
    why = "a symbolic link out of the audited directory; not followed"
    assert findings(tree, "up") == ([], [f"up: {why}"])
    assert findings(tree, "up/outside") == ([], [f"up/outside: {why}"])


def test_a_link_inside_the_tree_is_followed_when_it_is_named(tree: Path) -> None:
    (tree / "real").write_text("FROM debian:13\n")
    (tree / "Dockerfile").symlink_to("real")
    assert findings(tree, "Dockerfile") == (["docker.io/library/debian:13"], [])


def test_a_place_outside_that_the_user_names_is_read(tree: Path) -> None:
    other = tree.parent / "other"
    other.mkdir()
    (other / "Dockerfile").write_text("FROM debian:13\n")
    assert findings(tree, "../other") == (["docker.io/library/debian:13"], [])


def test_pipes_devices_and_loops_are_named_and_not_waited_for(tree: Path) -> None:
    os.mkfifo(tree / "Dockerfile")
    (tree / "loop.yaml").symlink_to("loop.yaml")
    (tree / "zero.yaml").symlink_to("/dev/zero")
    images, unread = findings(tree, "Dockerfile", "loop.yaml", "zero.yaml")
    assert images == []
    assert unread == [
        "Dockerfile: not a regular file",
        "loop.yaml: Too many levels of symbolic links",
        "zero.yaml: a symbolic link out of the audited directory; not followed",
    ]
    assert findings(tree, ".") == ([], [])


def test_what_files_name_outside_the_tree_is_not_read(tree: Path) -> None:
    outside = tree.parent / "outside"
    (tree / "up").symlink_to(tree.parent)
    (tree / ".env").symlink_to(outside)
    (tree / "compose.yaml").write_text(
        "services:\n"
        f"  a: {{build: {{context: ., dockerfile: {outside}}}}}\n"
        "  b: {build: {context: up, dockerfile: outside}}\n"
        "  c: {build: {context: .., dockerfile: outside}}\n"
    )
    assert findings(tree, ".") == ([], [])
