"""docs/compare.md: each line of its tables is run, Homeport's side and the other tool's."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.compare_page import rows, two_platforms
from builders.registry import docker_registry
from builders.runtime import runtime
from homeport.images.address import LayoutAddress
from homeport.images.transports.oci_layout import OciLayout

#: Tasks whose two commands print the same bytes; of the others the exit code counts, and below.
SAME = {"print the manifest or index", "print the digest", "of one platform", "print the config",
        "list tags", "list repositories"}  # fmt: skip


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder, and a registry with an index of two platforms at ``team/app``: 1 and 0."""
    folder = tmp_path_factory.mktemp("compare")
    with docker_registry(folder / "registry") as registry:
        (folder / ".config/containers").mkdir(parents=True)
        (folder / ".config/containers/registries.conf").write_text(
            f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n'
        )
        address = LayoutAddress(path=folder / "first.oci", tag="1")
        OciLayout(address).write(two_platforms(), runtime())
        for tag in ("0", "1"):
            call(f"homeport push oci:first.oci:1 {registry.host}/team/app:{tag}", folder)
        yield folder, registry.host


def call(line: str, folder: Path) -> str:
    words = shlex.split(line)
    program = {
        "homeport": [sys.executable, "-m", "homeport"],
        "crane": [os.environ.get("HOMEPORT_CRANE") or "crane"],
    }.get(words[0], words[:1])
    environment = {
        **os.environ, "XDG_CONFIG_HOME": str(folder / ".config"),
        "HOMEPORT_CACHE_DIR": str(folder / "cache"), "HOME": str(folder), "CI": "true",
    }  # fmt: skip
    done = subprocess.run(
        [*program, *words[1:]], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}: {done.stdout} {done.stderr}"
    return done.stdout.strip()


@pytest.mark.peer("skopeo", "docker-registry")
def test_what_skopeo_does(work: tuple[Path, str]) -> None:
    folder, host = work
    _run("skopeo", folder, host)
    for repository in ("skopeo", "homeport"):
        assert _digest(f"{host}/{repository}/app:1", folder) == _digest(
            f"{host}/team/app:1", folder
        )
        assert call(f"homeport tags {host}/{repository}-all/app", folder).split() == ["0", "1"]
    assert _digest("oci:skopeo.oci:1", folder) == _digest("oci:homeport.oci:1", folder)
    # The manifest of an archive is made by its reader; the config is the image's own.
    assert call("homeport config docker-archive:skopeo.tar", folder) == call(
        "homeport config docker-archive:homeport.tar", folder
    )


@pytest.mark.peer("docker-registry")
def test_what_crane_does(work: tuple[Path, str]) -> None:
    if not (os.environ.get("HOMEPORT_CRANE") or shutil.which("crane")):
        pytest.skip("crane is not installed; HOMEPORT_CRANE may name it")
    folder, host = work
    _run("crane", folder, host)
    first = _digest(f"{host}/team/app:1", folder)
    for name in ("team/app:crane", "team/app:homeport", "crane/app:1", "homeport/app:3"):
        assert _digest(f"{host}/{name}", folder) == first
    with tarfile.open(folder / "crane.tar") as exported:
        theirs = {member.name for member in exported if member.isfile()}
    ours = {str(path.relative_to(folder / "files")) for path in (folder / "files").rglob("*")}
    assert theirs == ours == {"a", "b"}


@pytest.mark.peer("docker-registry")
def test_what_dive_does(work: tuple[Path, str]) -> None:
    folder, host = work
    call(f"homeport pull {host}/team/app:1 docker-archive:homeport.tar --platform native", folder)
    with_dive = shutil.which("dive") is not None
    for _, other, ours in rows("dive"):
        if " -i " in ours:  # a screen: tests/explorer and tests/peers/test_inspection_explorer.py
            continue
        if other and with_dive:
            call(other.replace("registry.example", host), folder)
        call(ours.replace("registry.example", host), folder)


def _run(tool: str, folder: Path, host: str) -> None:
    assert len(rows(tool)) == 10
    for task, other, ours in rows(tool):
        theirs = call(other.replace("registry.example", host), folder)
        printed = call(ours.replace("registry.example", host), folder)
        if task == "list tags" and tool == "skopeo":
            theirs = "\n".join(json.loads(theirs)["Tags"])
        if task == "list repositories":  # ours can be pasted
            printed = printed.replace(f"{host}/", "")
        if task in SAME:
            assert printed == theirs, task


def _digest(address: str, folder: Path) -> str:
    return call(f"homeport digest {address}", folder)
