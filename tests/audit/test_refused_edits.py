"""A plan whose edits never come out as planned is refused, not written."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.audit import auditing
from homeport.audit.auditing import AuditRequest, EditsRefused, audit, plan
from homeport.audit.plan.guard import Spot
from homeport.audit.plan.planning import Draft


def test_edits_that_fail_every_round_give_no_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM debian:13\n")
    request = AuditRequest(root=tmp_path, paths=(Path(),), home="registry.example/m")
    audited = audit(request)
    monkeypatch.setattr(auditing, "_MOST_ROUNDS", 2)
    seen = []

    def never(draft: Draft, *_rest: object) -> dict[Spot, str]:
        seen.append(draft)
        (spot,) = draft.promises
        return {spot: "it would become something else"}

    monkeypatch.setattr(auditing, "_broken", never)
    with pytest.raises(EditsRefused, match="it would become something else"):
        plan(audited, request)
    assert len(seen) == 2
