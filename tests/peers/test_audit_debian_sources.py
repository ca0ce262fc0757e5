"""A real tree: source packages of Debian that carry Dockerfiles, Compose files and CI.

They are fetched by apt into the test's own folder, unpacked and audited. What they hold is
other people's, so the test asks for what any such tree must show, not for exact lists.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from homeport.audit.auditing import AuditRequest, audit, plan
from homeport.audit.plan.planfile import pairs_of, read_plan, write_plan

pytestmark = [pytest.mark.peer("apt-get"), pytest.mark.network]

PACKAGES = ("docker-compose", "redis")
SOURCES = "deb-src http://deb.debian.org/debian bookworm main\n"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    (folder / "sources.list").write_text(SOURCES)
    for name in ("lists/partial", "cache/archives/partial", "out", "tree"):
        (folder / name).mkdir(parents=True)
    options = [
        f"-oDir::Etc::sourcelist={folder}/sources.list", "-oDir::Etc::sourceparts=-",
        f"-oDir::State::lists={folder}/lists", f"-oDir::Cache={folder}/cache", "-qq",
        "-oAPT::Sandbox::User=root",
    ]  # fmt: skip
    subprocess.run(["apt-get", *options, "update"], check=True)
    subprocess.run(
        ["apt-get", *options, "source", "--download-only", *PACKAGES], check=True,
        cwd=folder / "out",
    )  # fmt: skip
    for archive in (folder / "out").glob("*.tar.*"):
        if not archive.name.endswith(".asc"):
            (folder / "tree" / archive.name).mkdir(parents=True)
            subprocess.run(
                ["tar", "-xf", archive, "-C", folder / "tree" / archive.name], check=True
            )
    return folder / "tree"


def test_a_real_tree_is_audited_planned_and_read_back(tree: Path) -> None:
    request = AuditRequest(paths=["."], root=tree, home="registry.example/mirror")
    found = audit(request)
    names = {image.reference.name for image in found.report.images if image.reference}
    assert found.report.read > 20
    assert {"docker.io/library/python", "docker.io/library/debian"} <= names
    assert {use.kind for image in found.report.images for use in image.uses} >= {
        "dockerfile", "compose", "github",
    }  # fmt: skip
    made = plan(found, request)
    back = read_plan(write_plan(made), "plan.yaml")
    # Pairs and edits follow from the decisions, and are not written.
    assert pairs_of(back) == pairs_of(made)
    assert write_plan(back) == write_plan(made)
