"""The recordings of terminals in docs: made anew from real runs, and nothing of others in them."""

from __future__ import annotations

import re
from pathlib import Path

from make_recordings import main

PICTURES = Path(__file__).parent.parent / "docs/pictures"


def test_recordings_are_made_of_real_runs_and_load_nothing(tmp_path: Path) -> None:
    assert main(tmp_path) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {path.name for path in PICTURES.glob("*.svg")}
    for name, wanted in (("audit.svg", "debian:11-slim"), ("inspect.svg", "max-user-wasted")):
        picture = (tmp_path / name).read_text()
        assert wanted in picture
        assert "font-face" not in picture
        assert not re.search(r"(?:url\(|href=)['\"]?https?:", picture)
        assert "Traceback" not in picture
