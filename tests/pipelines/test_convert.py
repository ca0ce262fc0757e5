"""Pipelines of other systems carried over: what becomes of every step and setting, and why."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from builders.audit import Case, lay_out, read_case
from homeport.errors import UsageError
from homeport.pipelines.convert import Converted, ConvertRequest, report_markdown, run_convert
from homeport.pipelines.generate import run_pipelines
from homeport.pipelines.request import PipelineRequest

#: As the copy helper's repository had it: a privileged buildkitd, buildctl, a deploy script.
BUILDKITD = """\
dist: trusty
sudo: required
services:
  - docker
env:
  global:
    - PLATFORMS="linux/amd64,linux/arm/v6,linux/arm/v7,linux/s390x"
    - secure: "b64="
before_install:
  - docker run -d --privileged --name buildkit moby/buildkit:v0.3 --addr tcp://0.0.0.0:1234
  - docker cp buildkit:/usr/bin/buildctl /usr/local/bin/
  - export BUILDKIT_HOST=tcp://127.0.0.1:1234
script:
  - buildctl build --frontend dockerfile.v0 --local context=. --frontend-opt platform=$PLATFORMS
before_deploy:
  - echo "$DOCKER_PASSWORD" | docker login -u "$DOCKER_USERNAME" --password-stdin
deploy:
  - provider: script
    script: buildctl build --frontend dockerfile.v0 --local context=.
      --frontend-opt platform=$PLATFORMS --exporter=image
      --exporter-opt name=$TRAVIS_REPO_SLUG:$TRAVIS_TAG,push=true
    on:
      repo: me/copy
      tags: true
  - provider: releases
    file: bin/copy
"""
WORKFLOW = """\
name: docker
on: {push: {branches: [main]}}
permissions: {contents: read}
env: {IMAGE: ghcr.io/me/tool}
jobs:
  image:
    runs-on: ubuntu-latest
    strategy: {matrix: {go: [1, 2]}}
    steps:
      - uses: actions/checkout@v4
      - uses: docker/setup-qemu-action@v3
      - uses: docker/login-action@v3
        with: {registry: ghcr.io, username: me, password: "${{ secrets.GHCR }}"}
      - uses: docker/build-push-action@v6
        with:
          context: .
          platforms: linux/amd64,linux/arm64
          push: true
          tags: ${{ env.IMAGE }}:latest
      - uses: codecov/codecov-action@v5
      - run: |
          # only a remark
          make test
"""
GITLAB = """\
.docker: &docker
  image: docker:27
  services: [docker:27-dind]
variables: {TAG: registry.example/team/tool}
image:
  <<: *docker
  before_script:
    - docker login -u $CI_REGISTRY_USER -p $CI_REGISTRY_PASSWORD registry.example
  script:
    - docker build --pull -f build/Dockerfile -t $TAG:1 .
    - docker push $TAG:1
  only: [main]
lint:
  script: [./ci/lint.sh]
