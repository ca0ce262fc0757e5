"""Jobs that keep images fresh, written into the user's own pipeline file.

Between two marker lines; everything else of the file stays byte for byte. Writing again gives the
same text. The jobs only wrap commands: ``outdated`` and ``update --request`` on a schedule, ``build
--locked --check`` on merge requests, ``publish`` on the default branch, also when scheduled, so
that a lost tag is put back.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import msgspec

from homeport.content.files import explained, write_file
from homeport.errors import UsageError

System = Literal["gitlab", "github", "cron"]
SYSTEMS: tuple[System, ...] = get_args(System)
BEGIN = "# homeport pipelines: begin (written by homeport; changes below are lost)"
END = "# homeport pipelines: end"
FILES: dict[System, str] = {
    "gitlab": ".gitlab-ci.yml",
    "github": ".github/workflows/homeport.yml",
    "cron": "homeport.cron",
}
#: actions/checkout v4.2.2, by its commit: a tag could be moved.
_CHECKOUT = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@+-]*")


class PipelineRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs. image: of the jobs, with Homeport and git; repository: to publish to, or empty"""

    system: System
    recipes: tuple[str, ...] = (".",)
    image: str = ""
    repository: str = ""
    file: Path | None = None
    check: bool = False


class PipelineWritten(msgspec.Struct, frozen=True, kw_only=True):
    """The file, and whether it was as it should be already."""

    file: str
    current: bool


def run_pipelines(request: PipelineRequest) -> PipelineWritten:
    """Write the jobs; with ``check`` only compare."""
    path = request.file or Path(FILES[request.system])
    before = ""
    if path.exists():
        with explained(path, "read"):
            before = path.read_bytes().decode("utf-8")
    after = _merged(before, jobs(request), path)
    if after != before and not request.check:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, after.encode())
    return PipelineWritten(file=str(path), current=after == before)


def jobs(request: PipelineRequest) -> str:
    """The text between the markers."""
    if request.system != "cron" and not request.image:
        raise UsageError("the jobs need an image with Homeport and git", hint="give --image IMAGE")
    for text in (*request.recipes, request.image, request.repository):
        if text and text != "." and not _PLAIN.fullmatch(text.removeprefix("./")):
            raise UsageError(f"{text!r} cannot stand in a pipeline file")
    make = {"gitlab": _gitlab, "github": _github, "cron": _cron}[request.system]
    return make(request)


def _merged(before: str, text: str, path: Path) -> str:
    block = f"{BEGIN}\n{text}{END}\n"
    begin, end = before.find(BEGIN), before.find(END)
    if (begin < 0) != (end < 0) or end < begin:
        raise UsageError(
            f"{path} has one of the two marker lines only", hint="remove it, and run this again"
        )
    if begin >= 0:
        return before[:begin] + block + before[end + len(END) :].removeprefix("\n")
    gap = "" if not before else "\n" if before.endswith("\n") else "\n\n"
    return before + gap + block


def _names(recipes: Sequence[str]) -> str:
    return " ".join(map(shlex.quote, recipes))


def _gitlab(request: PipelineRequest) -> str:
    names = _names(request.recipes)
    text = f"""\
.homeport:
  image: {request.image}
  variables:
    HOMEPORT_CACHE_DIR: $CI_PROJECT_DIR/.cache/homeport
  cache:
    key: homeport
    paths: [.cache/homeport]

homeport outdated:
  extends: .homeport
  rules:
    - if: $CI_PIPELINE_SOURCE == "schedule"
  script:
    - homeport outdated {names} --code-quality homeport.json --junit homeport.xml
  allow_failure:
    exit_codes: 4
  artifacts:
    when: always
    reports:
      codequality: homeport.json
      junit: homeport.xml

homeport update:
  extends: .homeport
  rules:
    - if: $CI_PIPELINE_SOURCE == "schedule"
  resource_group: homeport-update
  script:
    - homeport update {names} --request

homeport build:
  extends: .homeport
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
  script:
"""
    text += "".join(
        f"    - homeport build {shlex.quote(name)} --locked --check\n" for name in request.recipes
    )
    if request.repository:
        text += f"""
homeport publish:
  extends: .homeport
  rules:
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
  resource_group: homeport-publish
  interruptible: false
  script:
    - homeport publish {names} {request.repository}
"""
    return text


def _github(request: PipelineRequest) -> str:
    names = _names(request.recipes)
    builds = "\n".join(
        f"      - run: homeport build {shlex.quote(name)} --locked --check"
        for name in request.recipes
    )

    def job(name: str, condition: str, permissions: str, steps: str) -> str:
        return f"""\
  {name}:
    if: {condition}
    runs-on: ubuntu-latest
    container: {request.image}
    permissions:
{permissions}
    steps:
      - uses: {_CHECKOUT}
        with:
          persist-credentials: false
{steps}
"""

    read = "      contents: read"
    update = f"""\
      - run: homeport update {names} --request
        env:
          HOMEPORT_FORGE_TOKEN: ${{{{ secrets.HOMEPORT_FORGE_TOKEN }}}}"""
    text = """\
name: homeport
on:
  schedule:
    - cron: "17 4 * * *"
  pull_request:
  push:
permissions: {}
concurrency:
  group: homeport-${{ github.workflow }}-${{ github.ref }}
  cancel-in-progress: false
jobs:
"""
    text += job(
        "outdated", "github.event_name == 'schedule'", read,
        f"      - run: homeport outdated {names}",
    ) + job("update", "github.event_name == 'schedule'", read, update) + job(
        "build", "github.event_name == 'pull_request'", read, builds
    )  # fmt: skip
    if request.repository:
        text += job(
            "publish",
            "github.event_name != 'pull_request' && github.ref_name =="
            " github.event.repository.default_branch",
            f"{read}\n      packages: write",
            f"      - run: homeport publish {names} {request.repository}\n"
            "        env:\n"
            "          HOMEPORT_CREDS: ${{ github.actor }}:${{ secrets.GITHUB_TOKEN }}",
        )
    return text


def _cron(request: PipelineRequest) -> str:
    names = _names(request.recipes)
    lines = [f"17 4 * * * homeport outdated {names} --metrics homeport.prom",
             f"47 4 * * * flock -n .homeport.lock homeport update {names} --request"]  # fmt: skip
    if request.repository:
        lines.append(f"17 5 * * * flock -n .homeport.lock homeport publish {names} "
                     f"{request.repository}")  # fmt: skip
    return "\n".join(lines) + "\n"
