"""Bases and tools of the catalog, built from their lockfiles and run as a runtime would.

Each runs in a chroot as its own user, with /dev and /proc of this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from homeport.cli.main import run as homeport
from peers.engines import wait_until

pytestmark = [pytest.mark.network, pytest.mark.root]

#: Enters a root with this machine's /dev and /proc, in a mount namespace of its own.
_ENTER = (
    'mount --rbind /dev "$0/dev" && mount --rbind /proc "$0/proc" && user=$1 && shift &&'
    ' root=$0 && exec chroot "--userspec=$user" "$root" "$@"'
)


@dataclass(frozen=True)
class Unpacked:
    """An image of this machine's platform, its files with their owners."""

    root: Path
    config: dict[str, Any]

    def argv(self, *words: str) -> list[str]:
        user = self.config.get("User") or "0"
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER]
        return [*enter, str(self.root), f"{user}:{user}", *words]

    @property
    def environment(self) -> dict[str, str]:
        found = dict(text.split("=", 1) for text in self.config.get("Env") or [])
        return {"PATH": os.environ["PATH"] + ":/usr/sbin:/usr/bin", "HOME": "/home/nonroot"} | {
            name: value for name, value in found.items() if name != "PATH"
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(*words), env=self.environment, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip


def unpack(name: str, folder: Path) -> Unpacked:
    layout = folder / f"{name}.oci"
    build = ["build", name, "--locked", "--no-attest", "--platform", "native"]
    assert homeport([*build, "-o", f"oci:{layout}"]) == 0
    blobs = layout / "blobs/sha256"

    def document(digest: str) -> Any:
        return json.loads((blobs / digest.removeprefix("sha256:")).read_text())

    found = document(json.loads((layout / "index.json").read_text())["manifests"][0]["digest"])
    if "manifests" in found:
        found = document(found["manifests"][0]["digest"])
    root = folder / name
    root.mkdir()
    for layer in found["layers"]:
        blob = blobs / layer["digest"].removeprefix("sha256:")
        subprocess.run(["tar", "-xpzf", blob, "-C", root, "--numeric-owner"], check=True)
    for mounted in ("dev", "proc"):
        (root / mounted).mkdir(exist_ok=True)
    config = document(found["config"]["digest"])["config"]
    shutil.rmtree(layout)
    return Unpacked(root, config)


_PYTHON = (
    "import ssl, sqlite3, decimal, bz2, lzma, ctypes, uuid, asyncio, multiprocessing, venv\n"
    "import zoneinfo, xml.etree.ElementTree, email.mime.text, http.server, concurrent.futures\n"
    "zoneinfo.ZoneInfo('Europe/Berlin'), 'x'.encode('shift_jis'), ssl.create_default_context()\n"
    "print(len(ssl.create_default_context().get_ca_certs()) > 100)"
)


@pytest.mark.parametrize(
    ("name", "words", "code", "says"),
    [
        ("busybox", ["/bin/sh", "-c", "ls -d /tmp | awk '{print $1, 6*7}'"], 0, "/tmp 42\n"),
        ("static-debug", ["/busybox/sh", "-c", "id -u; test -r $SSL_CERT_FILE"], 0, "65532\n"),
        ("base-debug", ["/busybox/sh", "-c", "ls /usr/lib/*/libssl.so.3 | wc -l"], 0, "1\n"),
        ("cc-debug", ["/busybox/sh", "-c", "ls /usr/lib/*/libstdc++.so.6 | wc -l"], 0, "1\n"),
        ("python", ["/usr/bin/python3", "-c", _PYTHON], 0, "True\n"),
        ("python-debug", ["/busybox/sh", "-c", "python3 -c 'print(6*7)'"], 0, "42\n"),
        ("node", ["/usr/bin/node", "-e", "fetch('data:,42').then(r=>r.text()).then(console.log)"],
         0, "42\n"),
        ("node-debug", ["/busybox/sh", "-c", "node -p '6*7'"], 0, "42\n"),
        ("java", ["/usr/bin/java", "--version"], 0, "openjdk 21"),
        ("java-debug", ["/busybox/sh", "-c", "java --version"], 0, "openjdk 21"),
        ("curl", ["/usr/bin/curl", "--version"], 0, "curl 8."),
        ("curl", ["/usr/bin/curl", "-s", "file:///etc/nsswitch.conf"], 0, "hosts: files dns\n"),
        ("git", ["/usr/bin/git", "init", "-q", "/tmp/new"], 0, ""),
        ("git", ["/usr/bin/git", "ls-remote", "https://127.0.0.1:1/x"], 128, "fatal: unable"),
        ("git", ["/usr/bin/ssh", "-V"], 0, "OpenSSH_"),
        ("skopeo", ["/usr/bin/skopeo", "inspect", "docker://127.0.0.1:1/x"], 1, "time="),
        ("crane", ["/usr/bin/crane", "digest", "127.0.0.1:1/x/y:z"], 1, ""),
        ("kubectl", ["/usr/bin/kubectl", "version", "--client"], 0, "Client Version: v1.32"),
        ("docker-cli", ["/usr/bin/docker", "buildx", "version"], 0, "github.com/docker/buildx 0."),
        ("registry", ["/usr/bin/docker-registry", "--version"], 0, "/usr/bin/docker-registry "),
        ("socat", ["/usr/bin/socat", "-u", "OPEN:/etc/nsswitch.conf", "-"], 0, "hosts: files"),
    ],
)  # fmt: skip
def test_an_image_does_what_it_is_for(
    tmp_path: Path, name: str, words: list[str], code: int, says: str
) -> None:
    done = unpack(name, tmp_path).run(*words)
    assert done.returncode == code, done.stderr
    assert (done.stdout or done.stderr).startswith(says)


@pytest.mark.parametrize("name", ["static", "base", "cc", "python", "curl", "registry"])
def test_bases_run_as_distrolesss_nonroot_without_a_shell(tmp_path: Path, name: str) -> None:
    image = unpack(name, tmp_path)
    assert image.config["User"] == "65532"
    assert image.config["WorkingDir"] == "/home/nonroot"
    assert (image.root / "home/nonroot").stat().st_uid == 65532
    assert image.run("/bin/sh", "-c", "true").returncode == 127
    assert "nonroot:x:65532:65532" in (image.root / "etc/passwd").read_text()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_pause_waits_and_ends_at_once_when_a_node_stops_it(
    tmp_path: Path, how: signal.Signals
) -> None:
    image = unpack("pause", tmp_path)
    process = subprocess.Popen(
        image.argv(*image.config["Entrypoint"]), env=image.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    comm = Path(f"/proc/{process.pid}/comm")
    wait_until(lambda: comm.read_text() == "catatonit\n")
    caught = Path(f"/proc/{process.pid}/status")
    wait_until(lambda: "State:\tS" in caught.read_text())
    process.send_signal(how)
    _, err = process.communicate(timeout=20)
    assert process.returncode in (0, -how, 128 + how), err
