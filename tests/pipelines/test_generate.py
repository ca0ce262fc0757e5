"""Jobs in the user's own file: stable, between markers, and valid for those who read them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from homeport.errors import UsageError
from homeport.pipelines.generate import BEGIN, SYSTEMS, PipelineRequest, System, run_pipelines

IMAGE = "registry.example/ci/homeport:1"


def write(path: Path, system: System, **more: object) -> tuple[str, bool]:
    options = {"image": IMAGE, "repository": "registry.example/team", "recipes": ("images/",)}
    request = PipelineRequest(system=system, file=path, **{**options, **more})  # type: ignore[arg-type]
    done = run_pipelines(request)
    return path.read_text() if path.exists() else "", done.current


@pytest.mark.parametrize("system", SYSTEMS)
def test_writing_again_changes_nothing_and_check_says_so(tmp_path: Path, system: System) -> None:
    path = tmp_path / "file"
    assert write(path, system, check=True) == ("", False)
    first, current = write(path, system)
    assert not current
    assert write(path, system) == (first, True)
    assert write(path, system, check=True) == (first, True)
    assert not write(path, system, recipes=("other/",), check=True)[1]


@pytest.mark.parametrize("ending", ["", "\n"])
def test_what_people_wrote_stays_as_it_is(tmp_path: Path, ending: str) -> None:
    path = tmp_path / ".gitlab-ci.yml"
    path.write_text(f"lint:\n  script: [make lint]  # ours{ending}")
    write(path, "gitlab")
    path.write_text(path.read_text() + "after:\n  script: [x]\n")
    text, _ = write(path, "gitlab", recipes=("other/",))
    assert text.startswith("lint:\n  script: [make lint]  # ours\n\n" + BEGIN)
    assert text.endswith("after:\n  script: [x]\n")
    assert set(yaml.safe_load(text)) == {
        "lint", "after", ".homeport", "homeport outdated", "homeport update", "homeport build",
        "homeport publish",
    }  # fmt: skip


def test_gitlab_publishes_on_the_default_branch_one_at_a_time(tmp_path: Path) -> None:
    jobs = yaml.safe_load(write(tmp_path / "f", "gitlab")[0])
    assert jobs["homeport publish"]["resource_group"] == "homeport-publish"
    assert jobs["homeport publish"]["script"] == ["homeport publish images/ registry.example/team"]
    assert jobs["homeport outdated"]["allow_failure"] == {"exit_codes": 4}
    without = yaml.safe_load(write(tmp_path / "g", "gitlab", repository="")[0])
    assert "homeport publish" not in without


def test_github_has_least_permissions_and_pinned_actions(tmp_path: Path) -> None:
    workflow = yaml.safe_load(write(tmp_path / "f", "github")[0])
    assert workflow["permissions"] == {}
    writers = {name for name, job in workflow["jobs"].items()
               if "write" in job["permissions"].values()}  # fmt: skip
    assert writers == {"publish"}
    used = {step["uses"] for job in workflow["jobs"].values() for step in job["steps"]
            if "uses" in step}  # fmt: skip
    assert all(len(each.partition("@")[2]) == 40 for each in used)
    assert "pull_request_target" not in str(workflow)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"image": ""}, "the jobs need an image with Homeport and git"),
        ({"recipes": ("a b; rm",)}, "'a b; rm' cannot stand in a pipeline file"),
        ({"repository": "x\ny: z"}, "'x\\ny: z' cannot stand in a pipeline file"),
    ],
)
def test_what_cannot_stand_in_a_file_is_refused(
    tmp_path: Path, more: dict[str, object], what: str
) -> None:
    with pytest.raises(UsageError) as caught:
        write(tmp_path / "f", "gitlab", **more)
    assert caught.value.what == what


def test_half_of_the_markers_is_no_place_to_write(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text(f"{BEGIN}\n")
    with pytest.raises(UsageError):
        write(path, "gitlab")
