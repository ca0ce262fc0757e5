"""Recipes of old suites, backports and Ubuntu: locked from the real archives, and run."""

from __future__ import annotations

from pathlib import Path

import pytest

from peers.engines import Podman
from peers.test_built_image import homeport
from peers.test_example_images import once

pytestmark = [pytest.mark.network, pytest.mark.root, pytest.mark.peer("podman", "runc")]

EXAMPLES = Path(__file__).parents[2] / "examples" / "archives"
SAID = {
    "bullseye": "11.11",
    "ubuntu": 'PRETTY_NAME="Ubuntu 24.04',
    "backports": "tmux 3.7",
}


@pytest.mark.parametrize("name", SAID)
def test_an_example_is_built_and_runs(name: str, podman: Podman, tmp_path: Path) -> None:
    (tmp_path / "homeport.yaml").write_text((EXAMPLES / f"{name}.yaml").read_text())
    homeport("build", ".", "--no-progress", "--no-attest", "-o", "oci:image", cwd=tmp_path)
    image = podman.run("pull", "--quiet", f"oci:{tmp_path}/image:latest").strip()
    assert podman.run_image(image).startswith(SAID[name])


_BOOKWORM = (
    "[{name: debian, suites: [bookworm, bookworm-updates]}, "
    "{name: debian-security, suites: [bookworm-security]}]"
)
_NOBLE = "[{name: ubuntu, suites: [noble, noble-updates, noble-security]}]"
_SUBMODULES = (
    "git init -q /tmp/r && cd /tmp/r && echo a > f && git add f && git -c user.name=a "
    "-c user.email=a@example commit -qm a && git clone -q file:///tmp/r /tmp/c && "
    "git submodule status && git -c 'alias.x=!echo fine' x"
)
#: Name → archives, package, program, what is run inside, what it prints.
_DRAFTS = {
    "bookworm-git": (_BOOKWORM, "git", "/usr/bin/git", ["/bin/sh", "-c", _SUBMODULES], "fine\n"),
    "bookworm-redis": (
        _BOOKWORM, "redis-server", "/usr/bin/redis-server",
        ["/usr/bin/redis-server", "--version"], "Redis server v=7.0",
    ),
    "ubuntu-git": (_NOBLE, "git", "/usr/bin/git", ["/bin/sh", "-c", _SUBMODULES], "fine\n"),
    "ubuntu-nginx": (
        _NOBLE, "nginx", "/usr/sbin/nginx", ["/usr/sbin/nginx", "-t"], "test is successful",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _DRAFTS)
def test_what_programs_start_comes_with_them_in_other_releases(
    name: str, podman: Podman, tmp_path: Path
) -> None:
    """Debian 12 ships its Essential programs below /bin, and Ubuntu 24.04 has others' versions."""
    archives, package, program, command, said = _DRAFTS[name]
    (tmp_path / "homeport.yaml").write_text(
        f"homeport: 1\nname: {name}\nsummary: A draft\nplatforms: [linux/amd64]\n"
        f"archives: {archives}\npackages: [{package}]\nconfig: {{entrypoint: [{program}]}}\n"
    )
    homeport("build", ".", "--no-progress", "--no-attest", "-o", "oci:image", cwd=tmp_path)
    image = podman.run("pull", "--quiet", f"oci:{tmp_path}/image:latest").strip()
    entry, *arguments = command
    ended = once(podman, f"--entrypoint={entry}", image, *arguments)
    assert ended.returncode == 0, ended.stdout
    assert "not found" not in ended.stdout
    assert said in ended.stdout


def test_every_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == set(SAID)
