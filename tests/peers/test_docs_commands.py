"""The README and the guides, followed by a reader: an installed wheel, an empty home and folder,
every command and file of the page in its order, against the real archive and a registry.

A command that cannot run here stands in ``NOT_RUN`` with the reason, and what shows it instead.
What the commands print is compared in suites of the pages: attest/test_prove_docs.py,
peers/test_compare.py, dockerpkg/test_docs.py, test_python_docs.py.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import site
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders import prove_page
from builders.audit import lay_out
from builders.compare_page import rows, two_platforms
from builders.deb import deb
from builders.locking import World
from builders.pages import Type, steps
from builders.recipe import recipe_file
from builders.registry import docker_registry
from builders.runtime import runtime
from builders.signed_images import workshop
from builders.sigstore_services import services
from builders.small_registry import small_registry
from homeport.images.address import LayoutAddress
from homeport.images.transports.oci_layout import OciLayout

pytestmark = [pytest.mark.network, pytest.mark.peer("docker-registry", "skopeo")]
ROOT = Path(__file__).parents[2]
_ENGINE = "needs a build engine: tests/peers/test_recipe_steps.py"
_FORGE = "needs a forge: tests/updating/test_update.py"
_PUBLIC = "asks public registries: tests/audit/test_home.py, tests/audit/online"
#: By page, the commands that are not run, and why.
NOT_RUN = {
    "README.md": {
        "uv tool install git+https://github.com/homeport-project/homeport": "the fixture installs",
        "pip wheel --no-deps . && pipx install ./homeport-0.2.0-py3-none-any.whl": "the fixture"
        " installs the wheel",
        "./dev deb . && sudo apt install ./homeport_0.2.0-1~deb13_amd64.deb": "tests/peers/"
        "test_deb.py",
        "./dev pex . && ./homeport-0.2.0-linux-amd64.pex": "tests/peers/test_pex.py",
        "./dev build dockerfile-copy": "from a checkout: .ci/run",
        "./dev test": "from a checkout: .ci/run",
    },
    "docs/guide.md": {
        "homeport build dockerfile-copy --load": "needs docker: tests/peers/test_images_engines.py",
        "mkdir root && tar -xzf dockerfile-copy.oci/blobs/sha256/… -C root": "a digest to fill in",
        "homeport build . --mirror file:///srv/mirror/debian": "the path of a mirror to fill in",
        "homeport build images/ --locked --push registry.example/team/{name}:1": "cli/"
        "test_build_several.py",
        "homeport lock . --update wait-for": _ENGINE,
        "homeport build . --no-cache": _ENGINE,
    },
    "docs/audit.md": {
        "homeport home registry.example/mirror --branch images-home": _PUBLIC,
        "homeport audit --online --home registry.example/mirror --plan plan.yaml .": _PUBLIC,
        "$EDITOR plan.yaml": "an editor",
        "homeport mirror --file plan.yaml": _PUBLIC,
    },
    "docs/fresh.md": {
        "HOMEPORT_FORGE_TOKEN=… homeport update images/ --request": _FORGE,
        "homeport outdated registry.example/mirror/tool:1": "a copy: freshness/test_fresh_docs.py",
    },
}
_OUTDATED = {0, 4}  # what the archive has today


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of a virtual environment that has the wheel; with ``--full`` as docs/guide.md
    installs it in CI, else beside the packages of the environment that runs the tests."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)])
    (wheel,) = folder.glob("homeport-*.whl")
    environment = folder / "venv"
    _run([sys.executable, "-m", "venv", "--without-pip", str(environment)])
    install = [*pip, "--python", str(environment / "bin/python"), "install"]
    if os.environ.get("HOMEPORT_FULL"):
        _run([*install, "--require-hashes", "-r", str(ROOT / "constraints.txt")])
    else:
        python = f"python{sys.version_info.major}.{sys.version_info.minor}"
        paths = {sysconfig.get_path("purelib"), *site.getsitepackages()}
        (environment / "lib" / python / "site-packages/beside.pth").write_text("\n".join(paths))
    _run([*install, "--no-deps", str(wheel)])
    where = _run(
        [str(environment / "bin/python"), "-c", "import homeport; print(homeport.__file__)"]
    )
    assert Path(where.strip()).is_relative_to(environment)
    return environment / "bin"


@pytest.fixture(scope="session")
def reader(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield Reader(installed, registry.host, tmp_path_factory.mktemp("home"))


class Reader:
    """Somebody who types what a page says. Pages share the home, and so the cache."""

    def __init__(self, programs: Path, host: str, home: Path) -> None:
        self._host = host
        (home / ".config/containers").mkdir(parents=True)
        (home / ".config/containers/registries.conf").write_text(
            f'[[registry]]\nlocation = "{host}"\ninsecure = true\n'
        )
        (home / ".gitconfig").write_text("[user]\nname = A\nemail = a@team.example\n")
        self._environment = {
            "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin", "HOME": str(home),
            "LANG": "C.UTF-8",
            **{name: value for name, value in os.environ.items() if name.endswith("_proxy")},
        }  # fmt: skip

    def types(self, line: str, folder: Path, codes: set[int]) -> str:
        """Run a command; what it prints. Its exit code must be one of ``codes``."""
        done = subprocess.run(
            ["bash", "-c", line.replace("registry.example", self._host)], cwd=folder,
            env=self._environment, capture_output=True, text=True, stdin=subprocess.DEVNULL,
            check=False,
        )  # fmt: skip
        printed = done.stdout + done.stderr
        if (
            done.returncode == 1
            and "--as-of" in printed
            and (hint := re.search(r"homeport lock [^\n]*--as-of \S+", printed))
        ):  # a mirror in mid-sync: the refusal prints the command that works
            self.types(hint[0], folder, {0})
            return self.types(line, folder, codes)
        assert done.returncode in codes, f"$ {line}\n{printed}"
        assert "Traceback" not in printed
        return printed

    def follows(
        self, page: str, folder: Path, before: dict[str, Callable[[], None]] | None = None
    ) -> dict[str, str]:
        """Do all that a page says; what each command printed.

        before: what has to be there before a command, that the page leaves to its reader
        """
        printed: dict[str, str] = {}
        left = dict(NOT_RUN[page])
        for step in steps(ROOT / page):
            if not isinstance(step, Type):
                (folder / step.name).parent.mkdir(parents=True, exist_ok=True)
                (folder / step.name).write_text(step.text)
            elif left.pop(step.line, None) is None:
                if before and (prepare := before.get(step.line)):
                    prepare()
                outdated = step.line.startswith("homeport outdated ")
                codes = _OUTDATED if outdated else {step.code}
                printed[step.line] = self.types(step.line, folder, codes)
        assert not left, f"{page} has no such command any more: {sorted(left)}"
        return printed


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme(reader: Reader, tmp_path: Path) -> None:
    for name, text in {
        "Dockerfile": "# syntax=docker/dockerfile:1\nFROM node:18-alpine\n",
        "compose.yaml": "services: {db: {image: 'postgres:16'}}\n",
    }.items():
        (tmp_path / name).write_text(text)

    def build() -> None:  # the page builds it with ./dev, from a checkout
        reader.types("homeport build dockerfile-copy --platform native", tmp_path, {0})

    printed = reader.follows(
        "README.md", tmp_path,
        {"skopeo copy --all oci:dockerfile-copy.oci:latest docker://registry.example/helpers/copy":
         build},
    )  # fmt: skip
    assert "postgres:16" in printed["homeport audit ."]
    built = printed["homeport build ./homeport.yaml -o oci-archive:tools.tar"]
    assert "warning:" not in built
    assert (tmp_path / "tools.tar").stat().st_size < 3_000_000


def test_the_guide(reader: Reader, tmp_path: Path) -> None:
    def tree() -> None:
        for name in ("rootfs/etc", "src/lib"):
            (tmp_path / name).mkdir(parents=True)
        (tmp_path / "rootfs/etc/passwd").write_text("app:x:100:100::/app:/bin/sh\n")
        (tmp_path / "rootfs/etc/group").write_text("app:x:100:\n")
        for name in ("src/main", "src/left.tmp", "src/lib/part"):
            (tmp_path / name).write_text(name)

    def archive() -> None:
        reader.types("tar --zstd -cf release.tar.zst src", tmp_path, {0})

    copying = (
        "homeport copy --root ./rootfs --context ./src --chown app --exclude '**/*.tmp' . /app/"
    )
    adding = "homeport copy --root ./rootfs --add release.tar.zst /opt/ --dry-run"
    printed = reader.follows("docs/guide.md", tmp_path, {copying: tree, adding: archive})
    assert (
        "next: homeport build"
        in printed["homeport init busybox-static --name tools --program /bin/busybox"]
    )
    assert "all digests agree" in printed["homeport build . --check"]
    found = sorted(path.name for path in (tmp_path / "rootfs/app").rglob("*"))
    assert found == ["lib", "main", "part"]


def test_the_audit(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / ".github/workflows").mkdir(parents=True)
    (tmp_path / ".github/workflows/ci.yml").write_text(
        "on: push\njobs:\n  build:\n    runs-on: ubuntu-24.04\n    container: debian:11\n"
        "    steps:\n      - uses: docker/setup-qemu-action@v3\n"
    )

    def plan() -> None:  # the page asks public registries for digests and ages, too
        reader.types(
            "homeport audit --home registry.example/mirror --plan plan.yaml .", tmp_path, {0}
        )

    printed = reader.follows("docs/audit.md", tmp_path, {"homeport audit --apply plan.yaml": plan})
    assert "debian:11" in printed["homeport audit"]
    assert "/mirror/" in (tmp_path / ".github/workflows/ci.yml").read_text()


_TOOL = """homeport: 1
name: tool
platforms: [linux/amd64, linux/arm64]
packages: [busybox-static]
config: {entrypoint: [/bin/busybox]}
tests:
  - {name: the program is there, file: /usr/bin/busybox}
