"""Jobs that keep images fresh, written into the user's own pipeline file.

Between two marker lines; everything else of the file stays byte for byte. Writing again gives the
same text. The jobs only wrap commands: ``outdated`` and ``update --request`` on a schedule, ``build
--locked --check`` on merge requests, ``publish`` on the default branch, also when scheduled, so
that a lost tag is put back. Names are checked, so that none can add a command or an expression.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args

import msgspec

from homeport.content.files import explained, write_file
from homeport.errors import UsageError
from homeport.freshness.subjects import recipe_files
from homeport.recipe.catalog import catalog_words, is_recipe

System = Literal["gitlab", "github", "forgejo", "woodpecker", "jenkins", "cron"]
SYSTEMS: tuple[System, ...] = get_args(System)
BEGIN = "# homeport pipelines: begin (written by homeport; changes below are lost)"
END = "# homeport pipelines: end"
FILES: dict[System, str] = {
    "gitlab": ".gitlab-ci.yml",
    "github": ".github/workflows/homeport.yml",
    "forgejo": ".forgejo/workflows/homeport.yml",
    "woodpecker": ".woodpecker/homeport.yml",
    "jenkins": "Jenkinsfile.homeport",
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
    after = _merged(before, marked(request), path)
    if after != before and not request.check:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, after.encode())
    return PipelineWritten(file=str(path), current=after == before)


def jobs(request: PipelineRequest) -> str:
    """The text between the markers."""
    if request.system != "cron" and not request.image:
        raise UsageError("the jobs need an image with Homeport and git", hint="give --image IMAGE")
    _check_plain((*request.recipes, request.image, request.repository))
    make = {
        "gitlab": _gitlab, "github": _github, "forgejo": _forgejo, "woodpecker": _woodpecker,
        "jenkins": _jenkins, "cron": _cron,
    }[request.system]  # fmt: skip
    return make(request)


def marked(request: PipelineRequest) -> str:
    """The jobs between their marker lines."""
    begin, end = BEGIN, END
    if request.system == "jenkins":
        begin, end = BEGIN.replace("#", "//", 1), END.replace("#", "//", 1)
    return f"{begin}\n{jobs(request)}{end}\n"


def _builds(request: PipelineRequest) -> list[str]:
    """The commands that check every recipe; those of a folder that is here one by one."""
    names: list[str] = []
    for name in request.recipes:
        path = Path(name)
        if path.is_dir() and not is_recipe(name):
            names += [file.as_posix() for file in recipe_files(path)]
        else:
            names.append(name)
    _check_plain(names)
    return [
        f"homeport build {shlex.quote(name)}{catalog_words()} --locked --check" for name in names
    ]


def _check_plain(texts: Iterable[str]) -> None:
    for text in texts:
        if text and text != "." and not _PLAIN.fullmatch(text.removeprefix("./")):
            raise UsageError(f"{text!r} cannot stand in a pipeline file")


def _merged(before: str, block: str, path: Path) -> str:
    lines = block.splitlines()
    first, last = lines[0], lines[-1]
    begin, end = before.find(first), before.find(last)
    if (begin < 0) != (end < 0) or end < begin:
        raise UsageError(
            f"{path} has one of the two marker lines only", hint="remove it, and run this again"
        )
    if begin >= 0:
        return before[:begin] + block + before[end + len(last) :].removeprefix("\n")
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
    text += "".join(f"    - {command}\n" for command in _builds(request))
    if request.repository:
        text += f"""
homeport publish:
  extends: .homeport
  rules:
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
  resource_group: homeport-publish
  interruptible: false
  variables:
    # The project's own registry; a variable of the project with this name comes first.
    HOMEPORT_CREDS: $CI_REGISTRY_USER:$CI_REGISTRY_PASSWORD
  script:
    - homeport publish {names} {request.repository}
