"""A repository against the machine that audits it: links, pipes and devices instead of files."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builders.http_server import serving
from homeport.app import Settings, open_app
from homeport.audit.auditing import AuditRequest, audit
from homeport.cli.main import run

SECRET = "FROM secret.example/x:1\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository beside a file that is none of its business."""
    (tmp_path / "outside").write_text(SECRET)
    root = tmp_path / "tree"
    root.mkdir()
    return root


def findings(root: Path, *paths: str) -> tuple[list[str], list[str]]:
    report = audit(AuditRequest(paths=paths, root=root)).report
    return [image.name for image in report.images], [f"{u.file}: {u.what}" for u in report.unread]


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "a.yaml", ".gitlab-ci.yml"])
def test_a_link_out_of_the_tree_is_not_followed(tree: Path, name: str) -> None:
    (tree / name).symlink_to(tree.parent / "outside")
    why = f"{name}: a symbolic link out of the audited directory; not followed"
    assert findings(tree, name) == ([], [why])
    assert findings(tree, ".") == ([], [])


def test_a_directory_that_is_a_link_out_of_the_tree_is_not_entered(tree: Path) -> None:
    (tree / "up").symlink_to(tree.parent)
    why = "a symbolic link out of the audited directory; not followed"
    assert findings(tree, "up") == ([], [f"up: {why}"])
    assert findings(tree, "up/outside") == ([], [f"up/outside: {why}"])


def test_a_link_inside_the_tree_is_followed_when_it_is_named(tree: Path) -> None:
    (tree / "real").write_text("FROM debian:13\n")
    (tree / "Dockerfile").symlink_to("real")
    assert findings(tree, "Dockerfile") == (["docker.io/library/debian:13"], [])


def test_a_place_outside_that_the_user_names_is_read(tree: Path) -> None:
    other = tree.parent / "other"
    other.mkdir()
    (other / "Dockerfile").write_text("FROM debian:13\n")
    assert findings(tree, "../other") == (["docker.io/library/debian:13"], [])


def test_pipes_devices_and_loops_are_named_and_not_waited_for(tree: Path) -> None:
    os.mkfifo(tree / "Dockerfile")
    (tree / "loop.yaml").symlink_to("loop.yaml")
    (tree / "zero.yaml").symlink_to("/dev/zero")
    images, unread = findings(tree, "Dockerfile", "loop.yaml", "zero.yaml")
    assert images == []
    assert unread == [
        "Dockerfile: not a regular file",
        "loop.yaml: Too many levels of symbolic links",
        "zero.yaml: a symbolic link out of the audited directory; not followed",
    ]
    assert findings(tree, ".") == ([], [])


def test_what_files_name_outside_the_tree_is_not_read(tree: Path) -> None:
    outside = tree.parent / "outside"
    (tree / "up").symlink_to(tree.parent)
    (tree / ".env").symlink_to(outside)
    (tree / "compose.yaml").write_text(
        "services:\n"
        f"  a: {{build: {{context: ., dockerfile: {outside}}}}}\n"
        "  b: {build: {context: up, dockerfile: outside}}\n"
        "  c: {build: {context: .., dockerfile: outside}}\n"
    )
    assert findings(tree, ".") == ([], [])


