"""Where a build's inputs come from: the web, git, images, and what rules put in their place."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from builders.http_server import serving
from homeport.buildkit.engine import describe
from homeport.buildkit.llb import sources
from homeport.buildkit.llb.files import copy, mkfile
from homeport.buildkit.llb.marshal import marshal
from homeport.buildkit.llb.source_policy import Policy, read_policy
from homeport.buildkit.llb.state import State
from homeport.buildkit.protocol.errors import BuildFailed, EngineTooOld
from homeport.buildkit.solve import Build, Export, solve
from homeport.cli.solve import command as solve_command
from homeport.errors import UsageError
from peers import buildkit_engines
from peers.buildkit_engines import ENGINES, RunningEngine, listens
from peers.engines import free_port, running, wait_until

pytestmark = [pytest.mark.peer("dockerd", "docker-registry", "git"), pytest.mark.root]
any_engine = buildkit_engines.any_engine
loopback_registry = buildkit_engines.loopback_registry
dockerd_20 = buildkit_engines.dockerd_20
TEXT = b"from the web\n"
#: The helper that old frontends name, by the digest that they pin.
PUBLIC = (
    "docker.io/docker/dockerfile-copy:v0.1.9"
    "@sha256:e8f159d3f00786604b93c675ee2783f8dc194bb565e61ca5788f6a6e9d304061"
)


def files(engine: RunningEngine, state: State, policy: Policy | None = None) -> dict[str, str]:
    """Contents by name of what a graph ends in."""
    received = io.BytesIO()
    build = Build(definition=marshal(state), source_policy=policy)
    solve(engine.engine, replace(build, exports=(Export(type="tar", to=received),)))
    received.seek(0)
    with tarfile.open(fileobj=received) as archive:
        found = {}
        for member in archive:
            if member.isfile():
                stream = archive.extractfile(member)
                assert stream is not None
                found[member.name] = stream.read().decode()
        return found


def test_a_file_of_the_web_is_checked_by_its_hash(any_engine: RunningEngine) -> None:
    with serving() as server:
        url = server.file("/f", TEXT)
        checksum = f"sha256:{hashlib.sha256(TEXT).hexdigest()}"
        assert files(any_engine, sources.http(url, checksum=checksum)) == {"f": TEXT.decode()}
        with pytest.raises(BuildFailed, match=r"(?i)digest"):
            files(any_engine, sources.http(url, checksum="sha256:" + "0" * 64))


def test_filesystems_are_merged_and_compared(any_engine: RunningEngine) -> None:
    one = sources.scratch().file(mkfile("/a", b"1"), mkfile("/b", b"1"))
    other = one.file(mkfile("/b", b"2"))
    state = sources.merge(sources.diff(one, other), sources.scratch().file(mkfile("/c", b"3")))
    if any_engine.version.startswith("20."):  # BuildKit 0.10 brought them
        with pytest.raises(BuildFailed):
            files(any_engine, state)
        return
    assert files(any_engine, state) == {"b": "2", "c": "3"}


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A repository behind a git daemon: its URL, and its one commit."""
    work = tmp_path / "served/repository"
    work.mkdir(parents=True)
    (work / "f").write_text("of a commit\n")
    identity = ["-c", "user.name=a", "-c", "user.email=a@registry.example"]
    for words in (["init", "-q"], ["add", "f"], [*identity, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", "-C", str(work), *words], check=True)
    commit = subprocess.run(
        ["git", "-C", str(work), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    port = free_port()
    argv = [
        "git", "daemon", "--export-all", "--listen=127.0.0.1", f"--port={port}",
        "--informative-errors", f"--base-path={tmp_path}/served", str(work),
    ]  # fmt: skip
    with running(argv, tmp_path / "git.log"):
        wait_until(lambda: listens(port))
        yield f"git://127.0.0.1:{port}/repository", commit


def test_a_commit_is_fetched_by_its_hash(
    dockerd_20: RunningEngine, repository: tuple[str, str]
) -> None:
    url, commit = repository
    assert files(dockerd_20, sources.git(url, ref=commit)) == {"f": "of a commit\n"}


@pytest.fixture(scope="module", params=[name for name in ENGINES if name != "bookworm"])
def newer_engine(request: pytest.FixtureRequest) -> Iterator[RunningEngine]:
    """Engines since BuildKit 0.11."""
    with ENGINES[request.param]() as engine:
        yield engine


def policy(place: Path, *rules: object) -> Policy:
    file = place / "policy.json"
    file.write_text(json.dumps({"rules": rules}))
    return read_policy(file)


def test_a_rule_puts_our_image_in_the_place_of_the_public_helpers_pinned_digest(
    newer_engine: RunningEngine, loopback_registry: str, tmp_path: Path
) -> None:
    """The reference that an old ``# syntax`` brings to a newer engine."""
    (tmp_path / "f").write_text("ours\n")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY f /f\n")
    ours = f"{loopback_registry}/helper:1"
    solve_command.main(
        [
            str(tmp_path), "--engine", newer_engine.address, "-o", f"docker://{ours}",
            "--progress", "quiet",
        ],
        standalone_mode=False,
    )  # fmt: skip
    convert = {
        "action": "CONVERT",
        "selector": {"identifier": "docker-image://docker.io/docker/dockerfile-copy:*"},
        "updates": {"identifier": f"docker-image://{ours}"},
    }
    graph = sources.scratch().file(copy(sources.image(PUBLIC), "/f", "/g"))
    assert files(newer_engine, graph, policy(tmp_path, convert)) == {"g": "ours\n"}


def test_a_rule_denies_a_source(newer_engine: RunningEngine, tmp_path: Path) -> None:
    deny = {"action": "DENY", "selector": {"identifier": "docker-image://docker.io/*"}}
    with pytest.raises(BuildFailed, match="denied"):
        files(newer_engine, sources.image(PUBLIC), policy(tmp_path, deny))


def test_an_engine_that_would_not_heed_rules_is_refused(
    dockerd_20: RunningEngine, tmp_path: Path
) -> None:
    deny = {"action": "DENY", "selector": {"identifier": "*"}}
    with pytest.raises(EngineTooOld, match="source policies"):
        files(dockerd_20, sources.scratch().file(mkfile("/f", b"")), policy(tmp_path, deny))


def test_rules_that_are_not_understood_are_refused(tmp_path: Path) -> None:
    for wrong in ({"action": "TURN", "selector": {"identifier": "*"}}, {"action": "DENY"}, 3):
        with pytest.raises(UsageError, match="not a source policy"):
            policy(tmp_path, wrong)


def test_a_build_tells_its_provenance(newer_engine: RunningEngine, tmp_path: Path) -> None:
    if not describe(newer_engine.engine).has_oci_exporter:
        return  # nothing to attach it to: the image is squashed by us
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    layout = tmp_path / "image"
    solve_command.main(
        [
            str(tmp_path), "--engine", newer_engine.address, "--progress", "quiet",
            "--attest", "provenance,mode=max", "-o", f"oci:{layout}:1",
        ],
        standalone_mode=False,
    )  # fmt: skip
    blobs = [path.read_bytes() for path in (layout / "blobs/sha256").iterdir()]
    assert any(b'"predicateType":"https://slsa.dev/provenance/' in blob for blob in blobs)
