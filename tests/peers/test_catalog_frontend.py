"""The image ``homeport`` as the frontend of recipes, on a real engine (dockerd 28.5 of sid)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from builders.registry import docker_registry
from peers.buildkit_engines import CHROOTS, RunningEngine, missing, running_in_chroot

pytestmark = [pytest.mark.peer("docker-registry"), pytest.mark.root, pytest.mark.network]
_DEBIAN = "http://deb.debian.org/debian"
_NO_NETWORK = "moby.buildkit.frontend.network.none"
RECIPE = """\
# syntax={frontend}
homeport: 1
name: demo
platforms: [linux/amd64, linux/arm64]
packages: [busybox-static, base-files_os-release, perl-base_bins]
files:
  - {{from: ./own, to: /srv/own}}
  - {{to: /etc/motd, text: "hello\\n"}}
  - {{to: /usr/bin/privileged, text: "x", mode: "6755"}}
links:
  - {{path: /usr/bin/sh, target: busybox}}
directories:
  - {{path: /var/spool/demo, mode: "1777"}}
config:
  entrypoint: [/usr/bin/busybox]
  env: {{A: b}}
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_in_chroot("sid", containerd_store=True) as engine:
        yield engine


@pytest.fixture(scope="module")
def frontend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("frontend")
    homeport("build", "homeport", "--locked", "--no-attest", "--platform", "native",
             "-o", f"oci:{folder}/image")  # fmt: skip
    with docker_registry(folder / "registry") as running:
        homeport("push", f"oci:{folder}/image", f"docker://{running.host}/homeport:1")
        yield f"{running.host}/homeport:1"


