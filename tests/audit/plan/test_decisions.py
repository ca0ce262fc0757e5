"""The plan is what is done: people edit its actions, references and places, and those decide."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders.audit import TODAY, lay_out
from homeport.audit.apply_plan import apply_plan
from homeport.audit.auditing import AuditRequest, audit, plan
from homeport.audit.own_files import BadFile
from homeport.audit.plan.applying import PlanIsForOtherFiles
from homeport.audit.plan.mirroring import planned_pairs
from homeport.audit.plan.planfile import read_plan_file, write_plan_file
from homeport.errors import Faults

HOME = "registry.example/mirror"
FILES = {"Dockerfile": "FROM debian:13\nCOPY --from=quay.io/a/b:1 /x /\n"}

Document = dict[str, Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A plan for a tree beside it."""
    lay_out(FILES, tmp_path / "tree")
    write(tmp_path / "plan.yaml", tmp_path / "tree")
    return tmp_path / "plan.yaml"


def write(file: Path, root: Path) -> None:
    request = AuditRequest(paths=["."], root=root, home=HOME, today=TODAY)
    decisions = read_plan_file(file) if file.exists() else None
    write_plan_file(file, plan(audit(request), request, decisions))


def change(file: Path, edit: Callable[[Document], object]) -> None:
    """What a person does to the plan."""
    document = yaml.safe_load(file.read_text())
    edit(document)
    file.write_text(yaml.safe_dump(document))


def applied(file: Path) -> str:
    apply_plan(file, file.parent / "tree", make_edits=True)
    return (file.parent / "tree/Dockerfile").read_text()


def test_a_plan_says_each_thing_once(file: Path) -> None:
    text = file.read_text()
    assert text.count(f"{HOME}/quay.io/a/b:1") == 2  # the home, and one engine's configuration
    assert "edit" not in text
    assert [(str(pair.source), str(pair.destination)) for pair in planned_pairs(file)] == [
        (f"docker://{name}", f"docker://{HOME}/{name}")
        for name in ("docker.io/library/debian:13", "quay.io/a/b:1")
    ]


def test_another_home_decides_edits_and_copies(file: Path) -> None:
    change(file, lambda plan: plan["images"][0].update(home="registry.example/base/debian:13"))
    assert str(planned_pairs(file)[0].destination) == "docker://registry.example/base/debian:13"
    assert applied(file).startswith("FROM registry.example/base/debian:13\n")


def test_another_action_decides_edits_and_copies(file: Path) -> None:
    change(file, lambda plan: plan["images"][0].update(action="leave"))
    assert [str(pair.source) for pair in planned_pairs(file)] == ["docker://quay.io/a/b:1"]
    assert applied(file).startswith("FROM debian:13\n")


def test_a_place_that_was_removed_is_not_edited(file: Path) -> None:
    change(file, lambda plan: plan["images"][1].update(places=[]))
    assert applied(file) == f"FROM {HOME}/docker.io/library/debian:13\n" + FILES["Dockerfile"][15:]


def test_a_plan_that_is_made_again_keeps_the_decisions(file: Path) -> None:
    change(file, lambda plan: plan["images"][0].update(action="leave", why="ours soon"))
    change(file, lambda plan: plan["images"][1].update(home="registry.example/b:1"))
    (file.parent / "tree/Dockerfile").write_text("FROM x:1\n" + FILES["Dockerfile"])
    with pytest.raises(PlanIsForOtherFiles, match="has changed"):
        applied(file)
    write(file, file.parent / "tree")
    assert [(image.image, image.action, image.home) for image in read_plan_file(file).images] == [
        ("docker.io/library/debian:13", "leave", ""),
        ("docker.io/library/x:1", "import", f"{HOME}/docker.io/library/x:1"),
        ("quay.io/a/b:1", "import", "registry.example/b:1"),
    ]
    assert "FROM debian:13\nCOPY --from=registry.example/b:1 /x /" in applied(file)


def test_a_plan_that_is_applied_twice_says_so(file: Path) -> None:
    text = applied(file)
    again = apply_plan(file, file.parent / "tree", make_edits=True)
    assert (again.already, again.changes) == (True, ())
    assert (file.parent / "tree/Dockerfile").read_text() == text


def test_files_that_changed_otherwise_are_not_taken_for_applied_ones(file: Path) -> None:
    applied(file)
    (file.parent / "tree/Dockerfile").write_text("FROM debian:12\n")
    with pytest.raises(PlanIsForOtherFiles, match="has changed"):
        applied(file)


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (lambda image: image.update(home="a b"), "invalid image reference"),
        (lambda image: image.pop("home"), "needs a home"),
        (lambda image: image.update(action="keep"), "expected one of"),
        (lambda image: image["places"][0].update(
            edit={"start": 0, "end": 0, "old": "", "new": "x"}), "holds no edits"),
    ],
)  # fmt: skip
def test_a_decision_that_cannot_be_carried_out_is_named(
    file: Path, edit: Callable[[Document], object], what: str
) -> None:
    change(file, lambda plan: edit(plan["images"][0]))
    with pytest.raises((BadFile, Faults)) as raised:
        read_plan_file(file)
    assert what in str(raised.value)
