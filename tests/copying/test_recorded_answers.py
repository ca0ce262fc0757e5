"""The recorded answers of the reference implementations all hold (tests/data/copy-recorded.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from homeport.copying import ignore, modes, patterns
from homeport.copying.errors import CopyError

DATA = Path(__file__).parent.parent / "data"


def rows(name: str) -> Iterator[Any]:
    with (DATA / name).open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def test_wildcards_match_as_go_does() -> None:
    wrong = []
    for pattern, name, wanted in rows("filepath-match.jsonl"):
        try:
            found = str(patterns.matches(pattern.encode(), name.encode())).lower()
        except CopyError:
            found = "error"
        if found != wanted:
            wrong.append((pattern, name, wanted, found))
    assert wrong == []


def test_symbolic_modes_are_as_the_parser_of_2024_gave_them() -> None:
    wrong = []
    for text, before, directory, wanted in rows("chmod-symbolic.jsonl"):
        try:
            change = modes.parse(text, x_only_with_plus=True)
            found = f"{change(int(before, 8), directory):04o}"
        except CopyError:
            found = "error"
        if found != wanted:
            wrong.append((text, before, directory, wanted, found))
    assert wrong == []


def test_symbolic_modes_of_today_differ_only_in_an_x_after_equals_or_minus() -> None:
    for text, before, directory, wanted in rows("chmod-symbolic.jsonl"):
        if "X" not in text and wanted != "error":
            assert f"{modes.parse(text)(int(before, 8), directory):04o}" == wanted


def test_ignore_files_are_read_as_moby_reads_them() -> None:
    wrong = []
    for row in rows("dockerignore.jsonl"):
        found = [p.decode() for p in ignore.read(row["text"].encode())]
        if found != (row["read"] or []):
            wrong.append((row["text"], row["read"], found))
    assert wrong == []


def test_a_walk_and_whole_paths_are_ignored_as_moby_ignores_them() -> None:
    wrong = []
    for row in rows("dockerignore.jsonl"):
        try:
            found: Any = walked(ignore.Ignore([p.encode() for p in row["read"] or []]), row)
        except CopyError:
            found = "error"
        if found != row["ignored"]:
            wrong.append((row["read"], row["ignored"], found))
    assert wrong == []


def walked(patterns: ignore.Ignore, row: Any) -> list[list[Any]]:
    hits: dict[str, list[bool]] = {}
    found = []
    paths = row["ignored"]
    if paths == "error":
        # The paths of those walks were not recorded: a malformed pattern shows when it is
        # reached, a negated one only once another has hit.
        names = ["x", "a/b", *(p.replace("*", "") for p in row["read"] if p[0] != "!")]
        paths = [[name] for name in names]
    for path, *_ in paths:
        above = None
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            name = "/".join(parts[:end])
            in_walk, above = patterns.step(name.encode(), above)
            hits[name] = above
        found.append([path, in_walk, patterns.matches(path.encode())])
    return found
