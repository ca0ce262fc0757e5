"""Jobs for the pipelines of forges: GitLab, GitHub, Forgejo (Gitea), Woodpecker."""

from __future__ import annotations

from collections.abc import Sequence

from homeport.pipelines.request import PipelineRequest, build_commands

#: actions/checkout v4.2.2 and actions/cache v4.2.3, by their commits: a tag could be moved.
_CHECKOUT = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2"
_CACHE = "actions/cache@5a3ec84eff668545956fd18022155c47e93e2684 # v4.2.3"

#: By the clock, or by hand.
_BY_CLOCK = "github.event_name == 'schedule' || github.event_name == 'workflow_dispatch'"


def gitlab(request: PipelineRequest) -> str:
    """Jobs of a ``.gitlab-ci.yml``: GitLab signs for jobs of the user's own file alone."""
    names = request.names
    stage = f"  stage: {request.stage}\n" if request.stage else ""
    text = f"""\
.homeport:
{stage}  image: {request.image}
  # Defaults of the file that belong to the runner, not to the jobs' image.
  inherit:
    default: [tags, retry, timeout]
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
    - {request.update}

homeport build:
  extends: .homeport
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
  script:
"""
    text += "".join(f"    - {command}\n" for command in build_commands(request))
    return text + (_gitlab_publish(request) if request.repository else "")


def _gitlab_publish(request: PipelineRequest) -> str:
    identity = "  id_tokens:\n    SIGSTORE_ID_TOKEN:\n      aud: sigstore\n" if request.sign else ""
    return f"""
homeport publish:
  extends: .homeport
  rules:
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
  resource_group: homeport-publish
  interruptible: false
  variables:
    # The project's own registry; a variable of the project with this name comes first.
    HOMEPORT_CREDS: $CI_REGISTRY_USER:$CI_REGISTRY_PASSWORD
{identity}  script:
    - {request.publish}
"""


def github(request: PipelineRequest) -> str:
    """A workflow of GitHub with the least rights for each job."""
    builds = "\n".join(f"      - run: {command}" for command in build_commands(request))
    update = f"""\
      - run: {request.update}
        env:
          HOMEPORT_FORGE_TOKEN: ${{{{ secrets.HOMEPORT_FORGE_TOKEN }}}}"""
    jobs = [
        _job(request, "outdated", _BY_CLOCK, f"      - run: homeport outdated {request.names}"),
        _job(request, "update", _BY_CLOCK, update),
        _job(request, "build", "github.event_name == 'pull_request'", builds),
    ]
    if request.repository:
        jobs.append(_github_publish(request))
    return _WORKFLOW + "".join(jobs)


_WORKFLOW = """\
name: homeport
on:
  schedule:
    - cron: "17 4 * * *"
  workflow_dispatch:
  pull_request:
  push:
permissions: {}
concurrency:
  group: homeport-${{ github.workflow }}-${{ github.ref }}
  cancel-in-progress: false
jobs:
"""


def _github_publish(request: PipelineRequest) -> str:
    return _job(
        request,
        "publish",
        # A schedule runs on the default branch alone, and its event may name no repository.
        "github.event_name == 'schedule' || (github.event_name != 'pull_request' &&"
        " github.ref_name == github.event.repository.default_branch)",
        f"      - run: {request.publish}\n"
        "        env:\n"
        "          HOMEPORT_CREDS: ${{ github.actor }}:${{ secrets.GITHUB_TOKEN }}",
        ("packages: write", *(("id-token: write",) if request.sign else ())),
    )


def _job(
    request: PipelineRequest, name: str, condition: str, steps: str, rights: Sequence[str] = ()
) -> str:
    """A job that reads the repository, and has the rights besides."""
    permissions = "\n".join(f"      {right}" for right in ("contents: read", *rights))
    return f"""\
  {name}:
    if: {condition}
    runs-on: ubuntu-latest
    container: {request.image}
    permissions:
{permissions}
    env:
      HOMEPORT_CACHE_DIR: .cache/homeport
    steps:
      - uses: {_CHECKOUT}
        with:
          persist-credentials: false
      - uses: {_CACHE}
        with:
          path: .cache/homeport
          key: homeport-${{{{ github.run_id }}}}
          restore-keys: homeport-
{steps}
"""


def forgejo(request: PipelineRequest) -> str:
    """As GitHub's; what differs: the mirror of actions, the runner's label, no job token."""
    text = github(request)
    for action in (_CHECKOUT, _CACHE):
        text = text.replace(action, f"https://data.forgejo.org/{action}")
    text = text.replace("runs-on: ubuntu-latest", "runs-on: docker")
    return text.replace(
        "${{ github.actor }}:${{ secrets.GITHUB_TOKEN }}", "${{ secrets.HOMEPORT_CREDS }}"
    )


def woodpecker(request: PipelineRequest) -> str:
    """A pipeline of Woodpecker."""
    outdated = [f"homeport outdated {request.names}"]
    text = "when:\n  - event: [cron, pull_request, push]\nsteps:\n"
    text += _step(request, "outdated", "event: cron", outdated, more="    failure: ignore\n")
    text += _step(request, "update", "event: cron", [request.update], "HOMEPORT_FORGE_TOKEN")
    text += _step(request, "build", "event: pull_request", build_commands(request))
    if request.repository:
        default = (
            'evaluate: \'CI_PIPELINE_EVENT in ["push", "cron"]'
            " && CI_COMMIT_BRANCH == CI_REPO_DEFAULT_BRANCH'"
        )
        text += _step(request, "publish", default, [request.publish], "HOMEPORT_CREDS")
    return text


def _step(
    request: PipelineRequest, name: str, when: str, commands: Sequence[str], secret: str = "", *,
    more: str = "",
) -> str:  # fmt: skip
    """A step of Woodpecker; ``secret``: the variable that takes it, called so in small letters."""
    environment = (
        f"    environment:\n      {secret}:\n        from_secret: {secret.lower()}\n"
        if secret
        else ""
    )
    lines = "".join(f"      - {command}\n" for command in commands)
    return (
        f"  homeport-{name}:\n    image: {request.image}\n{more}{environment}"
        f"    commands:\n{lines}    when:\n      - {when}\n"
    )
