"""The jobs of ``homeport pipelines gitlab``, run by gitlab-ci-local: schedule, request, publish.

Real here: the jobs' rules and scripts in a shell, git over HTTP with the rights of a job's token,
Debian's registry with accounts, an archive with signatures. Not real: GitLab, of which there is the
part of its API that is used; and the jobs' ``image:``, because the shell executor has none.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.archive import SEVEN, Archive, archive, suite
from builders.ci_jobs import ROOT, Ended, composite, write_python
from builders.freshness import LATER, entry, package
from builders.gitlab import TOKEN, GitLab, gitlab
from builders.registry import Running, docker_registry
from builders.updating import git

pytestmark = pytest.mark.peer("gitlab-ci-local", "docker-registry", "htpasswd", "git", "rsync")

CVE = "CVE-2026-1000"
USER, PASSWORD = "ci", "of-the-registry"
#: The last lines of gitlab-ci-local: how each job ended.
_ENDS = re.compile(r"^ (PASS|WARN|FAIL) +homeport[ -](\w+)", re.MULTILINE)
RECIPE = """\
homeport: 1
name: tool
platforms: [{platforms}]
archives:
  - {{name: test, suites: [workshop], mirrors: ["{url}"], keys: [key.asc]}}
steps: {{os_release: false}}
packages: [lib1]
config: {{labels: {{org.opencontainers.image.version: "1.2"}}}}
tests: [{{name: the program is there, file: /usr/bin/lib1, contains: ["1-"]}}]
"""


#: A file that was there before: none of its stages is ``test``, its default is for another image.
THEIRS = "stages: [build, deploy]\ndefault:\n  before_script: [exit 7]\n"
PLATFORMS = [
    "linux/386", "linux/amd64", "linux/arm/v7", "linux/arm64", "linux/ppc64le", "linux/riscv64",
    "linux/s390x",
]  # fmt: skip


def lib(version: str, text: str = "* New.") -> list[bytes]:
    log = [entry("lib1", version, text), entry("lib1", "1-1")]
    return [package("lib1", version, architecture, log=log) for architecture in SEVEN]


def commit_and_push(folder: Path, message: str) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)
    git(folder, "push", "-q", "origin", "HEAD:main")


class Project:
    """A project of that GitLab, and pipelines of it as a runner starts them."""

    def __init__(self, root: Path, server: GitLab, registry: Running) -> None:
        self.root, self.server, self.registry = root, server, registry
        self.runs = 0
        self.environment = {
            "HOME": str(root / "home"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
        }
        (root / "home").mkdir()
        self.repository = f"{registry.host}/group/tool"

    def made_by_a_person(self, debian: Archive) -> Path:
        """A clone with a recipe, its lockfile and the jobs; all of it is pushed."""
        mine = self.root / "mine"
        git(self.root, "clone", "-q", str(self.server.bare), str(mine))
        for name, value in (("user.name", "Me"), ("user.email", "me@home.example")):
            git(mine, "config", name, value)
        (mine / "key.asc").write_bytes(debian.certificate)
        (mine / ".gitlab-ci.yml").write_text(THEIRS)
        (mine / "homeport.yaml").write_text(
            RECIPE.format(url=debian.url, platforms=", ".join(PLATFORMS))
        )
        self.homeport(mine, "lock", ".")
        self.homeport(
            mine, "pipelines", "gitlab", ".", "--image", "registry.example/ci/homeport:1",
            "--repository", self.repository,
        )  # fmt: skip
        commit_and_push(mine, "First")
        return mine

    def homeport(self, folder: Path, *arguments: str) -> str:
        """What a command prints that a person runs."""
        done = subprocess.run(
            ["homeport", *arguments], cwd=folder, env=self.environment, check=True,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return done.stdout

    def ask(self, *arguments: str) -> dict[str, Any]:
        text = self.homeport(
            self.root, *arguments, "--creds", f"{USER}:{PASSWORD}", "--format", "json"
        )
        return dict(json.loads(text))

    def published(self) -> dict[str, str]:
        """Tag → digest of the images in the registry, without the tags of what refers to them."""
        tags = self.ask("tags", self.repository)["tags"]
        tags = [tag for tag in tags if not tag.startswith("sha256-")]
        return {tag: self.ask("digest", f"{self.repository}:{tag}")["digest"] for tag in tags}

    def platforms(self, tag: str) -> list[str]:
        """Of what the registry has, attestations left out."""
        index = self.ask("manifest", f"{self.repository}:{tag}")["manifest"]
        found = [each["platform"] for each in index["manifests"]]
        parts = [(each["os"], each["architecture"], each.get("variant")) for each in found]
        return ["/".join(filter(None, each)) for each in parts if each[0] != "unknown"]

    def clone(self, branch: str = "main") -> Path:
        """As a runner makes it: of one commit, detached."""
        self.runs += 1
        work = self.root / f"run{self.runs}"
        url = self.server.url_of_job
        subprocess.run(["git", "clone", "-q", "--depth", "1", "-b", branch, url, work], check=True)
        git(work, "checkout", "-q", "--detach")
        return work

    def pipeline(self, source: str, branch: str = "main") -> dict[str, str]:
        """Job → what gitlab-ci-local says of it, in a clone of its own, as runners make."""
        work = self.clone(branch)
        variables = {
            **self.server.forge.variables,
            "HOMEPORT_FORGE_TOKEN": TOKEN,
            "CI_PIPELINE_SOURCE": source,
            "CI_COMMIT_BRANCH": "" if source == "merge_request_event" else branch,
            "CI_DEFAULT_BRANCH": "main",
            "CI_REGISTRY_USER": USER,
            "CI_REGISTRY_PASSWORD": PASSWORD,
        }
        given = [f"--variable={name}={value}" for name, value in variables.items()]
        done = subprocess.run(
            ["gitlab-ci-local", "--force-shell-executor", "--concurrency=1", *given],
            cwd=work, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        print(done.stdout, done.stderr)  # shown if the test fails
        return {job: end for end, job in _ENDS.findall(done.stdout)}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    users = {USER: PASSWORD}
    with gitlab(tmp_path) as server, docker_registry(tmp_path / "r", htpasswd=users) as registry:
        yield Project(tmp_path, server, registry)


def test_a_schedule_finds_an_update_and_its_request_is_built_and_published(
    project: Project, tmp_path: Path
) -> None:
    debian = archive(tmp_path / "mirror", [suite("workshop", lib("1-1"), valid_for=None)])
    mine = project.made_by_a_person(debian)
    assert project.pipeline("push") == {"publish": "PASS"}
    first = project.published()
    assert first.keys() == {"1.2.2026011000", "1.2", "1", "latest"}

    debian.publish(suite("workshop", lib("1-2", f"* {CVE}"), valid_for=None, date=LATER))
    assert project.pipeline("schedule") == {"outdated": "WARN", "update": "PASS", "publish": "PASS"}
    (request,) = project.server.forge.requests
    assert (request["title"], request["state"]) == ("tool: lib1 (1 security fix)", "opened")
    assert f"| `lib1` | `1-1 → 1-2` | `workshop` | {CVE} | 7 platforms |" in request["description"]
    assert project.published() == first

    # The default branch moves on meanwhile; a runner's clone does not have the branch's fork.
    (mine / "README").write_text("more\n")
    commit_and_push(mine, "Second")
    opened = project.server.git("rev-parse", "homeport/update")
    assert project.pipeline("schedule")["update"] == "PASS"
    assert len(project.server.forge.requests) == 1
    assert project.server.git("rev-parse", "homeport/update^") == git(mine, "rev-parse", "HEAD")
    assert project.server.git("rev-parse", "homeport/update") != opened

    assert project.pipeline("merge_request_event", "homeport/update") == {"build": "PASS"}
    git(mine, "pull", "-q", "origin", "homeport/update")
    git(mine, "push", "-q", "origin", "HEAD:main")
    assert project.pipeline("push") == {"publish": "PASS"}
    second = project.published()
    assert second.keys() == {*first, "1.2.2026011200"}
    assert second["1.2.2026011000"] == first["latest"] != second["latest"]
    assert second["latest"] == second["1.2.2026011200"]
    assert project.platforms("latest") == PLATFORMS

    after = project.pipeline("schedule")
    assert after == {"outdated": "PASS", "update": "PASS", "publish": "PASS"}
    assert request["state"] == "closed"
    assert project.published() == second


COMPONENT = """\
include:
  - local: templates/outdated/template.yml
    inputs:
      image: registry.example/python:3.13
      fail_on: security
      allowed_exit_codes: %s