"""
_BASE = "homeport: 1\nname: base\nplatforms: [linux/amd64]\npackages: [base-files]\n"
_APP = "homeport: 1\nname: app\nplatforms: [linux/amd64]\npackages: [busybox-static]\n"
_TRAVIS = """services: [docker]
script:
  - docker build -t team/app .
  - docker push team/app
"""
_WORKFLOW = """on: push
jobs:
  image:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
      - uses: docker/build-push-action@v6
        with: {push: true, tags: team/app}
"""


@pytest.mark.full  # freshness/test_fresh_docs.py runs each command of the page in every run
def test_keeping_fresh(reader: Reader, tmp_path: Path) -> None:
    for name, text in {
        "my/homeport.yaml": _TOOL, "images/base/homeport.yaml": _BASE,
        "images/app/homeport.yaml": _APP, ".travis.yml": _TRAVIS,
        ".github/workflows/docker.yml": _WORKFLOW, "Dockerfile": "FROM debian:13\n",
        "tracker.json": "{}", "structure.yaml": "schemaVersion: 2.0.0\nfileExistenceTests:\n"
        "  - {name: shell, path: /usr/bin/busybox, shouldExist: true}\n",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for line in (
        "git init -q . && git add -A && git commit -qm files",
        "homeport lock ./my", "homeport lock ./images/base", "homeport lock ./images/app",
        "homeport build ./my --push registry.example/team/tool:1.2 -o oci:tool.oci",
    ):  # fmt: skip
        reader.types(line, tmp_path, {0})

    publish = "homeport publish ./my/homeport.yaml registry.example/team/tool --version 1.2"

    def again() -> None:  # an image to go back from
        (tmp_path / "my/homeport.yaml").write_text(
            _TOOL.replace("config: {", "config: {user: '65532', ")
        )
        reader.types(publish, tmp_path, {0})

    rollback = "homeport rollback registry.example/team/tool"
    printed = reader.follows("docs/fresh.md", tmp_path, {rollback: again})
    assert re.search(r"team/tool:1\.2\.\d{10}\b", printed[publish])
    assert (tmp_path / "outdated.html").is_file()


def test_the_proof(reader: Reader, tmp_path: Path) -> None:
    with workshop(tmp_path) as shop, small_registry() as home, services(tmp_path) as sigstore:
        prove_page.prepare(shop, home.host)
        secrets = f"COSIGN_PASSWORD=secret SIGSTORE_ID_TOKEN={shlex.quote(sigstore.token())}"
        for line, code in prove_page.commands():
            typed = line.replace("registry.example", home.host)
            typed = typed.replace("upstream.example", shop.registry.host)
            reader.types(f"export {secrets}; {typed}", tmp_path, {code})
        assert ("m/fake", "1") not in home.tags
        assert (tmp_path / "built.bundle").is_file()


def test_the_comparison(reader: Reader, tmp_path: Path) -> None:
    OciLayout(LayoutAddress(path=tmp_path / "first.oci", tag="1")).write(two_platforms(), runtime())
    for tag in ("0", "1"):
        reader.types(
            f"homeport push oci:first.oci:1 registry.example/team/app:{tag}", tmp_path, {0}
        )
    for tool in ("skopeo", "crane", "dive"):
        typed = [ours for _, _, ours in rows(tool) if " -i " not in ours]  # -i: tests/explorer
        assert len(rows(tool)) == 10
        for line in typed:
            reader.types(line, tmp_path, {0})


def test_trees_of_docker_pkg(reader: Reader, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples/production-images", tmp_path / "tree")
    page = (ROOT / "docs/docker-pkg.md").read_text()
    lines = re.findall(r"^    \$ (homeport docker-pkg .*)$", page, re.MULTILINE)
    without_engine = [line for line in lines if not line.startswith("homeport docker-pkg build")]
    assert len(without_engine) > 4
    for line in without_engine:  # an engine's: tests/peers/test_docker_pkg.py
        printed = reader.types(line, tmp_path / "tree", {0})
        assert "greeter" in printed or "0 findings" in printed


_PYTHON_RECIPE = """
archives: [{{name: test, suites: [trixie], mirrors: ["{url}"], keys: [key.asc]}}]
steps: {{os_release: false}}
platforms: [linux/amd64]
packages: [app]
"""


def test_the_programs_in_python(reader: Reader, tmp_path: Path) -> None:
    work = tmp_path / "work"
    world = World(tmp_path / "world", [deb("app", files={"usr/bin/app": b"x"})], valid_for=None)
    recipe_file(work / "recipe", _PYTHON_RECIPE.format(url=world.archive.url))
    (work / "recipe/key.asc").write_bytes(world.archive.certificate)
    lay_out({"tree/Dockerfile": "FROM debian:13\n"}, work)
    page = (ROOT / "docs/python.md").read_text()
    found = re.findall(r"^### ([^\n]+)\n\n```python\n(.*?)```", page, re.M | re.S)
    with small_registry() as registry:
        for name, text in found:
            if name == "Build on a BuildKit engine":  # tests/peers/test_python_solve.py
                continue
            (work / "program.py").write_text(text.replace("registry.example", registry.host))
            assert reader.types("python program.py", work, {0}), name