@pytest.fixture(scope="module")
def locked(frontend: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    (folder / "homeport.yaml").write_text(RECIPE.format(frontend=frontend))
    (folder / "own").mkdir()
    (folder / "own/run").write_text("#!/usr/bin/sh\n")
    (folder / "own/run").chmod(0o755)
    # Of one program the package has two names, a hard link.
    (folder / "slices").mkdir()
    (folder / "slices/perl-base.yaml").write_text(
        "homeport: 1\npackage: perl-base\nslices: {bins: {needs: [libc6_libs, libcrypt1_libs],"
        " paths: [/usr/bin/perl*]}}\n"
    )
    homeport("lock", str(folder))
    return folder


@pytest.fixture
def project(locked: Path, tmp_path: Path) -> Path:
    """A copy for the test to spoil."""
    subprocess.run(["cp", "-a", str(locked), str(tmp_path / "p")], check=True)
    return tmp_path / "p"


def homeport(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "homeport", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def solve(engine: RunningEngine, project: Path, *arguments: str, code: int = 0) -> str:
    return homeport(
        "solve", str(project), "-f", str(project / "homeport.yaml"), "--engine", engine.address,
        "--progress", "plain", *arguments, code=code,
    )  # fmt: skip


def blob(layout: Path, descriptor: dict[str, Any]) -> Any:
    return json.loads((layout / "blobs/sha256" / descriptor["digest"][7:]).read_bytes())


def manifests(layout: Path) -> list[dict[str, Any]]:
    """The images and attestations of a layout."""
    (top,) = json.loads((layout / "index.json").read_text())["manifests"]
    document = blob(layout, top)
    found: list[dict[str, Any]] = document.get("manifests", [top])
    return found


def image_of(layout: Path, architecture: str) -> dict[str, Any]:
    for entry in manifests(layout):
        if entry.get("platform", {}).get("architecture") == architecture:
            return blob(layout, entry)  # type: ignore[no-any-return]
    raise AssertionError(f"no image for {architecture}")


def listing(layout: Path, architecture: str) -> dict[str, Any]:
    """What is in an image: of each path all that a tar says of it."""
    found = {}
    for layer in image_of(layout, architecture)["layers"]:
        with tarfile.open(layout / "blobs/sha256" / layer["digest"][7:]) as archive:
            for member in archive:
                name = member.name.strip("./")
                if name:
                    found[name] = (
                        member.type, oct(member.mode & 0o7777), member.uid, member.gid, member.size,
                        member.linkname.removeprefix("./"), int(member.mtime),
                    )  # fmt: skip
    return found


def test_the_files_of_both_platforms_are_those_of_a_build_by_homeport(
    engine: RunningEngine, locked: Path, tmp_path: Path
) -> None:
    solve(engine, locked, "--platform", "linux/amd64,linux/arm64", "-o", f"oci:{tmp_path}/engine")
    homeport("build", str(locked), "--locked", "--no-attest", "-o", f"oci:{tmp_path}/own")
    for architecture in ("amd64", "arm64"):
        ours = listing(tmp_path / "own", architecture)
        assert "usr/bin/busybox" in ours
        assert ours["usr/bin/privileged"][1] == "0o6755"
        assert ours["usr/bin/sh"][0] == tarfile.SYMTYPE
        links = {
            name: (each[5], ours[each[5]][4])
            for name, each in ours.items()
            if each[0] == tarfile.LNKTYPE and each[5] == "usr/bin/perl"
        }
        ((linked, (_, size)),) = links.items()
        assert linked.startswith("usr/bin/perl5.")
        assert size > 1_000_000
        assert listing(tmp_path / "engine", architecture) == ours
        configs = [
            blob(tmp_path / name, image_of(tmp_path / name, architecture)["config"])
            for name in ("engine", "own")
        ]
        assert configs[0]["config"] == configs[1]["config"]
        assert configs[0]["created"] == configs[1]["created"]


def test_a_second_build_without_cache_has_the_same_digest(
    engine: RunningEngine, locked: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        solve(engine, locked, "--no-cache", "-o", f"oci:{tmp_path}/{name}")
    assert image_of(tmp_path / "one", "amd64") == image_of(tmp_path / "two", "amd64")


def test_an_sbom_comes_from_the_frontend_and_provenance_names_every_package(
    engine: RunningEngine, locked: Path, tmp_path: Path
) -> None:
    text = solve(
        engine, locked, "--attest", "sbom", "--attest", "provenance,mode=max", "-o",
        f"oci:{tmp_path}/out",
    )  # fmt: skip
    assert "syft" not in text
    statements = [
        blob(tmp_path / "out", layer)
        for entry in manifests(tmp_path / "out")
        if entry.get("annotations", {}).get("vnd.docker.reference.type") == "attestation-manifest"
        for layer in blob(tmp_path / "out", entry)["layers"]
    ]
    by_type = {each["predicateType"]: each["predicate"] for each in statements}
    names = {package["name"] for package in by_type["https://spdx.dev/Document"]["packages"]}
    assert {"busybox-static", "base-files"} <= names
    provenance = json.dumps(next(each for kind, each in by_type.items() if "slsa" in kind))
    lock = json.loads((locked / "demo.lock").read_text())
    for package in lock["platforms"]["linux/amd64"]:
        assert package["sha256"] in provenance


def test_a_missing_lockfile_is_an_error_with_the_command(
    engine: RunningEngine, project: Path
) -> None:
    (project / "demo.lock").unlink()
    text = solve(engine, project, code=1)
    assert "the lockfile demo.lock is missing" in text
    assert "homeport lock homeport.yaml" in text


def test_a_stale_lockfile_is_an_error_that_says_what_differs(
    engine: RunningEngine, project: Path
) -> None:
    recipe = project / "homeport.yaml"
    recipe.write_text(recipe.read_text().replace("[busybox-static,", "[busybox-static, bc,"))
    text = solve(engine, project, code=1)
    assert "homeport.yaml and demo.lock disagree" in text
    assert "bc" in text


def test_a_fault_of_the_recipe_is_named_with_its_line(engine: RunningEngine, project: Path) -> None:
    recipe = project / "homeport.yaml"
    recipe.write_text(recipe.read_text() + "colour: red\n")
    number = len(recipe.read_text().splitlines())
    assert f"homeport.yaml:{number}:" in solve(engine, project, code=1)


def test_packages_whose_scripts_must_be_followed_are_refused(
    engine: RunningEngine, project: Path
) -> None:
    """As mtr-tiny's, which gives a capability: Debian has no parser of the shell for the image."""
    recipe = project / "homeport.yaml"
    text = recipe.read_text().replace("[busybox-static,", "[busybox-static, mtr-tiny,")
    recipe.write_text(text)
    homeport("lock", str(project))
    told = solve(engine, project, code=1)
    assert "shell scripts of packages require tree_sitter" in told
    assert "choose slices of the packages" in told


def test_a_package_with_another_hash_is_refused_by_the_engine(
    engine: RunningEngine, project: Path
) -> None:
    lock = project / "demo.lock"
    document = json.loads(lock.read_text())
    for packages in document["platforms"].values():
        for package in packages:
            package["sha256"] = "0" * 64
    lock.write_text(json.dumps(document))
    assert "digest mismatch" in solve(engine, project, code=1)


def test_a_platform_that_the_recipe_lacks_is_an_error(engine: RunningEngine, locked: Path) -> None:
    text = solve(engine, locked, "--platform", "linux/s390x", code=1)
    assert "does not name the platform linux/s390x" in text


def test_docker_buildx_builds_and_checks_a_recipe(engine: RunningEngine, locked: Path) -> None:
    root = Path(os.environ[CHROOTS], "sid")
    home = Path(engine.address.removeprefix("unix://")).parent
    if not (root / "usr/libexec/docker/cli-plugins/docker-buildx").exists():
        missing("the sid chroot lacks docker-buildx")
    subprocess.run(["cp", "-a", str(locked), str(home / "p")], check=True)
    inside = f"/tmp/{home.name}"
    build = ["chroot", str(root), "env", f"DOCKER_HOST=unix://{inside}/docker.sock", "docker",
             "buildx", "build", "-f", f"{inside}/p/homeport.yaml"]  # fmt: skip
    for options in (["--check"], ["-t", "demo:1"]):
        done = subprocess.run(
            [*build, *options, f"{inside}/p"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def sending_on() -> Iterator[tuple[str, list[str]]]:
    """A web server that sends every request on to Debian's mirror; its address, and what it saw."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(302)
            self.send_header("Location", f"{_DEBIAN}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def forget_all(engine: RunningEngine) -> None:
    """Make the engine drop what it fetched: a file with a known checksum is not asked for again."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(engine.address.removeprefix("unix://"))
        connection.sendall(
            b"POST /v1.41/build/prune?all=1 HTTP/1.0\r\nHost: engine\r\nContent-Length: 0\r\n\r\n"
        )
        while connection.recv(65536):
            pass


def test_a_source_policy_of_the_engine_moves_the_mirror(
    engine: RunningEngine, locked: Path, tmp_path: Path
) -> None:
    forget_all(engine)
    with sending_on() as (mirror, seen):
        rule = {
            "action": "CONVERT",
            "selector": {"identifier": f"{_DEBIAN}/*"},
            "updates": {"identifier": f"{mirror}/${{1}}"},
        }
        policy = tmp_path / "policy.json"
        policy.write_text(json.dumps({"rules": [rule]}))
        solve(engine, locked, "--no-cache", "--platform", "linux/amd64", "--source-policy",
              str(policy), "-o", f"oci:{tmp_path}/out")  # fmt: skip
    assert [path for path in seen if "/busybox-static_" in path]
    assert "usr/bin/busybox" in listing(tmp_path / "out", "amd64")


def test_the_label_of_the_image_keeps_a_frontend_from_every_network(
    engine: RunningEngine, frontend: str, tmp_path: Path
) -> None:
    """What the image's label says to the engine, seen from inside by another program."""
    done = homeport("catalog", "show", "homeport", "--recipe")
    assert f'{_NO_NETWORK}: "true"' in done
    texts = {}
    for name, label in (("with", f"labels: {{{_NO_NETWORK}: 'true'}}"), ("without", "labels: {}")):
        # It ends with 41 if there is one interface, the loopback, else with 42.
        (tmp_path / f"{name}.yaml").write_text(
            f"homeport: 1\nname: {name}\nextends: busybox\nconfig:\n  {label}\n"
            "  entrypoint: [/bin/sh, -c, 'grep : /proc/net/dev | grep -vq lo: && exit 42; exit 41']"
        )
        image = f"{frontend.rpartition('/')[0]}/{name}:1"
        homeport("build", str(tmp_path / f"{name}.yaml"), "--no-attest", "--platform", "native",
                 "--as-of", "2026-10-30", "--push", f"docker://{image}")  # fmt: skip
        project = tmp_path / name
        project.mkdir()
        (project / "homeport.yaml").write_text(f"# syntax={image}\n")
        texts[name] = solve(engine, project, code=1)
    assert "exit code: 41" in texts["with"]
    # This engine has no bridge, which a frontend without the label would get.
    assert "network bridge not found" in texts["without"]