"""
    return text


def _github(request: PipelineRequest) -> str:
    names = _names(request.recipes)
    builds = "\n".join(f"      - run: {command}" for command in _builds(request))

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


def _forgejo(request: PipelineRequest) -> str:
    """As GitHub's; what differs: the mirror of actions, the runner's label, no job token."""
    text = _github(request)
    text = text.replace(_CHECKOUT, f"https://data.forgejo.org/{_CHECKOUT}")
    text = text.replace("runs-on: ubuntu-latest", "runs-on: docker")
    return text.replace(
        "${{ github.actor }}:${{ secrets.GITHUB_TOKEN }}", "${{ secrets.HOMEPORT_CREDS }}"
    )


def _woodpecker(request: PipelineRequest) -> str:
    names = _names(request.recipes)

    def step(
        name: str, when: str, commands: Sequence[str], secret: str = "", more: str = ""
    ) -> str:
        environment = (
            f"    environment:\n      {secret}:\n        from_secret: {secret.lower()}\n"
            if secret
            else ""
        )
        lines = "".join(f"      - {command}\n" for command in commands)
        return (
            f"  {name}:\n    image: {request.image}\n{more}{environment}    commands:\n{lines}"
            f"    when:\n      - {when}\n"
        )

    text = "when:\n  - event: [cron, pull_request, push]\nsteps:\n"
    text += step(
        "homeport-outdated", "event: cron", [f"homeport outdated {names}"],
        more="    failure: ignore\n",
    ) + step(
        "homeport-update", "event: cron", [f"homeport update {names} --request"],
        "HOMEPORT_FORGE_TOKEN",
    ) + step("homeport-build", "event: pull_request", _builds(request))  # fmt: skip
    if request.repository:
        text += step(
            "homeport-publish",
            'evaluate: \'CI_PIPELINE_EVENT in ["push", "cron"]'
            " && CI_COMMIT_BRANCH == CI_REPO_DEFAULT_BRANCH'",
            [f"homeport publish {names} {request.repository}"],
            "HOMEPORT_CREDS",
        )
    return text


def _jenkins(request: PipelineRequest) -> str:
    names = _names(request.recipes)

    def stage(name: str, when: str, steps: str) -> str:
        return (
            f"    stage('homeport {name}') {{\n      when {{ {when} }}\n"
            f"      steps {{\n{steps}      }}\n    }}\n"
        )

    def secret(kind: str, id: str, variable: str, command: str) -> str:
        return (
            f"        withCredentials([{kind}(credentialsId: '{id}', variable: '{variable}')]) {{\n"
            f"          sh {_groovy(command)}\n        }}\n"
        )

    outdated = _groovy(f"homeport outdated {names} --junit homeport.xml")
    text = (
        "pipeline {\n"
        f"  agent {{ docker {{ image '{request.image}' }} }}\n"
        "  triggers { cron('H 4 * * *') }\n"
        "  options { disableConcurrentBuilds() }\n"
        "  stages {\n"
    )
    text += stage(
        "outdated", "triggeredBy 'TimerTrigger'",
        "        catchError(buildResult: 'UNSTABLE', stageResult: 'UNSTABLE') {\n"
        f"          sh {outdated}\n        }}\n"
        "        junit allowEmptyResults: true, testResults: 'homeport.xml'\n",
    )  # fmt: skip
    text += stage(
        "update", "triggeredBy 'TimerTrigger'",
        secret("string", "homeport-forge-token", "HOMEPORT_FORGE_TOKEN",
               f"homeport update {names} --request"),
    )  # fmt: skip
    builds = "".join(f"        sh {_groovy(command)}\n" for command in _builds(request))
    text += stage("build", "changeRequest()", builds)
    if request.repository:
        text += stage(
            "publish", "expression { env.BRANCH_IS_PRIMARY == 'true' }",
            secret("string", "homeport-creds", "HOMEPORT_CREDS",
                   f"homeport publish {names} {request.repository}"),
        )  # fmt: skip
    return text + "  }\n}\n"


def _groovy(text: str) -> str:
    """A string of Groovy in which nothing is put in: single quotes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _cron(request: PipelineRequest) -> str:
    names = _names(request.recipes)
    lines = [f"17 4 * * * homeport outdated {names} --metrics homeport.prom",
             f"47 4 * * * flock -n .homeport.lock homeport update {names} --request"]  # fmt: skip
    if request.repository:
        lines.append(f"17 5 * * * flock -n .homeport.lock homeport publish {names} "
                     f"{request.repository}")  # fmt: skip
    return "\n".join(lines) + "\n"
