"""The image of the recipe ``ryuk`` as Testcontainers' own clients use it, on dockerd 28.5.

Every image comes from a registry of ours; engine, registry and clients share a network namespace.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.registry import need
from peers.buildkit_engines import CHROOTS, RunningEngine, missing, running_in_chroot
from peers.engines import running, wait_until

pytestmark = [
    pytest.mark.peer("docker-registry", "ip", "nsenter"),
    pytest.mark.root,
    pytest.mark.network,
]
HOST = "127.0.0.1:5000"
#: Go's client has no setting for its reaper, but a prefix for all names.
TARGETS = (("pause", "pause:1"), ("ryuk", "ryuk:1"), ("ryuk", "testcontainers/ryuk:0.14.0"))
GO = Path(__file__).parent / "ryuk_go"
PYTHON = """\
import os, sys
from testcontainers.core.container import DockerContainer
from testcontainers.core.labels import LABEL_SESSION_ID, SESSION_ID
from testcontainers.core.network import Network

network = Network().create()
container = DockerContainer(sys.argv[1]).with_network(network).start()
client = container.get_docker_client().client
client.volumes.create("left", labels={LABEL_SESSION_ID: SESSION_ID})
client.volumes.create("kept")
print(LABEL_SESSION_ID, flush=True)
os._exit(3)  # as a crash: nothing is removed by the run itself
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_in_chroot("sid", containerd_store=True, bridge=True) as engine:
        yield engine


def inside(engine: RunningEngine) -> tuple[str, ...]:
    assert engine.process is not None
    return ("nsenter", "--target", str(engine.process.pid), "--net")


@pytest.fixture(scope="module")
def images(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The catalog's ryuk and pause, in a registry beside the engine."""
    folder = tmp_path_factory.mktemp("images")
    config = {
        "version": 0.1, "http": {"addr": HOST, "secret": "test"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
    }  # fmt: skip
    (folder / "config.yml").write_text(json.dumps(config))
    server = [*inside(engine), need("docker-registry"), "serve", str(folder / "config.yml")]
    homeport = (sys.executable, "-m", "homeport")
    with running(server, folder / "log"):
        for name, target in TARGETS:
            layout = f"oci:{folder / name}"
            build = [*homeport, "build", name, "--locked", "--no-attest", "--platform", "native",
                     "-o", layout]  # fmt: skip
            subprocess.run(build, check=True, capture_output=True)
            push = [*inside(engine), *homeport, "push", layout, f"docker://{HOST}/{target}"]
            wait_until(
                lambda: subprocess.run(push, capture_output=True, check=False).returncode == 0  # noqa: B023
            )
        yield


def environment(engine: RunningEngine, home: Path) -> dict[str, str]:
    socket = engine.address.removeprefix("unix://")
    return {
        **os.environ,
        "DOCKER_HOST": engine.address,
        "HOME": str(home),
        "RYUK_RECONNECTION_TIMEOUT": "1s",
        "RYUK_CONTAINER_IMAGE": f"{HOST}/ryuk:1",
        # As the daemon sees it, from inside its own root.
        "TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE": socket.removeprefix(
            os.path.join(os.environ[CHROOTS], "sid")
        ),
    }


def docker(engine: RunningEngine, *words: str) -> list[str]:
    root = os.path.join(os.environ[CHROOTS], "sid")
    socket = engine.address.removeprefix(f"unix://{root}")
    done = subprocess.run(
        ["chroot", root, "docker", "-H", f"unix://{socket}", *words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


def left(engine: RunningEngine, label: str) -> dict[str, list[str]]:
    """What of the run is still there, and the reaper's own containers."""
    mine = ("-q", "--filter", f"label={label}")
    return {
        "containers": docker(engine, "ps", "-a", *mine),
        "networks": docker(engine, "network", "ls", *mine),
        "volumes": docker(engine, "volume", "ls", *mine),
        "reapers": docker(
            engine, "ps", "-a", "-q", "--filter", "label=org.testcontainers.ryuk=true"
        ),
    }


@pytest.mark.usefixtures("images")
@pytest.mark.full  # this client may lose its line where the container starts slowly
def test_what_a_crashed_run_of_the_python_client_leaves_is_removed(
    engine: RunningEngine, tmp_path: Path
) -> None:
    python = os.environ.get("HOMEPORT_TESTCONTAINERS")
    if not python:
        missing("HOMEPORT_TESTCONTAINERS names no Python with testcontainers")
    done = subprocess.run(
        [*inside(engine), str(python), "-c", PYTHON, f"{HOST}/pause:1"],
        env=environment(engine, tmp_path), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    label = done.stdout.split()[-1]
    all_removed(engine, label)
    assert docker(engine, "volume", "ls", "-q") == ["kept"]


def all_removed(engine: RunningEngine, label: str) -> None:
    there = left(engine, label)
    assert there["containers"]
    assert there["networks"]
    assert there["reapers"]
    nothing: dict[str, list[str]] = {key: [] for key in there}
    wait_until(lambda: left(engine, label) == nothing)


@pytest.mark.full  # a minute and 200 MB of Go's modules
@pytest.mark.peer("go")
@pytest.mark.usefixtures("images")
def test_what_a_crashed_run_of_the_go_client_leaves_is_removed(
    engine: RunningEngine, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    subprocess.run(["go", "build", "-o", str(program), "."], cwd=GO, check=True)
    done = subprocess.run(
        [*inside(engine), str(program), "pause:1"],
        env={
            **environment(engine, tmp_path), "TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX": HOST,
            "TESTCONTAINERS_RYUK_RECONNECTION_TIMEOUT": "1s",
        },
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    all_removed(engine, done.stdout.split()[-1])
