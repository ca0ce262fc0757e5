"""A build context hides what its ignore file names; heredocs and remote files are sources too."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from builders.copying import ENTRY, entries, make_tree
from builders.tree_filesystem import TreeFilesystem
from homeport.copying.command import Flags, copy
from homeport.copying.content_sources import heredoc, remote, remote_name
from homeport.copying.context import Context
from homeport.copying.errors import CopyError
from homeport.copying.ignore import Ignore, read
from homeport.copying.sources import CopySource

DATA = Path(__file__).parent.parent / "data"


def sent(text: str, tree: str, words: tuple[str, ...] = (".",)) -> list[str]:
    """The paths that a COPY of ``words`` finds in a context with this ignore file."""
    source = Context(
        TreeFilesystem(ENTRY, tree=make_tree(entries(tree))), Ignore(read(text.encode()))
    )
    target = TreeFilesystem(ENTRY)
    copy([CopySource(source, word.encode()) for word in words], target, b"/o/", Flags())
    return [path.decode()[2:] for path in target.freeze() if path != b"o"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ["a", "d", "d/f", "d/g", "d/s", "d/s/x"]),
        ("d", ["a"]),
        ("d\n!d/g", ["a", "d", "d/g"]),
        ("*\n!d/s/x", ["d", "d/s", "d/s/x"]),
        ("**/x", ["a", "d", "d/f", "d/g", "d/s"]),
        ("d/*\n!d/s", ["a", "d", "d/s", "d/s/x"]),
        ("*", []),
    ],
)
def test_what_is_ignored_is_not_there(text: str, kept: list[str]) -> None:
    assert sent(text, "a, d/, d/f, d/g, d/s/, d/s/x") == kept


def test_a_source_that_is_ignored_is_not_found() -> None:
    with pytest.raises(CopyError, match="no such file"):
        sent("d", "d/, d/f", ("d/f",))
    assert sent("d", "d/, d/f, e", ("*",)) == ["e"]


def test_a_context_is_only_read() -> None:
    source = Context(TreeFilesystem(ENTRY, tree=make_tree(entries("a"))), Ignore([]))
    with pytest.raises(CopyError, match="only read"):
        copy([CopySource(source, b"a")], source, b"/b", Flags())  # type: ignore[arg-type]


def test_recorded_walks_leave_what_moby_leaves() -> None:
    text = (DATA / "dockerignore.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.strip().split("\n")]
    tried = 0
    for row in rows:
        if row["ignored"] == "error" or any("//" in path for path, *_ in row["ignored"]):
            continue
        check_walk(row)
        tried += 1
    assert tried > 1000


def check_walk(row: dict[str, Any]) -> None:
    """Files that the walk does not ignore are sent, and no others."""
    ignored = {path: hit for path, hit, _ in row["ignored"]}
    files = [p for p in ignored if not any(q.startswith(p + "/") for q in ignored)]
    if any(part in ("", ".", "..") for path in files for part in path.split("/")):
        return
    directories = {p.rsplit("/", n)[0] for p in files for n in range(1, p.count("/") + 1)}
    tree = [json.dumps(f"{d}/") for d in sorted(directories)] + [json.dumps(f) for f in files]
    patterns = Ignore([pattern.encode() for pattern in row["read"] or []])
    source = Context(TreeFilesystem(ENTRY, tree=make_tree(entries(", ".join(tree)))), patterns)
    target = TreeFilesystem(ENTRY)
    copy([CopySource(source, b".")], target, b"/o", Flags())
    found = target.freeze()
    kept = {path.decode()[2:] for path in found if found[path].type == "file"}
    assert kept == {path for path in files if not ignored[path]}, row["text"]


def test_a_heredoc_is_a_file_of_its_name() -> None:
    target = TreeFilesystem(ENTRY)
    words = [heredoc(b"A", b"\tone\n", 7, strip_tabs=True), heredoc(b"B", b"\ttwo\n", 7)]
    copy(words, target, b"/d/", Flags(chmod="u=rwX,go=rX"))
    tree = target.freeze()
    assert [(n.decode(), tree[n].mode, tree[n].mtime, tree[n].size) for n in tree] == [
        ("d", 0o755, 0, 0), ("d/A", 0o644, 7, 4), ("d/B", 0o644, 7, 5),
    ]  # fmt: skip


def test_a_remote_file_is_private_and_as_old_as_its_server_says() -> None:
    target = TreeFilesystem(ENTRY)
    word = remote("https://h.example/p/x%20y.tgz?q#f", io.BytesIO(b"body"), 5_000_000_000)
    copy([word], target, b"/", Flags())
    node = target.freeze()[b"x y.tgz"]
    assert (node.mode, node.uid, node.mtime, node.size) == (0o600, 0, 5_000_000_000, 4)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://h/p/x.tgz", b"x.tgz"), ("http://h", b"__unnamed__"), ("http://h/", b"__unnamed__"),
        ("http://h/a/b/", b"b"), ("http://h/a%2Fb", b"b"), ("http://h/100%", b"100%"),
        ("http://h/..", b"__unnamed__"),
    ],
)  # fmt: skip
def test_names_of_remote_files(url: str, name: bytes) -> None:
    assert remote_name(url) == name


def test_a_checksum_that_does_not_match_leaves_no_file() -> None:
    good = "sha256:" + hashlib.sha256(b"body").hexdigest()
    target = TreeFilesystem(ENTRY)
    copy([remote("http://h/a", io.BytesIO(b"body"), 0, good)], target, b"/", Flags())
    with pytest.raises(CopyError, match="digest mismatch"):
        copy([remote("http://h/b", io.BytesIO(b"other"), 0, good)], target, b"/", Flags())
    assert list(target.freeze()) == [b"a"]
    with pytest.raises(CopyError, match="invalid checksum"):
        remote("http://h/b", io.BytesIO(b""), 0, "md5:00")
