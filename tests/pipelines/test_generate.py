"""Jobs in the user's own file: stable, between markers, and valid for those who read them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from homeport.cli.main import run
from homeport.errors import UsageError
from homeport.pipelines.generate import BEGIN, run_pipelines
from homeport.pipelines.request import MACHINES, SYSTEMS, PipelineRequest, System
from homeport.recipe.catalog import shipped_catalog
from homeport.recipe.loading import load_recipe

IMAGE = "registry.example/ci/homeport:1"


def write(path: Path, system: System, **more: object) -> tuple[str, bool]:
    options = {"image": IMAGE, "repository": "registry.example/team", "recipes": ("images/",)}
    request = PipelineRequest(system=system, file=path, **{**options, **more})  # type: ignore[arg-type]
    done = run_pipelines(request)
    return path.read_bytes().decode() if path.exists() else "", done.current


@pytest.mark.parametrize("system", SYSTEMS)
def test_writing_again_changes_nothing_and_check_says_so(tmp_path: Path, system: System) -> None:
    path = tmp_path / "file.service"
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


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_schedule_opens_requests_that_show_images_and_their_tests(
    tmp_path: Path, system: System
) -> None:
    text, _ = write(tmp_path / "file.service", system)
    assert "homeport update images/ --build --request" in text


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
    # What a schedule's event says about the repository is not documented: it runs on one branch.
    assert workflow["jobs"]["publish"]["if"].startswith("github.event_name == 'schedule' || (")
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


@pytest.mark.parametrize(
    "linked", [".github", ".github/workflows", ".github/workflows/homeport.yml"]
)
def test_a_link_of_the_repository_leads_to_no_file_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "repository" / linked
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / "repository")
    with pytest.raises(UsageError, match=r"homeport.yml leads out of this directory") as caught:
        run_pipelines(PipelineRequest(system="github", image=IMAGE, repository="r.example/x"))
    assert caught.value.hint == "if that is wanted, name the file with --file"
    assert not list((tmp_path / "elsewhere").iterdir())


def test_half_of_the_markers_is_no_place_to_write(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text(f"{BEGIN}\n")
    with pytest.raises(UsageError):
        write(path, "gitlab")


def test_forgejo_takes_actions_from_its_own_mirror_and_has_no_job_token(tmp_path: Path) -> None:
    text, _ = write(tmp_path / "f", "forgejo")
    assert "GITHUB_TOKEN" not in text
    jobs = yaml.safe_load(text)["jobs"]
    assert {step["uses"].partition("@")[0] for job in jobs.values() for step in job["steps"]
            if "uses" in step} == {
        "https://data.forgejo.org/actions/cache", "https://data.forgejo.org/actions/checkout",
    }  # fmt: skip
    assert {job["runs-on"] for job in jobs.values()} == {"docker"}


def test_woodpecker_asks_for_secrets_only_where_they_are_needed(tmp_path: Path) -> None:
    steps = yaml.safe_load(write(tmp_path / "f", "woodpecker")[0])["steps"]
    assert {name for name, step in steps.items() if "environment" in step} == {
        "homeport-update", "homeport-publish",
    }  # fmt: skip
    assert steps["homeport-build"]["when"] == [{"event": "pull_request"}]


def test_jenkins_has_a_file_of_its_own_with_comments_of_groovy(tmp_path: Path) -> None:
    text, _ = write(tmp_path / "f", "jenkins")
    assert text.startswith("// homeport pipelines: begin")
    assert text.count("{") == text.count("}")
    assert "sh 'homeport publish images/ registry.example/team'" in text


def test_recipes_of_a_folder_are_built_one_by_one_and_a_name_cannot_add_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "homeport.yaml").write_text("homeport: 1\n")
    jobs = yaml.safe_load(write(tmp_path / "f", "gitlab")[0])
    assert jobs["homeport build"]["script"] == [
        "homeport build images/one/homeport.yaml --locked --check",
        "homeport build images/two/homeport.yaml --locked --check",
    ]  # fmt: skip
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no recipe below empty"):
        write(tmp_path / "g", "gitlab", recipes=("images", "empty"))
    (tmp_path / "images" / "${{ secrets.X }}").mkdir()
    (tmp_path / "images" / "${{ secrets.X }}" / "homeport.yaml").write_text("homeport: 1\n")
    for system in SYSTEMS:
        if system not in MACHINES:
            with pytest.raises(UsageError, match="cannot stand in a pipeline file"):
                write(tmp_path / f"bad-{system}", system)


@pytest.mark.parametrize("system", ["gitlab", "github"])
def test_what_is_signed_is_signed_for_the_identity_of_the_job(
    tmp_path: Path, system: System
) -> None:
    """GitLab gives it to jobs in the user's own file alone, and to no child pipeline."""
    jobs = yaml.safe_load(write(tmp_path / "f", system, sign=True)[0])
    if system == "gitlab":
        assert {name for name, job in jobs.items() if "id_tokens" in job} == {"homeport publish"}
        assert jobs["homeport publish"]["id_tokens"] == {"SIGSTORE_ID_TOKEN": {"aud": "sigstore"}}
        (command,) = jobs["homeport publish"]["script"]
    else:
        assert {name for name, job in jobs["jobs"].items() if "id-token" in job["permissions"]} == {
            "publish"
        }
        command = jobs["jobs"]["publish"]["steps"][-1]["run"]
    assert command == "homeport publish images/ registry.example/team --sign"


