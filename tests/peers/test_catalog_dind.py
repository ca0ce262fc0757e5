"""The recipe dind in a privileged container: docker:dind's contract, and containers inside."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.cli.main import run as homeport
from homeport.oci.platform import native_platform
from peers.buildkit_engines import missing
from peers.engines import Podman, podman_limits, wait_until

pytestmark = [
    pytest.mark.network, pytest.mark.root, pytest.mark.peer("podman", "runc"),
    pytest.mark.skipif(str(native_platform()) not in ("linux/amd64", "linux/arm64"),
                       reason="as the other images, on the machines of CI"),
]  # fmt: skip
WORK = """\
set -e
tar -c -C / usr/bin/busybox | docker import - program >/dev/null
docker run --rm --memory 64m program /usr/bin/busybox ip -o -4 addr show
mkdir /tmp/context
printf 'FROM program\\nRUN ["/usr/bin/busybox", "touch", "/made"]\\n' >/tmp/context/Dockerfile
docker build -q -t made /tmp/context
docker run --rm --network none made /usr/bin/busybox ls /made
"""


ENTRYPOINT = Path(__file__).parents[2] / "src/homeport/catalog/dind/dockerd-entrypoint.sh"
#: As root, in a mount namespace: a group of cgroup v2 with one controller, then the entrypoint in
#: a cgroup namespace that has the group as its root, with another process beside it.
NESTED = """\
mkdir "$1/all"
mount -t cgroup2 none "$1/all"
read -r controller _ <"$1/all/cgroup.controllers" || exit 77
echo "+$controller" >"$1/all/cgroup.subtree_control"
mkdir "$1/all/$2"
echo $$ >"$1/all/$2/cgroup.procs"
exec unshare --cgroup --mount sh -euc '
    [ -d /sys/fs/cgroup ] && mount -t cgroup2 none /sys/fs/cgroup
    mount -t tmpfs none /run
    cp "$1/docker-init" "$2" /run/
    sleep 60 &
    PATH=/run:$PATH exec sh /run/dockerd-entrypoint.sh dockerd' sh "$1" "$3"
