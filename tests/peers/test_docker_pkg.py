"""Trees of docker-pkg built and published: a real engine, a real registry, and docker-pkg beside.

The engine is Debian's dockerd 28.5 with the containerd store; images run nothing, so that
every platform is built on this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.registry import Running, docker_registry
from peers.buildkit_engines import RunningEngine, missing, running_in_chroot

pytestmark = [
    pytest.mark.peer("dockerd", "docker-registry", "skopeo"),
    pytest.mark.root,
    pytest.mark.network,
]
EXAMPLE = Path(__file__).parents[2] / "examples/production-images"
SEVEN = [
    "linux/386", "linux/amd64", "linux/arm/v7", "linux/arm64", "linux/ppc64le", "linux/riscv64",
    "linux/s390x",
]  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_in_chroot("sid", containerd_store=True) as running:
        yield running


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Running]:
    with docker_registry(tmp_path / "registry") as running:
        yield running


def homeport(*arguments: str, code: int = 0) -> str:
    return run("docker-pkg", *arguments, code=code)


def run(*arguments: str, code: int = 0) -> str:
    """The command as a user starts it; its standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "homeport", *arguments], capture_output=True, text=True,
        check=False, timeout=300, env={**os.environ, "COSIGN_PASSWORD": "of the tests"},
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def build(engine: RunningEngine, tree: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Outcome of every image, by name."""
    text = homeport(
        "build", str(tree / "images"), "-c", str(tree / "config.yaml"), "--publish",
        "--engine", engine.address, "--format", "json", *arguments, code=code,
    )  # fmt: skip
    return {each["name"]: each for each in json.loads(text)["images"]}


def platforms(reference: str) -> list[str]:
    """What skopeo sees in a registry."""
    raw = subprocess.run(
        ["skopeo", "inspect", "--tls-verify=false", "--raw", f"docker://{reference}"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    listed = [each["platform"] for each in json.loads(raw)["manifests"]]
    found = (
        "/".join(filter(None, (each["os"], each["architecture"], each.get("variant"))))
        for each in listed
    )
    return sorted(each for each in found if "unknown" not in each)


def with_registry(tree: Path, host: str, source: Path = EXAMPLE) -> Path:
    shutil.copytree(source, tree)
    config = tree / "config.yaml"
    config.write_text(config.read_text().replace("registry.example", host))
    return tree


def test_the_example_is_published_for_seven_platforms_and_then_nothing_is_left_to_do(
    engine: RunningEngine, registry: Running, tmp_path: Path
) -> None:
    tree = with_registry(tmp_path / "tree", registry.host)
    done = build(engine, tree)
    assert {name: each["outcome"] for name, each in done.items()} == dict.fromkeys(
        ("busybox", "dockerfile-copy", "greeter", "greeter-debug"), "published"
    )
    assert done["greeter"]["tested"]
    for name, tag in (("dockerfile-copy", "0.1.1-1"), ("greeter", "1.0"), ("greeter", "latest")):
        assert platforms(f"{registry.host}/production/{name}:{tag}") == SEVEN
    lock = json.loads((tree / "docker-pkg.lock.json").read_text())
    assert lock["images"]["greeter"]["digest"] == done["greeter"]["digest"]
    again = build(engine, tree)
    assert {each["outcome"] for each in again.values()} == {"unchanged"}
    (tree / "docker-pkg.lock.json").unlink()
    labelled = build(engine, tree)
    assert labelled["greeter"]["outcome"] == "unchanged"
    (tree / "images/greeter/greet.sh").write_text('echo "Hello, reader"\n')
    changed = build(engine, tree)
    assert {name: each["outcome"] for name, each in changed.items()} == {
        "busybox": "unchanged", "dockerfile-copy": "unchanged", "greeter": "published",
        "greeter-debug": "published",
    }  # fmt: skip


def test_with_a_key_each_image_is_signed_and_has_the_engines_provenance(
    engine: RunningEngine, registry: Running, tmp_path: Path
) -> None:
    tree = with_registry(tmp_path / "tree", registry.host)
    key = tmp_path / "cosign"
    run("key", "generate", "-o", str(key))
    options = ("--key", f"{key}.key", "--platform", "linux/amd64,linux/arm64")
    done = build(engine, tree, *options)
    for name, each in done.items():
        run("verify", "--key", f"{key}.pub", f"{registry.host}/production/{name}@{each['digest']}")
    raw = json.loads(run("manifest", f"{registry.host}/production/greeter:1.0"))
    about = [
        each.get("annotations", {}).get("vnd.docker.reference.type") for each in raw["manifests"]
    ]
    assert sorted(filter(None, about)) == ["attestation-manifest"] * 2
    assert platforms(f"{registry.host}/production/greeter:1.0") == ["linux/amd64", "linux/arm64"]
    stranger = tmp_path / "stranger"
    run("key", "generate", "-o", str(stranger))
    run(
        "verify", "--key", f"{stranger}.pub", f"{registry.host}/production/greeter:1.0", code=3
    )  # fmt: skip
    assert {each["outcome"] for each in build(engine, tree, *options).values()} == {"unchanged"}


def test_a_registry_with_a_login_is_asked_and_written_with_the_trees_login(
    engine: RunningEngine, tmp_path: Path
) -> None:
    with docker_registry(tmp_path / "registry", htpasswd={"builder": "of the tests"}) as running:
        tree = with_registry(tmp_path / "tree", running.host)
        options = ("--platform", "linux/amd64", "--select", "*busybox*")
        refused = homeport(
            "build", str(tree / "images"), "-c", str(tree / "config.yaml"), "--publish",
            "--engine", engine.address, "--format", "json", *options, code=1,
        )  # fmt: skip
        assert "of the tests" not in refused
        config = tree / "config.yaml"
        config.write_text(config.read_text() + "username: builder\npassword: of the tests\n")
        assert build(engine, tree, *options)["busybox"]["outcome"] == "published"
        again = build(engine, tree, *options)
    assert again["busybox"]["outcome"] == "unchanged"
    lock = (tree / "docker-pkg.lock.json").read_text()
    assert "of the tests" not in lock


def test_what_fails_stops_only_what_needs_it_and_the_next_run_goes_on(
    engine: RunningEngine, registry: Running, tmp_path: Path
) -> None:
    tree = with_registry(tmp_path / "tree", registry.host)
    test = tree / "images/greeter/test.sh"
    good = test.read_text()
    test.write_text("#!/bin/sh\necho no greeting; exit 1\n")
    done = build(engine, tree, code=1)
    assert {name: each["outcome"] for name, each in done.items()} == {
        "busybox": "published", "dockerfile-copy": "published", "greeter": "failed",
        "greeter-debug": "skipped",
    }  # fmt: skip
    assert "no greeting" in done["greeter"]["why"]
    assert done["greeter-debug"]["why"] == "needs greeter"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://{registry.host}/v2/production/greeter/tags/list")
    test.write_text(good)
    again = build(engine, tree)
    assert again["greeter"]["outcome"] == again["greeter-debug"]["outcome"] == "published"


def test_old_tags_leave_the_docker_daemon(
    engine: RunningEngine, registry: Running, tmp_path: Path
) -> None:
    tree = with_registry(tmp_path / "tree", registry.host)
    name = f"{registry.host}/production/greeter"
    environment = {**os.environ, "DOCKER_HOST": engine.address}
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    tags = [tag for old in ("0.8", "0.9", "1.0", "latest") for tag in ("-t", f"{name}:{old}")]
    subprocess.run(
        [sys.executable, "-m", "homeport", "solve", str(tmp_path), "--engine", engine.address,
         "-o", f"docker-archive:{tmp_path}/a.tar:{name}:0.8"], check=True,
    )  # fmt: skip
    docker = ["docker", "-H", engine.address]
    subprocess.run([*docker, "load", "-qi", str(tmp_path / "a.tar")], check=True)
    for tag in tags[3::2]:
        subprocess.run([*docker, "tag", f"{name}:0.8", tag], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "homeport", "docker-pkg", "prune", str(tree / "images"),
         "-c", str(tree / "config.yaml"), "--format", "json"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["removed"] == [f"{name}:0.8", f"{name}:0.9"]
    left = subprocess.run(
        [*docker, "images", "--format", "{{.Tag}}", name],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert sorted(left) == ["1.0", "latest"]


def tree_of(folder: Path, host: str, count: int) -> Path:
    """A generated tree: image 0 is scratch, each other one is built on one of those before it."""
    folder.mkdir()
    (folder / "config.yaml").write_text(
        f"registry: {host}\nplatforms: [linux/amd64, linux/arm64, linux/s390x]\n"
    )
    for number in range(count):
        image = folder / "images" / f"i{number:02}"
        image.mkdir(parents=True)
        parent = f"i{number // 3:02}"
        base = "scratch" if number == 0 else f'{{{{ "{parent}" | image_tag }}}}'
        (image / "Dockerfile.template").write_text(f"FROM {base}\nCOPY file /{number}\n")
        (image / "file").write_text(f"{number}\n")
        (image / "changelog").write_text(f"i{number:02} (1.{number}) x; urgency=low\n")
        if number:
            (image / "control").write_text(f"Depends: {parent}\n")
    return folder


def test_sixty_images_on_three_platforms_are_published_in_order(
    engine: RunningEngine, registry: Running, tmp_path: Path
) -> None:
    tree = tree_of(tmp_path / "tree", registry.host, 60)
    done = build(engine, tree)
    assert [each["outcome"] for each in done.values()] == ["published"] * 60
    order = list(done)
    assert all(order.index(f"i{n // 3:02}") < order.index(f"i{n:02}") for n in range(1, 60))
    for name in ("i00", "i59"):
        three = ["linux/amd64", "linux/arm64", "linux/s390x"]
        assert platforms(f"{registry.host}/{name}:latest") == three


def test_two_runs_at_once_publish_once(
    engine: RunningEngine, registry: Running, tmp_path: Path
) -> None:
    tree = tree_of(tmp_path / "tree", registry.host, 3)
    command = [
        sys.executable, "-m", "homeport", "docker-pkg", "build", str(tree / "images"),
        "-c", str(tree / "config.yaml"), "--publish", "--engine", engine.address,
        "--format", "json",
    ]  # fmt: skip
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    outcomes = [
        [each["outcome"] for each in json.loads(run.communicate(timeout=200)[0])["images"]]
        for run in runs
    ]
    assert sorted(outcomes) == [["published"] * 3, ["unchanged"] * 3]


#: Scans, renders and orders a tree by docker-pkg's own code, without a daemon or a registry.
DOCKER_PKG = """
import json, sys, unittest.mock
from docker_pkg import builder, cli, dockerfile
with unittest.mock.patch("docker.from_env"), unittest.mock.patch(
    "docker_pkg.drivers.DockerDriver.exists", return_value=False
):
    config = cli.read_config(sys.argv[2])
    found = builder.DockerBuilder(sys.argv[1], config, None, True, False)
    found.scan()
    dockerfile.TemplateEngine.setup(config, found.known_images)
    chain = found.build_chain
    print(json.dumps([[each.label, each.image.render_dockerfile()] for each in chain]))
"""

TEMPLATES = {
    "base": ("2.1-1-20261101", "", "FROM scratch\nCOPY x /\n"),
    "python3": (
        "3.13.5-s2", "Depends: base\n",
        'FROM {{ "base" | image_tag }}\n{% set pkgs|replace("\\n", " ") -%}\npython3\npip\n'
        "{%- endset -%}\nRUN {{ pkgs | apt_install }}\nUSER {{ \"nobody\" | uid }}\n",
    ),
    "web": (
        "1.0", "Build-Depends: python3\nDepends: base,\n python3",
        'FROM {{ "python3" | image_tag }}\nRUN {{ "www-data" | add_user }}\n'
        'ENV V={{ "base" | image_tag | upstream_version }}\nRUN {{ "pip" | apt_remove }}\n',
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "configuration",
    [
        "registry: r.example\nnamespace: n\n",
        "registry: r.example\nknown_uid_mappings: {nobody: 1, www-data: 2}\n",
    ],
)
def test_names_order_and_dockerfiles_are_those_of_docker_pkg(
    tmp_path: Path, configuration: str
) -> None:
    python = os.environ.get("HOMEPORT_DOCKER_PKG")
    if not python:
        missing("HOMEPORT_DOCKER_PKG names no Python with docker-pkg")
    for name, (version, control, template) in TEMPLATES.items():
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True)
        entry = f"{name} ({version}) x; urgency=low\n\n  * x\n\n"
        signature = " -- A <a@b.c>  Sat, 28 Nov 2026 12:00:00 +0000\n"
        (folder / "changelog").write_text(entry + signature)
        (folder / "Dockerfile.template").write_text(template)
        if control:
            (folder / "control").write_text(control)
    (tmp_path / "config.yaml").write_text(configuration)
    arguments = [str(tmp_path / "images"), str(tmp_path / "config.yaml")]
    theirs = subprocess.run(
        [str(python), "-c", DOCKER_PKG, *arguments], capture_output=True, text=True, check=True,
        env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)},
    ).stdout  # fmt: skip
    listed = homeport("list", arguments[0], "-c", arguments[1], "--no-pull", "--format", "json")
    ours = []
    for image in json.loads(listed)["images"]:
        text = homeport("list", arguments[0], "-c", arguments[1], "--dockerfile", image["name"])
        ours.append([image["reference"], words(text)])
    assert ours == [[label, words(text)] for label, text in json.loads(theirs)]


def words(dockerfile: str) -> list[str]:
    """Instructions without their line breaks, in which docker-pkg's text differs."""
    return dockerfile.replace("\\\n", " ").split()