@pytest.mark.parametrize(
    ("system", "more", "what"),
    [
        ("jenkins", {"sign": True}, "a job of jenkins has no identity to sign for"),
        ("gitlab", {"sign": True, "repository": ""},
         "--sign needs --repository: what is published is signed"),
        ("github", {"stage": "build"}, "jobs of github have no stages"),
    ],
)  # fmt: skip
def test_options_that_a_system_does_not_have_are_usage_errors(
    tmp_path: Path, system: System, more: dict[str, object], what: str
) -> None:
    with pytest.raises(UsageError) as caught:
        write(tmp_path / "f", system, **more)
    assert caught.value.what == what


@pytest.mark.parametrize(
    ("stages", "stage"),
    [
        ("", None), ("stages: [build, test]\n", None),
        ("stages: [.pre, build, deploy]\n", "build"),
        ("# stages: of old\nlint: {script: [x]}\n", None),
    ],
)  # fmt: skip
def test_jobs_are_in_a_stage_that_the_file_has(
    tmp_path: Path, stages: str, stage: str | None
) -> None:
    """GitLab refuses the whole file otherwise; ``test`` is what it takes by itself."""
    path = tmp_path / ".gitlab-ci.yml"
    path.write_text(stages)
    text, _ = write(path, "gitlab")
    assert yaml.safe_load(text)[".homeport"].get("stage") == stage
    assert write(path, "gitlab", check=True)[1]
    assert yaml.safe_load(write(path, "gitlab", stage="late")[0])[".homeport"]["stage"] == "late"


def test_defaults_of_the_file_that_are_for_other_images_are_not_taken_over(tmp_path: Path) -> None:
    jobs = yaml.safe_load(write(tmp_path / "f", "gitlab")[0])
    assert "before_script" not in jobs[".homeport"]["inherit"]["default"]


def test_a_file_with_line_ends_of_windows_keeps_them_and_stays_current(tmp_path: Path) -> None:
    path = tmp_path / ".gitlab-ci.yml"
    path.write_bytes(b"lint:\r\n  script: [x]\r\n")
    text, _ = write(path, "gitlab")
    assert text.count("\n") == text.count("\r\n")
    assert write(path, "gitlab") == (text, True)


def test_a_file_that_is_no_text_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="is not UTF-8"):
        write(path, "gitlab")
    assert path.read_bytes() == b"\xff\xfe"


