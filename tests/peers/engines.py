"""Real programs beside ours, each isolated in a folder of the test and ended by its pid.

The fixtures are known to all tests of this folder (``conftest``).
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_PATIENCE = 30.0  # seconds until a program must answer


@dataclass(frozen=True)
class Program:
    """A program that is run to its end; ``run`` gives what it printed."""

    argv: tuple[str, ...]
    environ: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, input: bytes | None = None) -> str:
        done = subprocess.run(
            [*self.argv, *arguments],
            env={**os.environ, **self.environ},
            input=input,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr.decode(errors='replace')}"
        return done.stdout.decode(errors="replace")

    def succeeds(self, *arguments: str) -> bool:
        """Whether it ends with 0: a question to a server that may not listen yet."""
        try:
            self.run(*arguments)
        except AssertionError:
            return False
        return True


@dataclass(frozen=True)
class RegistryServer:
    """A registry on a port of the loopback interface, its content in ``folder``."""

    host: str
    folder: Path

    def repository(self, name: str) -> str:
        return f"{self.host}/{name}"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryServer]:
    """Debian's docker-registry, empty, without accounts, deleting allowed."""
    port = free_port()
    folder = tmp_path / "registry"
    config = tmp_path / "registry.yml"
    config.write_text(
        f"""\
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
    )
    with running(["docker-registry", "serve", str(config)], tmp_path / "registry.log"):
        wait_until(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/").status == 200)
        yield RegistryServer(f"127.0.0.1:{port}", folder)


@pytest.fixture
def skopeo(tmp_path: Path) -> Program:
    """skopeo that trusts every image, knows no credentials and talks plain HTTP."""
    policy = tmp_path / "policy.json"
    policy.write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    return Program(
        ("skopeo", "--policy", str(policy), "--tmpdir", str(tmp_path)),
        {"REGISTRY_AUTH_FILE": str(tmp_path / "no-auth.json")},
    )


@pytest.fixture
def umoci() -> Program:
    return Program(("umoci",))


@dataclass(frozen=True)
class Podman(Program):
    """podman with a storage of its own."""

    def run_image(self, *arguments: str) -> str:
        """``podman run`` in the ways that also work inside another container.

        No network; limits are those that we have, since they cannot be raised there.
        """
        return self.run("run", "--rm", "--network", "none", *podman_limits(), *arguments)


def podman_limits() -> list[str]:
    """Limits that we have ourselves: they cannot be raised inside another container."""
    limits = []
    for name, which in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
        hard = resource.getrlimit(which)[1]
        limit = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
        limits += ["--ulimit", f"{name}={limit}:{limit}"]
    return limits


@pytest.fixture
def podman() -> Iterator[Podman]:
    """podman over an empty storage (vfs) of its own."""
    with short_folder() as storage:
        conf, accounts = storage / "storage.conf", storage / "accounts.json"
        accounts.write_text("{}")
        # Without it all podmans share /run/libpod, which the first one to be reset removes.
        (storage / "containers.conf").write_text(f'[engine]\ntmp_dir = "{storage}/state"\n')
        conf.write_text(
            f'[storage]\ndriver = "vfs"\nrunroot = "{storage}/run"\ngraphroot = "{storage}/graph"\n'
        )
        program = Podman(
            ("podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs"),
            {
                "CONTAINERS_STORAGE_CONF": str(conf),
                "CONTAINERS_CONF": f"{storage}/containers.conf",
                "REGISTRY_AUTH_FILE": str(accounts),
            },
        )
        yield program
        # The podman that conmon starts at a container's end may still be writing into the folders.
        wait_until(lambda: program.succeeds("system", "reset", "--force"))


@pytest.fixture
def dockerd(tmp_path: Path) -> Iterator[str]:
    """A docker daemon over an empty storage; the value is its ``DOCKER_HOST``."""
    with short_folder() as home:
        argv = [
            "dockerd", "--data-root", str(home / "data"), "--exec-root", str(home / "exec"),
            "-H", f"unix://{home}/docker.sock", "--bridge=none", "--iptables=false",
            "--pidfile", str(home / "pid"), "--storage-driver", "vfs",
        ]  # fmt: skip
        with running(argv, tmp_path / "dockerd.log"):
            wait_until(lambda: answers(home / "docker.sock"))
            yield f"unix://{home}/docker.sock"


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A temporary folder for programs that make sockets: those have short paths.

    Past the limit of 108 bytes podman still works, but waits 20 s for each container's end.
    """
    folder = Path(tempfile.mkdtemp(prefix="hp-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running(argv: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server for the length of the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(is_ready) -> None:  # type: ignore[no-untyped-def]
    """Look every 20 ms until ``is_ready`` says so."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        with contextlib.suppress(OSError):
            if is_ready():
                return
        assert time.monotonic() < deadline, "the program did not come up"
        time.sleep(0.02)


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
    return True


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