"""


@pytest.mark.parametrize(
    ("allowed", "end"), [("[4]", "WARN"), ("[5]", "FAIL"), ('[4]\n      package: ""', "WARN")]
)
def test_the_component_for_freshness_is_included_with_inputs(
    project: Project, tmp_path: Path, allowed: str, end: str
) -> None:
    debian = archive(tmp_path / "mirror", [suite("workshop", lib("1-1"), valid_for=None)])
    mine = project.made_by_a_person(debian)
    shutil.copytree(ROOT / "templates", mine / "templates")
    (mine / ".gitlab-ci.yml").write_text(COMPONENT % allowed)
    commit_and_push(mine, "The component")
    (tmp_path / "bin").mkdir()
    write_python(tmp_path / "bin", tmp_path / "pip.log")
    project.environment["PATH"] = f"{tmp_path / 'bin'}:{project.environment['PATH']}"
    assert project.pipeline("push") == {}
    assert project.pipeline("schedule") == {"outdated": "PASS"}
    debian.publish(suite("workshop", lib("1-2", f"* {CVE}"), valid_for=None, date=LATER))
    assert project.pipeline("schedule") == {"outdated": end}
    # Without a package to install it is the image's own Homeport.
    assert (tmp_path / "pip.log").exists() != ("package" in allowed)


def test_the_action_opens_a_pull_request_and_publishes(tmp_path: Path) -> None:
    """Its steps' shell; GitHub's API is a fake, git and the registry are real."""
    users = {USER: PASSWORD}
    with (
        gitlab(tmp_path, kind="github") as server,
        docker_registry(tmp_path / "r", htpasswd=users) as registry,
    ):
        project = Project(tmp_path, server, registry)
        debian = archive(tmp_path / "mirror", [suite("workshop", lib("1-1"), valid_for=None)])
        mine = project.made_by_a_person(debian)
        (tmp_path / "bin").mkdir()
        write_python(tmp_path / "bin", tmp_path / "pip.log")
        path = f"{tmp_path / 'bin'}:{project.environment['PATH']}"
        environment = {**project.environment, **server.forge.variables, "PATH": path}

        def act(**given: str) -> Ended:
            temp = tmp_path / f"runner{project.runs}"
            temp.mkdir()
            done = composite(
                ROOT / "fresh" / "action.yml", given, cwd=project.clone(), temp=temp,
                environment=environment,
            )  # fmt: skip
            print(done.text)
            return done

        publish = {
            "run": "publish", "repository": project.repository, "creds": f"{USER}:{PASSWORD}",
            "version": "3",
        }  # fmt: skip
        assert act(**publish).code == 0
        assert project.published().keys() == {"3.2026011000", "3", "latest"}
        assert act(run="check").outputs["outdated"] == "false"
        debian.publish(suite("workshop", lib("1-2", f"* {CVE}"), valid_for=None, date=LATER))
        found = act(run="check")
        assert (found.code, found.outputs["outdated"]) == (4, "true")
        assert act(run="update", token=TOKEN, only="security").code == 0
        (request,) = server.forge.requests
        assert request["title"] == "tool: lib1 (1 security fix)"
        git(mine, "pull", "-q", "origin", "homeport/update")
        git(mine, "push", "-q", "origin", "HEAD:main")
        assert act(**publish).code == 0
        assert "3.2026011200" in project.published()
        assert act(run="update", token="expired").code == 1