def test_commands_of_cron_run_in_the_directory_with_the_users_programs(tmp_path: Path) -> None:
    """cron starts them at home, with a PATH of two folders."""
    home, work = tmp_path / "home", tmp_path / "work"
    (home / ".local" / "bin").mkdir(parents=True)
    work.mkdir()
    for name in ("homeport", "git"):
        program = home / ".local" / "bin" / name
        program.write_text(
            f'#!/bin/sh\necho "{name} $* in $PWD: $HOMEPORT_FORGE_TOKEN" >> {tmp_path}/log\n'
        )
        program.chmod(0o755)
    secrets = home / ".config" / "homeport" / "environment"
    secrets.parent.mkdir(parents=True)
    secrets.write_text("HOMEPORT_FORGE_TOKEN=secret\n")
    text, _ = write(tmp_path / "f", "cron", directory=work)
    for line in text.splitlines()[1:-1]:
        command = line.split(" ", 5)[5]
        assert "%" not in command  # cron takes it for a line break
        subprocess.run(
            ["/bin/sh", "-c", command], cwd=home, check=True,
            env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
    ran = (tmp_path / "log").read_text().splitlines()
    assert [line for line in ran if line.startswith("homeport")] == [
        f"homeport outdated images/ --metrics homeport.prom in {work}: secret",
        f"homeport publish images/ registry.example/team in {work}: secret",
        f"homeport update images/ --build --request in {work}: secret",
    ]


def test_a_service_and_its_timer_are_written_and_compared_together(tmp_path: Path) -> None:
    path = tmp_path / "images.service"
    text, _ = write(path, "systemd", directory=Path("/srv/images"))
    assert "WorkingDirectory=/srv/images\n" in text
    timer = tmp_path / "images.timer"
    timer.write_text(timer.read_text().replace("04:17", "05:17"))
    assert not write(path, "systemd", directory=Path("/srv/images"), check=True)[1]
    with pytest.raises(UsageError, match=r"ends in \.service"):
        write(tmp_path / "f", "systemd")
    with pytest.raises(UsageError, match="cannot stand in a pipeline file"):
        write(path, "systemd", directory=Path("/srv/100%"))


def test_every_job_looks_in_the_catalog_that_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ours", "our own"):
        Path(name, "tool").mkdir(parents=True)
        Path(name, "tool", "homeport.yaml").write_text("homeport: 1\n")
    asked = ["pipelines", "gitlab", "tool", "--image", IMAGE, "--repository", "registry.example/t"]
    assert run([*asked, "--catalog", "ours"]) == 0
    jobs = yaml.safe_load(Path(".gitlab-ci.yml").read_text())
    commands = [line for job in jobs.values() for line in job.get("script", [])]
    assert len(commands) == 4
    assert all("tool --catalog ours" in command for command in commands)
    assert run([*asked, "--catalog", "our own"]) == 2
    Path(".gitlab-ci.yml").unlink()
    assert run(asked) == 2  # Homeport's catalog has no such recipe, and no folder is there
    assert not Path(".gitlab-ci.yml").exists()


def test_gitlabs_own_registry_may_be_named_by_its_variable(tmp_path: Path) -> None:
    text, _ = write(tmp_path / "f", "gitlab", repository="$CI_REGISTRY_IMAGE/tools")
    assert "homeport publish images/ $CI_REGISTRY_IMAGE/tools\n" in text
    for system, other in (("gitlab", "$CI_REGISTRY_IMAGES"), ("github", "$CI_REGISTRY_IMAGE")):
        with pytest.raises(UsageError, match="cannot stand in a pipeline file"):
            write(tmp_path / "g", system, repository=other)


def test_the_documented_image_of_the_jobs_is_a_recipe(tmp_path: Path) -> None:
    page = Path(__file__).parents[2].joinpath("docs/fresh.md").read_text()
    (text,) = [each for each in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
               if each.startswith("homeport: 1")]  # fmt: skip
    (tmp_path / "homeport.yaml").write_text(text)
    recipe = load_recipe(tmp_path / "homeport.yaml", shipped_catalog())
    assert {"git", "busybox-static", "python3-click"} <= {each.name for each in recipe.packages}
    assert recipe.config.user == "0"