@pytest.fixture
def inner(monkeypatch: pytest.MonkeyPatch, tree: Path) -> str:
    """A name that leads to this machine, as one inside a network may."""
    resolve = socket.getaddrinfo

    def resolved(host: Any, *arguments: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return resolve("127.0.0.1" if name == "inner.example" else host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    monkeypatch.setenv("HOME", str(tree.parent))
    monkeypatch.delenv("HOMEPORT_TRUSTED_HOSTS", raising=False)
    return "inner.example"


def problem_of(tree: Path, registry: str, home: str = "") -> str:
    """What ``--online`` finds wrong with the one image of a Dockerfile."""
    (tree / "Dockerfile").write_text(f"FROM {registry}/admin/delete:1\n")
    with open_app(Settings(cache_dir=tree.parent / "cache")) as app:
        request = AuditRequest(paths=["."], root=tree, home=home)
        (image,) = app.audit(request, online=True).report.images
    assert image.lookup is not None
    return image.lookup.problem


@pytest.mark.parametrize(
    "host", ["inner.example", "[::ffff:127.0.0.1]", "0x7f.1", "10.255.255.1", "169.254.169.254"]
)
@pytest.mark.usefixtures("inner")
def test_online_lookups_reach_no_host_inside_the_network(tree: Path, host: str) -> None:
    with serving() as server:
        problem = problem_of(tree, f"{host}:{server.port}")
        assert "refused to connect" in problem
        assert re.search("a loopback address|a private address|cloud metadata", problem)
        assert server.requests == []


def test_online_lookups_reach_private_hosts_that_the_user_names(
    tree: Path, inner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as server:
        registry = f"{inner}:{server.port}"
        # The server speaks no TLS: that it was reached is told by another problem.
        assert "loopback" not in problem_of(tree, registry, home=f"{registry}/mirror")
        folder = tree.parent / ".docker/certs.d/quay.example"
        folder.mkdir(parents=True)
        (folder / "hosts.toml").write_text(f'server = "http://127.0.0.1:{server.port}"\n')
        problem_of(tree, "quay.example")
        assert any("/admin/delete/manifests/1" in request.path for request in server.requests)
        monkeypatch.setenv("HOMEPORT_TRUSTED_HOSTS", inner)
        assert "loopback" not in problem_of(tree, registry)


FORGED = "a\n::error::forged\r::error::\x1b[2J\x9b1m\u202e"


def test_values_of_files_forge_no_line_of_the_output(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tree)
    quoted = json.dumps(FORGED)
    (tree / "compose.yaml").write_text(
        f"services: {{{quoted}: {{image: {quoted}}}, b: {{image: 'x:1'}}}}\n"
    )
    (tree / ".gitlab-ci.yml").write_text(f"include: [{{project: {quoted}, ref: {quoted}}}]\n")
    (tree / f"{FORGED.replace('/', '')}.yaml").write_text("apiVersion: v1\nkind: [\n")
    (tree / "registries.conf").write_text(
        f"[[registry]]\nprefix = 'x'\n[[registry.mirror]]\nlocation = {quoted}\n"
    )
    for arguments in ([], ["--all"], ["--deny", "foreign"]):
        run(["audit", *arguments])
        output = "".join(capsys.readouterr())
        assert "forged" in output
        assert not [line for line in output.splitlines() if line.startswith("::")]
        assert not set(output) & set("\r\x1b\x9b\u202e")


def test_a_diff_forges_no_line_of_the_output(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tree)
    steering = "# \r::error::forged\x1b[2J \u2028::error::\x0c::error:: \u202e\n"
    (tree / "Dockerfile").write_text(f"{steering}FROM debian:13\n{steering}")
    assert run(["audit", "--home", "registry.example/m", "--plan", "../p.yaml", "."]) == 0
    capsys.readouterr()
    assert run(["audit", "--apply", "../p.yaml"]) == 0
    output = "".join(capsys.readouterr())
    assert "+FROM registry.example/m/docker.io/library/debian:13" in output
    assert not [line for line in output.splitlines() if line.startswith("::")]
    assert not set(output) & set("\r\x1b\u2028\x0c\u202e")


def test_a_path_of_a_plan_with_a_nul_is_an_error(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tree)
    (tree / "p.yaml").write_text(
        "schema: homeport-plan/v1\nmirror: []\n"
        f'files: [{{path: "a\\0b", sha256: {"0" * 64}}}]\n'
        'images: [{image: a/b:1, action: import, why: x, places: [{file: "a\\0b", line: 1, '
        "edit: {start: 0, end: 1, old: a, new: b}}]}]\n"
    )
    assert run(["audit", "--apply", "p.yaml"]) == 2
    assert "is not below the working directory" in capsys.readouterr().err


COMMAND = "docker run a/b:1\n"
FLOODS: dict[str, tuple[str, Callable[[int], str], str]] = {
    "commands": ("run.sh", lambda n: COMMAND * n, "docker run evil.example/x:1\n"),
    "images of a pod": (
        "pod.yaml",
        lambda n: "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n"
        + "".join(f"    - image: a/b:{i}\n" for i in range(n)),
        "    - image: evil.example/x:1\n",
    ),
    "documents": (
        "pods.yaml",
        lambda n: "---\n{}\n" * n,
        "---\napiVersion: v1\nkind: Pod\nspec: {containers: [{image: 'evil.example/x:1'}]}\n",
    ),
    "assignments": (
        "run.sh", lambda n: "IMAGE=a/b:1\n" * n, "IMAGE=evil.example/x:1\n",
    ),
    "nodes": (
        "pod.yaml",
        lambda n: "apiVersion: v1\nkind: Pod\nx: [" + "1," * n + "1]\nspec:\n  containers:\n",
        "    - image: evil.example/x:1\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_hides_no_image_silently(
    tree: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is beyond the bound is not read, and the report says so."""
    monkeypatch.chdir(tree)
    file, flood, image = FLOODS[name]
    Path(file).write_text(flood(1_000) + image)
    words = ["audit", "--all", ".", "--format", "json"]
    assert run(words) == 0
    assert "evil.example" in capsys.readouterr().out
    run([*words, "--limit", "steps=15000"])
    document = json.loads(capsys.readouterr().out)
    (unread,) = document["unread"]
    assert unread["file"] == file
    assert "more than 15,000 steps of work; the rest is not read" in unread["what"]
