"""What of a directory is sent: order, .dockerignore, follow-paths; nothing outside the root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from homeport.buildkit.protocol.go_filemode import DIRECTORY, SETUID, SYMLINK
from homeport.buildkit.session.context_folder import BadContext, Filters, Folder, Offer


def sent(
    root: Path,
    *,
    follow: tuple[str, ...] = (),
    include: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    offer: Offer | None = None,
) -> list[str]:
    """Paths, as an engine gets them."""
    folder = Folder.open(offer or Offer(root))
    filters = Filters(
        follow=[each.encode() for each in follow],
        include=[each.encode() for each in include],
        exclude=[each.encode() for each in exclude],
    )
    try:
        return [entry.path.decode() for entry in folder.entries(filters)]
    finally:
        folder.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """a-b, a/x, a/y/z, b (a link to a), f"""
    (tmp_path / "a/y").mkdir(parents=True)
    for name in ("a-b", "a/x", "a/y/z", "f"):
        (tmp_path / name).write_text(name)
    (tmp_path / "b").symlink_to("a")
    return tmp_path


def test_a_directory_comes_before_its_content_and_siblings_by_bytes(root: Path) -> None:
    assert sent(root) == ["a", "a/x", "a/y", "a/y/z", "a-b", "b", "f"]


def test_excluded_entries_stay_and_exceptions_bring_their_parents(root: Path) -> None:
    assert sent(root, exclude=("a", "!a/y/z")) == ["a", "a/y", "a/y/z", "a-b", "b", "f"]
    assert sent(root, exclude=("*", "!f")) == ["f"]


def test_a_followed_path_brings_its_parents_and_what_is_below(root: Path) -> None:
    assert sent(root, follow=("a/y",)) == ["a", "a/y", "a/y/z"]
    assert sent(root, follow=("f",)) == ["f"]


def test_a_followed_path_that_is_absent_is_no_error(root: Path) -> None:
    assert sent(root, follow=("nope", "a/nope")) == []


def test_a_followed_link_brings_its_target(root: Path) -> None:
    assert sent(root, follow=("b/x",)) == ["a", "a/x", "b"]


def test_wildcards_of_followed_paths_hold_for_one_component(root: Path) -> None:
    assert sent(root, follow=("a*",)) == ["a", "a/x", "a/y", "a/y/z", "a-b"]
    assert sent(root, follow=("*/x",)) == ["a", "a/x", "b"]


def test_following_everything_is_no_filter(root: Path) -> None:
    assert sent(root, follow=("/",)) == sent(root)
    assert sent(root, follow=("f", ".")) == sent(root)


def test_links_out_of_the_root_lead_nowhere_else(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("outside")
    (root / "up").symlink_to("../secret")
    (root / "absolute").symlink_to(str(tmp_path / "secret"))
    (root / "loop").symlink_to("loop")
    assert sent(root, follow=("up", "absolute", "loop")) == ["absolute", "loop", "up"]


def test_include_patterns_bring_their_parents(root: Path) -> None:
    assert sent(root, include=("a/y/**",)) == ["a", "a/y", "a/y/z"]
    assert sent(root, include=("a/y/z",)) == ["a", "a/y", "a/y/z"]


def test_owners_are_roots_and_modes_are_gos(root: Path) -> None:
    (root / "f").chmod(0o4755)
    folder = Folder.open(Offer(root))
    found = {entry.path: entry for entry in folder.entries(Filters())}
    folder.close()
    assert found[b"f"].mode == SETUID | 0o755
    assert found[b"a"].mode & DIRECTORY
    assert found[b"b"].mode & SYMLINK
    assert found[b"b"].linkname == b"a"
    assert {(entry.uid, entry.gid) for entry in found.values()} == {(0, 0)}


def test_a_second_name_of_a_file_is_a_link_to_the_first(root: Path) -> None:
    os.link(root / "f", root / "z")
    folder = Folder.open(Offer(root))
    found = {entry.path: entry.linkname for entry in folder.entries(Filters())}
    folder.close()
    assert (found[b"f"], found[b"z"]) == (b"", b"f")


def test_a_name_that_is_not_utf_8_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"bad\xff")).write_text("")
    with pytest.raises(BadContext, match="not UTF-8") as error:
        sent(tmp_path)
    assert error.value.hint is not None


def test_such_a_name_may_be_ignored(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"bad\xff")).write_text("")
    assert sent(tmp_path, exclude=("bad*",)) == []


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadContext, match="cannot read"):
        Folder.open(Offer(tmp_path / "nope"))


def test_a_file_that_became_a_link_is_not_read(root: Path) -> None:
    folder = Folder.open(Offer(root))
    (root / "f").unlink()
    (root / "f").symlink_to("/etc/passwd")
    with pytest.raises(BadContext):
        folder.open_file(b"f")
    with pytest.raises(BadContext):
        folder.open_file(b"b/x")
    folder.close()


def test_what_is_ignored_is_not_sent_whatever_the_engine_asks(root: Path) -> None:
    (root / ".dockerignore").write_text("...")
    offer = Offer(root, ignore=(b"a", b"!a/y", b".*"))
    kept = [".dockerignore", "a", "a/y", "a/y/z", "a-b", "b", "f"]
    assert sent(root, offer=offer) == kept
    assert sent(root, offer=offer, follow=("a/x", "a/y", ".dockerignore")) == [
        ".dockerignore", "a", "a/y", "a/y/z",
    ]  # fmt: skip
    assert sent(root, offer=offer, follow=("a/x",)) == []
    assert sent(root, offer=offer, include=("a/x", "f")) == ["f"]
    # The engine's own exceptions add nothing to what is offered.
    assert sent(root, offer=offer, exclude=("*", "!a/x", "!a/y")) == ["a", "a/y", "a/y/z"]
    assert sent(root, offer=offer, exclude=("a", "!a/y", ".*")) == kept[1:]


def test_only_what_is_offered_is_sent_with_what_its_links_lead_to(root: Path) -> None:
    (root / "Dockerfile").symlink_to("a/../a/x")
    (root / "nope.dockerignore").write_text("")
    offer = Offer(root, only=(b"Dockerfile", b"Dockerfile.dockerignore"))
    assert sent(root, offer=offer) == ["Dockerfile", "a", "a/x"]
    assert sent(root, offer=offer, follow=("f", "a/y", "*.dockerignore")) == []
