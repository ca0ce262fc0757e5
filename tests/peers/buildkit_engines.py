"""Real engines for the tests of ``homeport.buildkit``, started and ended here.

``dockerd_20`` is Debian bookworm's docker.io, whose BuildKit (0.8) still uses helper images.
Data lie under a temporary folder; nothing outside is touched, and no bridge is made.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from homeport.buildkit.address import Engine, Surroundings, parse_engine
from peers.engines import answers, free_port, running, short_folder, wait_until


@dataclass(frozen=True)
class RunningEngine:
    """An engine that answers. ``process`` for tests that end it in mid-build."""

    address: str
    version: str
    process: subprocess.Popen[bytes] | None

    @property
    def engine(self) -> Engine:
        return parse_engine(self.address, Surroundings(environment={}, home=Path("/nonexistent")))


@contextlib.contextmanager
def running_dockerd(*options: str) -> Iterator[RunningEngine]:
    """The dockerd of this machine over an empty storage, with the driver that it chooses."""
    need("dockerd")
    version = subprocess.run(
        ["dockerd", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[2]
    with short_folder() as home:
        argv = [
            # In a mount namespace of its own: one that is killed leaves no mounts behind.
            "unshare", "--mount", "--propagation", "private",
            "dockerd", "--data-root", str(home / "data"), "--exec-root", str(home / "exec"),
            "-H", f"unix://{home}/docker.sock", "--bridge=none", "--iptables=false",
            "--pidfile", str(home / "pid"), *options,
        ]  # fmt: skip
        with running(argv, home / "dockerd.log") as process:
            wait_until(lambda: answers(home / "docker.sock"))
            yield RunningEngine(f"unix://{home}/docker.sock", version, process)


CHROOTS = "HOMEPORT_ENGINE_CHROOTS"


@contextlib.contextmanager
def running_in_chroot(
    suite: str, *, containerd_store: bool = False, bridge: bool = False,
    binfmt: Literal["", "mounted", "not mounted"] = "",
) -> Iterator[RunningEngine]:  # fmt: skip
    """The dockerd of another Debian release, from a folder that mmdebstrap made.

    bridge: with a bridge for containers, in a network namespace of its own: that of ``process``
    binfmt: in a user namespace, which has a binfmt_misc of its own; steps may have privileges

    ``HOMEPORT_ENGINE_CHROOTS`` names the folder that holds ``trixie`` and ``sid``; the
    recipe is in docs/buildkit.md.
    """
    root = Path(os.environ.get(CHROOTS, "/nonexistent"), suite)
    if not (root / "usr/sbin/dockerd").exists():
        missing(f"{CHROOTS} names no folder with a {suite} chroot that has docker.io")
    home = Path(tempfile.mkdtemp(prefix="e-", dir=root / "tmp"))
    inside = f"/tmp/{home.name}"
    (home / "daemon.json").write_text(
        json.dumps(
            {
                "features": {"containerd-snapshotter": containerd_store},
                "builder": {"entitlements": {"security-insecure": bool(binfmt)}},
            }
        )
    )
    network = ("--bridge=none",) if not bridge else ()
    begin = "ip link set lo up && " if bridge else ""
    begin += f"until [ -e {home}/mapped ]; do sleep 0.02; done && " if binfmt else ""
    mount = "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && " if binfmt == "mounted" else ""
    kinds = (("--net",) if bridge else ()) + (("--user",) if binfmt else ())
    argv = [
        "unshare", *kinds, "--mount", "--propagation", "private", "sh", "-c",
        begin + mount + 'mount --bind "$0" "$0" && mount --make-private "$0" &&'
        ' for d in proc sys dev; do mount --rbind "/$d" "$0/$d" &&'
        ' mount --make-rslave "$0/$d"; done && exec chroot "$0" env -u TMPDIR dockerd "$@"',
        str(root), "--config-file", f"{inside}/daemon.json", "--data-root", f"{inside}/data",
        "--exec-root", f"{inside}/exec", "-H", f"unix://{inside}/docker.sock", *network,
        "--iptables=false", "--ip6tables=false", "--pidfile", f"{inside}/pid",
    ]  # fmt: skip
    version = subprocess.run(
        ["chroot", str(root), "dockerd", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[2]
    try:
        with running(argv, home / "dockerd.log") as process:
            if binfmt:
                _map_users(process.pid)
                (home / "mapped").touch()
            wait_until(lambda: answers(home / "docker.sock"))
            yield RunningEngine(f"unix://{home}/docker.sock", version, process)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _map_users(pid: int) -> None:
    """Give a process in a new user namespace the first 65,536 users; needs root."""
    own = os.readlink("/proc/self/ns/user")
    wait_until(lambda: os.readlink(f"/proc/{pid}/ns/user") != own)
    for kind in ("uid", "gid"):
        Path(f"/proc/{pid}/{kind}_map").write_text("0 0 65536\n")


@contextlib.contextmanager
def the_buildkitd() -> Iterator[RunningEngine]:
    """The stand-alone buildkitd that ``BUILDKIT_HOST`` names; it is neither started nor ended."""
    yield RunningEngine(os.environ["BUILDKIT_HOST"], "buildkitd", None)


#: Name, and how to start it.
ENGINES: dict[str, Callable[[], contextlib.AbstractContextManager[RunningEngine]]] = {
    "bookworm": running_dockerd,
    "trixie": lambda: running_in_chroot("trixie"),
    "trixie-containerd": lambda: running_in_chroot("trixie", containerd_store=True),
    "sid": lambda: running_in_chroot("sid"),
    "sid-containerd": lambda: running_in_chroot("sid", containerd_store=True),
}
# Debian has no buildkitd, so there is one only where somebody runs it.
if os.environ.get("BUILDKIT_HOST"):
    ENGINES["buildkitd"] = the_buildkitd


@pytest.fixture(scope="module", params=ENGINES)
def any_engine(request: pytest.FixtureRequest) -> Iterator[RunningEngine]:
    """Each engine in turn."""
    with ENGINES[request.param]() as engine:
        yield engine


@pytest.fixture(scope="module")
def dockerd_20() -> Iterator[RunningEngine]:
    """An engine that uses helper images."""
    with running_dockerd() as engine:
        if not engine.version.startswith("20.10."):
            missing(f"dockerd is {engine.version}, not 20.10 (Debian bookworm's docker.io)")
        yield engine


@pytest.fixture(scope="module")
def loopback_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Debian's docker-registry; the value is ``127.0.0.1:PORT``."""
    need("docker-registry")
    folder = tmp_path_factory.mktemp("registry")
    port = free_port()
    config = folder / "config.yml"
    config.write_text(
        "version: 0.1\nlog: {level: warn}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}}}\n"
        f'http: {{addr: "127.0.0.1:{port}"}}\n'
    )
    with running(["docker-registry", "serve", str(config)], folder / "log"):
        wait_until(lambda: listens(port))
        yield f"127.0.0.1:{port}"


def need(program: str) -> None:
    """Skip without the program; fail where all peers must be there."""
    if shutil.which(program) is None:
        missing(f"{program} is not installed")


def missing(why: str) -> None:
    if os.environ.get("CI") == "true" or os.environ.get("HOMEPORT_PEERS") == "1":
        pytest.fail(why)
    pytest.skip(why)


def listens(port: int) -> bool:
    """Whether something takes connections there; ``OSError`` if not."""
    import socket

    with socket.create_connection(("127.0.0.1", port), 1):
        return True
