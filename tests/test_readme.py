"""What the README promises, as a new user runs it: the real archive, an empty cache and home."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from homeport.quantities import human_size

README = Path(__file__).parents[1] / "README.md"
GUIDE = README.parent / "docs/guide.md"
SEVEN = {
    "linux/386", "linux/amd64", "linux/arm/v7", "linux/arm64", "linux/ppc64le", "linux/riscv64",
    "linux/s390x",
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def homeport(home: Path, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run the command in an empty folder with an empty home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOMEPORT_")}
    env: Mapping[str, str] = {**kept, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    command = [sys.executable, "-m", "homeport", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, **more)


@pytest.mark.network
def test_the_main_command_builds_seven_platforms_of_at_most_6_mb(
    home: Path, tmp_path: Path
) -> None:
    done = homeport(home, "build", "dockerfile-copy", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)

    assert {each["platform"] for each in document["platforms"]} == SEVEN
    assert all(sum(layer["size"] for layer in each["layers"]) <= 6_000_000
               for each in document["platforms"])  # fmt: skip
    assert all(each["warnings"] == [] for each in document["platforms"])
    assert document["relocked"] is None  # the lockfile that ships was enough
    assert _shown(document) == _printed()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dockerfile-copy.oci"]
    layout = json.loads((tmp_path / "dockerfile-copy.oci/index.json").read_text())
    (entry,) = layout["manifests"]
    assert entry["digest"] == document["digest"]
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": "latest"}


def _printed() -> tuple[dict[str, list[str]], str]:
    """What the README says that the build prints: by platform, without times; the digest."""
    text = README.read_text()
    rows = re.findall(r"^(linux/\S+) +sha256:([0-9a-f]{12}) +(.*?)  [0-9.]+ s$", text, re.MULTILINE)
    (whole,) = re.findall(r"^oci:dockerfile-copy\.oci:latest  (sha256:[0-9a-f]{64})$", text, re.M)
    return {platform: [digest, *re.split(" {2,}", rest)] for platform, digest, rest in rows}, whole


def _shown(document: dict[str, Any]) -> tuple[dict[str, list[str]], str]:
    rows = {}
    for each in document["platforms"]:
        sizes = [
            human_size(sum(layer[key] for layer in each["layers"])) for key in ("size", "raw_size")
        ]
        rows[each["platform"]] = [
            each["digest"][7:19], str(len(each["layers"])), *sizes, str(len(each["packages"])),
        ]  # fmt: skip
    return rows, document["digest"]


@pytest.mark.network
def test_it_is_the_same_again_from_downloads_alone(home: Path, tmp_path: Path) -> None:
    options = ("--locked", "--check", "--platform", "native")
    done = homeport(home, "build", "dockerfile-copy", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.network
def test_the_readmes_own_recipe_builds(home: Path, tmp_path: Path) -> None:
    text = README.read_text()
    recipe = re.search(r"```yaml\n# homeport\.yaml\n(.*?)```", text, re.DOTALL)
    assert recipe is not None
    (tmp_path / "homeport.yaml").write_text(recipe[1])
    (tmp_path / "motd").write_text("hello\n")
    checked = homeport(home, "recipe", "check", "./homeport.yaml", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr

    done = homeport(home, "lock", "./homeport.yaml", cwd=tmp_path)
    if done.returncode == 1 and "--as-of" in done.stderr:
        # The mirror is in mid-sync: the refusal prints the command that works.
        again = re.search(r"homeport lock [^\n]*--as-of \S+", done.stderr)
        assert again is not None, done.stderr
        done = homeport(home, *again[0].split()[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr

    done = homeport(home, "build", "./homeport.yaml", "-o", "oci-archive:tools.tar", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "tools.tar").stat().st_size > 500_000


@pytest.mark.network
def test_the_guides_five_lines_of_python_build_the_image(home: Path, tmp_path: Path) -> None:
    code = re.search(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert code is not None
    env = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code[1]],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sha256:")
    assert (tmp_path / "dockerfile-copy.oci/index.json").is_file()


def test_every_command_of_the_readme_exists() -> None:
    from homeport.cli.main import COMMANDS

    used = set(re.findall(r"homeport ([\w-]+)", README.read_text()))
    assert {word for word in used if word.islower()} <= set(COMMANDS)


_FILES = {
    "Dockerfile": "# syntax=docker/dockerfile:1\nFROM node:18-alpine AS build\nCOPY . .\n"
    "RUN npm ci\nFROM nginx\nCOPY --from=build /app/dist /usr/share/nginx/html\n",
    "compose.yaml": "services:\n  db:\n    image: postgres:16\n",
    ".github/workflows/build.yml": "on: push\njobs:\n  image:\n    runs-on: ubuntu-24.04\n"
    "    steps:\n      - uses: docker/setup-qemu-action@v3\n"
    "      - uses: docker/setup-buildx-action@v3\n      - uses: docker/build-push-action@v6\n"
    "        with: {platforms: 'linux/amd64,linux/arm64', push: true, sbom: true, tags: x}\n",
}


def test_the_audit_of_the_readme_is_what_it_prints(home: Path, tmp_path: Path) -> None:
    (tmp_path / ".github/workflows").mkdir(parents=True)
    for name, text in _FILES.items():
        (tmp_path / name).write_text(text)
    printed = homeport(home, "audit", ".", cwd=tmp_path).stdout.splitlines()
    block = re.search(r"\$ homeport audit \.\n(.*?)```", README.read_text(), re.DOTALL)
    assert block is not None
    assert block[1].splitlines() == printed


def test_links_of_the_readme_work_outside_of_the_repository() -> None:
    base = "https://github.com/homeport-project/homeport/blob/main/"
    raw = "https://raw.githubusercontent.com/homeport-project/homeport/main/"
    links = re.findall(r"\]\(([^)]+)\)", README.read_text())
    assert links
    for link in links:
        assert link.startswith("https://"), link
        if link.startswith(base):
            assert (README.parent / link.removeprefix(base).partition("#")[0]).exists(), link
        if link.startswith(raw):  # pictures: tools/make_recordings.py, tools/make_screenshots.py
            assert (README.parent / link.removeprefix(raw)).is_file(), link
    assert sum(link.startswith(raw) for link in links) >= 3  # a recording, two reports
