"""Text and where it stands in its file."""

from __future__ import annotations

import pytest

from homeport.audit.auditing import AuditRequest, audit
from homeport.audit.source import Source


@pytest.mark.parametrize("commands", [20, 200])
def test_a_long_line_of_a_block_is_looked_up_once_however_many_parts_it_has(
    commands: int, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = []
    line = Source.line

    def counting(self: Source, number: int) -> tuple[int, str]:
        looked_up.append(number)
        return line(self, number)

    monkeypatch.setattr(Source, "line", counting)
    root = tmp_path_factory.mktemp("tree")
    script = "$(docker run alpine:3.22 " * commands
    (root / ".gitlab-ci.yml").write_text(f"job:\n  script:\n    - |\n      {script}\n")
    found = audit(AuditRequest(paths=["."], root=root)).report
    assert sum(len(image.uses) for image in found.images) >= commands
    assert len(looked_up) <= 5