"""
#: In the place of the program that starts dockerd: what a container of dockerd would have.
INSIDE = """\
#!/bin/sh
cd /sys/fs/cgroup
echo "in the root: $(cat cgroup.procs | wc -w)"
echo "moved: $(cat init/cgroup.procs | wc -w)"
mkdir docker
echo "a container has: $(cat docker/cgroup.controllers)"
read -r first _ <docker/cgroup.controllers
[ -z "$(ls docker | grep "^$first[.]")" ] || echo "files of it"
rmdir docker
kill -9 $(grep -vx $$ init/cgroup.procs) 2>/dev/null
"""


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dind") / "image"
    assert homeport(
        ["build", "dind", "--locked", "--no-attest", "--platform", "native", "-o", f"oci:{folder}"]
    ) == 0  # fmt: skip
    return folder


class Container:
    """A privileged container of the image, with folders of this machine."""

    def __init__(self, podman: Podman, name: str) -> None:
        self._podman, self._name = podman, name

    def run(
        self, *words: str, host: str = "", certificates: str = ""
    ) -> subprocess.CompletedProcess[str]:
        variables = {"DOCKER_HOST": host} if host else {}
        if certificates:
            variables |= {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": certificates}
        options = [f"--env={name}={value}" for name, value in variables.items()]
        return subprocess.run(
            [*self._podman.argv, "exec", *options, self._name, *words],
            env={**os.environ, **self._podman.environ}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def answers(self, host: str = "", certificates: str = "") -> bool:
        done = self.run("docker", "version", host=host, certificates=certificates)
        return done.returncode == 0


@contextlib.contextmanager
def started(
    podman: Podman, layout: Path, *words: str, options: tuple[str, ...] = ()
) -> Iterator[Container]:
    image = podman.run("pull", "-q", f"oci:{layout}").strip()
    # Not on a filesystem of the container: overlay does not lie on overlay.
    with tempfile.TemporaryDirectory() as data:
        name = podman.run(
            "run", "-d", "--privileged", "--network", "none", *podman_limits(),
            "-v", f"{data}:/var/lib/docker", *options, image, *words,
        ).strip()  # fmt: skip
        try:
            container = Container(podman, name)
            wait_until(container.answers)
            yield container
        finally:
            podman.run("rm", "-f", "-t", "5", name)


def test_clients_need_a_certificate_and_containers_run_and_are_built(
    layout: Path, podman: Podman, tmp_path: Path
) -> None:
    with started(podman, layout, options=("-v", f"{tmp_path}:/certs")) as container:
        secure = "tcp://localhost:2376"
        assert container.answers(secure, "/certs/client")
        assert "HTTPS server" in container.run("docker", "version", host=secure).stderr
        assert not container.answers("tcp://localhost:2375")
        done = container.run("sh", "-c", WORK, host=secure, certificates="/certs/client")
        assert done.returncode == 0, done.stderr
        assert "172.17.0.2/16" in done.stdout
        assert done.stdout.splitlines()[-1] == "/made"
        assert container.run("cat", "/proc/1/comm").stdout == "docker-init\n"
    keys = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("ca/*")}
    assert keys == {"key.pem": 0o600, "cert.pem": 0o644}


def test_another_container_takes_the_same_authority_and_the_clients_stay(
    layout: Path, podman: Podman, tmp_path: Path
) -> None:
    files = ("ca/key.pem", "ca/cert.pem", "client/cert.pem", "server/cert.pem")
    seen = []
    for _ in range(2):
        with started(podman, layout, options=("-v", f"{tmp_path}:/certs")) as container:
            assert container.answers("tcp://localhost:2376", "/certs/client")
        seen.append([(tmp_path / name).read_bytes() for name in files])
    assert seen[0][:3] == seen[1][:3]
    assert seen[0][3] != seen[1][3]  # the server's names are others


def test_without_a_folder_for_certificates_it_listens_without_tls(
    layout: Path, podman: Podman
) -> None:
    with started(podman, layout, options=("--env", "DOCKER_TLS_CERTDIR=")) as container:
        assert container.answers("tcp://localhost:2375")
        assert not container.answers("tcp://localhost:2376")


def test_as_actions_runner_controller_calls_it(layout: Path, podman: Podman) -> None:
    """``containerMode: dind`` of its charts: dockerd's own words, and a group by its number."""
    words = ("dockerd", "--host=unix:///var/run/docker.sock", "--group=123")
    with started(podman, layout, *words) as container:
        assert container.run("stat", "-c", "%g %a", "/var/run/docker.sock").stdout == "123 660\n"
        assert not container.answers("tcp://localhost:2375")


def test_another_program_is_a_client_of_the_service(layout: Path, podman: Podman) -> None:
    image = podman.run("pull", "-q", f"oci:{layout}").strip()
    run = ("run", "--rm", "--network", "none", *podman_limits())
    told = podman.run(*run, image, "sh", "-c", "echo $DOCKER_HOST")
    assert told == "tcp://docker:2375\n"


def test_controllers_of_cgroup_v2_are_handed_on(tmp_path: Path) -> None:
    """With those that this kernel has not given to cgroup v1: often hugetlb alone."""
    (tmp_path / "docker-init").write_text(INSIDE)
    (tmp_path / "docker-init").chmod(0o755)
    group = f"homeport-test-{os.getpid()}"
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-euc", NESTED, "sh",
         str(tmp_path), group, str(ENTRYPOINT)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    subprocess.run(
        ["unshare", "--mount", "sh", "-c", 'mount -t cgroup2 none "$1" && '
         'rmdir "$1/$2/init" "$1/$2"', "sh", str(tmp_path / "all"), group], check=False,
    )  # fmt: skip
    if done.returncode == 77:
        missing("this kernel has no controller for cgroup v2")
    root, moved, controllers, files = done.stdout.splitlines()
    assert root == "in the root: 0"
    assert int(moved.removeprefix("moved: ")) >= 2
    assert controllers.removeprefix("a container has: ")
    assert files == "files of it"
