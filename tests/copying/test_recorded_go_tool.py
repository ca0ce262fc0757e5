"""What the old Go tool did with random trees and words, done again by the old rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builders.copying import described, entries, failure_of, make_directory
from homeport.copying import helper
from homeport.copying.errors import CopyError

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parent.parent / "data" / "copy-go-recorded.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]


@pytest.mark.root
@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(row["arguments"]))
def test_the_old_rules_give_what_the_go_tool_gave(
    row: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, tree in enumerate(row["sources"]):
        make_directory(tmp_path / f"src-{number}", entries(tree))
    make_directory(tmp_path / "dest", entries(row["before"]))
    monkeypatch.chdir(tmp_path / "dest")
    *words, destination = row["arguments"]
    words = [w if w.startswith("-") else f"{tmp_path}/{w}" for w in words]
    failure = failure_of(lambda: helper.run(helper.parse([*words, destination]), "old"))
    if row["gives"] is None:
        assert isinstance(failure, CopyError)
        return
    assert failure is None, str(failure)
    found = described(tmp_path / "dest")
    expected = {name.encode("utf-8", "surrogateescape"): line for name, line in row["gives"]}
    for name in row.get("differs", ()):  # on purpose, with the reason's number in docs/copy.md
        assert found.pop(name.encode()) != expected.pop(name.encode())
    for name, line in found.items():
        if not line.startswith("hardlink") and " @" not in expected.get(
            name, " @"
        ):  # it had the time of then
            expected[name] += " @" + line.rpartition(" @")[2]
    assert found == expected