"""


def convert(folder: Path, text: str, name: str = ".travis.yml", **more: object) -> Converted:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return run_convert(ConvertRequest(file=path, **more))  # type: ignore[arg-type]  # its fields


def fates(done: Converted) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for each in done.report:
        if not each.file:
            found.setdefault(each.fate, []).append(each.line)
    return found


def test_a_privileged_buildkitd_and_its_deploy_script(tmp_path: Path) -> None:
    done = convert(tmp_path, BUILDKITD)
    assert (done.kind, done.builds, done.pushes) == ("travis", 2, 1)
    recipe = yaml.safe_load(done.recipe)
    assert recipe["platforms"] == ["linux/amd64", "linux/arm/v7", "linux/s390x"]
    assert "TODO: linux/arm/v6 is not a platform of Debian" in done.recipe
    found = fates(done)
    assert {4, 10, 11, 12, 14, 18, 19} <= set(found["replaced"])
    assert {each.what for each in done.of("person")} >= {
        "env.global", "DOCKER_PASSWORD", "DOCKER_USERNAME", "docker.io/me/copy",
    }  # fmt: skip
    assert any(each.what == "deploy.provider: releases" for each in done.of("not-carried"))
    assert "b64=" not in report_markdown(done)


def test_every_step_and_setting_is_in_the_report_with_its_line(tmp_path: Path) -> None:
    lines = {each.line for each in convert(tmp_path, BUILDKITD).report}
    assert lines >= {1, 2, 4, 8, 10, 11, 12, 14, 16, 18, 19, 25}


def test_a_workflow_of_docker_actions(tmp_path: Path) -> None:
    done = convert(tmp_path, WORKFLOW, ".github/workflows/docker.yml", to="github")
    assert (done.kind, done.builds, done.pushes) == ("github", 1, 1)
    assert fates(done)["carried"] == [10]
    assert "ghcr.io/me/tool" in done.pipeline
    why = {each.what: each.fate for each in done.report}
    assert why["GHCR"] == why["make test"] == "person"
    assert why["codecov/codecov-action@v5"] == "not-carried"
    assert [each.line for each in done.report if each.what == "make test"] == [23]
    assert yaml.safe_load(done.recipe)["name"] == "tool"


def test_a_gitlab_job_with_anchors_and_dind(tmp_path: Path) -> None:
    done = convert(tmp_path, GITLAB.replace("image:\n  <<", "build:\n  <<"), ".gitlab-ci.yml")
    assert (done.kind, done.builds, done.pushes) == ("gitlab", 1, 1)
    assert "homeport publish homeport.yaml registry.example/team/tool" in done.pipeline
    given = {"CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD"}  # by GitLab, to its own jobs
    assert given <= {each.what for each in done.of("replaced")}
    other = run_convert(ConvertRequest(file=tmp_path / ".gitlab-ci.yml", to="github"))
    assert given <= {each.what for each in other.of("person")}


def test_what_a_dockerfile_says_becomes_a_recipe_and_the_rest_is_named(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM debian:13\nRUN apt-get update && apt-get install -y curl\nCOPY run.sh /usr/bin/run\n"
        'RUN ./configure\nENTRYPOINT ["/usr/bin/run"]\n'
    )
    done = convert(
        tmp_path, "language: c\nservices: docker\nscript: docker build -t r.example/x/t .\n"
    )
    recipe = yaml.safe_load(done.recipe)
    assert recipe["packages"] == ["curl"]
    assert recipe["files"] == [{"from": "./run.sh", "to": "/usr/bin/run"}]
    assert recipe["config"] == {"entrypoint": ["/usr/bin/run"]}
    assert [e.line for e in done.of("person") if e.file == "Dockerfile"] == [1, 4]


def test_scripts_are_read_one_level_deep_and_never_outside_the_repository(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "hack").mkdir(parents=True)
    (tmp_path / "outside.sh").write_text("docker build .\n")
    (home / "hack" / "images.sh").write_text(
        "set -e\ndocker buildx build --platform linux/arm64 \\\n  -t r.example/a/b:1 --push .\n"
        "./hack/more.sh\n"
    )
    (home / "hack" / "more.sh").write_text("docker build .\n")
    done = convert(home, "language: c\nscript:\n  - ./hack/images.sh\n  - ../outside.sh\n")
    assert (done.builds, done.pushes) == (1, 1)
    (found,) = (each for each in done.of("replaced") if each.file)
    assert (found.file, found.line) == ("./hack/images.sh", 2)
    assert yaml.safe_load(done.recipe)["platforms"] == ["linux/arm64"]


def test_written_files_are_those_that_pipelines_keeps_and_nothing_is_overwritten(
    tmp_path: Path,
) -> None:
    done = convert(tmp_path, BUILDKITD, output=tmp_path / "new")
    assert [Path(path).name for path in done.written] == [
        ".gitlab-ci.yml", "homeport.yaml", "CONVERTED.md",
    ]  # fmt: skip
    again = run_pipelines(
        PipelineRequest(
            system="gitlab", recipes=("homeport.yaml",), image="registry.example/ci/homeport:1",
            file=tmp_path / "new" / ".gitlab-ci.yml", check=True,
        )
    )  # fmt: skip
    assert again.current
    with pytest.raises(UsageError, match="exists"):
        convert(tmp_path, BUILDKITD, output=tmp_path / "new")


@pytest.mark.parametrize(
    "text",
    ["language: go\nscript: make test\n", "language: go\nservices: docker\nscript: go test\n"],
)
def test_a_pipeline_without_images_has_no_builds(tmp_path: Path, text: str) -> None:
    done = convert(tmp_path, text)
    assert (done.builds, done.pushes) == (0, 0)


@pytest.mark.parametrize("text", ["", "- a\n", "a: b\n", "x: [\n"])
def test_another_file_is_a_usage_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        convert(tmp_path, text, "other.yml")


SHAPES = sorted((Path(__file__).parent.parent / "data" / "pipelines").glob("*.txt"))


def described(case: Case, folder: Path) -> list[str]:
    """Everything that becomes of a pipeline, a line each."""
    lay_out(case.files, folder)
    done = run_convert(ConvertRequest(file=folder / next(iter(case.files))))
    lines = [f"{done.kind}: builds {done.builds}, pushes {done.pushes}"]
    lines += [
        f"{each.fate} {f'{each.file}:' if each.file else ''}{each.line} {each.what}: {each.why}"
        for each in done.report
    ]
    publishes = [
        line.strip() for line in done.pipeline.splitlines() if "homeport publish h" in line
    ]
    return [*lines, *publishes, *(line for line in done.recipe.splitlines() if line[:1] != "#")]


@pytest.mark.parametrize("path", SHAPES, ids=lambda path: path.stem)
def test_a_shape_that_people_have_is_carried_over(path: Path, tmp_path: Path) -> None:
    """Pipelines of their time, each the shape of one that built helper images, in words of ours."""
    case = read_case(path)
    (tmp_path / "repository").mkdir()
    assert described(case, tmp_path / "repository") == case.expected


@pytest.mark.parametrize("path", SHAPES, ids=lambda path: path.stem)
def test_every_step_of_a_shape_is_in_the_report(path: Path, tmp_path: Path) -> None:
    """On its own line, that of its item, or that below its key."""
    case = read_case(path)
    name, text = next(iter(case.files.items()))
    lay_out(case.files, tmp_path)
    done = run_convert(ConvertRequest(file=tmp_path / name))
    told = {each.line for each in done.report if not each.file}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip().removeprefix("- ")
        if words.startswith(("run:", "script:", "uses:", "docker ", "buildctl ", "./", "make ")):
            assert told & {number - 1, number, number + 1}, f"{name}:{number} {line}"
