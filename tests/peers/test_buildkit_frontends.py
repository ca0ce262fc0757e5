"""Files built by a frontend of our own (examples/gateway-frontend) on real engines."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.registry import Running, docker_registry
from builders.runtime import runtime
from homeport.app import Settings, open_app
from homeport.building.request import BuildRequest
from homeport.images.address import LayoutAddress
from homeport.images.image import Image
from homeport.images.platforms import platforms_of
from homeport.images.transports.oci_layout import OciLayout
from peers import buildkit_engines
from peers.buildkit_engines import RunningEngine

pytestmark = [
    pytest.mark.peer("dockerd", "docker-registry", "busybox"),
    pytest.mark.root,
    pytest.mark.network,
]
any_engine = buildkit_engines.any_engine
EXAMPLE = Path(__file__).parents[2] / "examples/gateway-frontend"

STEPS = """\
# syntax={frontend}
[hello]
copy greeting /greeting
copy more:extra /extra
write /name Hello, $NAME on $TARGETARCH
[secret]
copy busybox /bin/busybox
secret token
run busybox cp /run/secrets/token /told
[last]
write /last the last variant is the default
"""


@pytest.fixture(scope="module")
def frontend(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's layout, built by Homeport from signed packages."""
    folder = tmp_path_factory.mktemp("frontend")
    shutil.copytree(EXAMPLE, folder / "recipe")
    with open_app(Settings.load(None, cache_dir=folder / "cache")) as app:
        app.build(
            BuildRequest(
                recipe=str(folder / "recipe"),
                outputs=(LayoutAddress(path=folder / "layout"),),
                locked=True,
            )
        )
    return folder / "layout"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, frontend: Path) -> Iterator[Running]:
    """A registry that holds the frontend."""
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        homeport("push", f"oci:{frontend}", f"docker://{running.host}/frontend:1")
        yield running


@pytest.fixture
def project(tmp_path: Path, registry: Running) -> Path:
    """A project as Blubber's are: the build's file below .pipeline, its first line the frontend."""
    (tmp_path / "p/.pipeline").mkdir(parents=True)
    (tmp_path / "p/greeting").write_text("hi\n")
    (tmp_path / "more").mkdir()
    (tmp_path / "more/extra").write_text("extra\n")
    shutil.copy(str(shutil.which("busybox")), tmp_path / "p/busybox")
    steps = STEPS.format(frontend=f"{registry.host}/frontend:1")
    (tmp_path / "p/.pipeline/build.txt").write_text(steps)
    return tmp_path / "p"


def homeport(*arguments: str, code: int = 0) -> str:
    """The command line, as a user starts it; what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "homeport", *arguments],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def solve(engine: RunningEngine, project: Path, *arguments: str, code: int = 0) -> str:
    return homeport(
        "solve", str(project), "-f", ".pipeline/build.txt", "--engine", engine.address,
        "--progress", "plain", *arguments, code=code,
    )  # fmt: skip


def files(archive: Path) -> dict[str, str]:
    with tarfile.open(archive) as opened:
        found = {}
        for member in opened:
            if member.isfile() and member.name != "bin/busybox":
                stream = opened.extractfile(member)
                assert stream is not None
                found[member.name] = stream.read().decode()
        return found


def test_the_frontend_that_the_first_line_names_builds_the_variant(
    any_engine: RunningEngine, project: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.tar"
    solve(
        any_engine, project, "--target", "hello", "--build-arg", "NAME=you",
        "--build-context", f"more={project.parent / 'more'}", "-o", f"tar:{out}",
    )  # fmt: skip
    found = files(out)
    assert (found["greeting"], found["extra"]) == ("hi\n", "extra\n")
    assert found["name"].startswith("Hello, you on ")
    solve(any_engine, project, "-o", f"tar:{out}")
    assert list(files(out)) == ["last"]


def test_a_frontend_may_be_an_image_of_this_machine(
    any_engine: RunningEngine, project: Path, frontend: Path, tmp_path: Path
) -> None:
    file = project / ".pipeline/build.txt"
    file.write_text(STEPS.format(frontend="127.0.0.1:1/nobody-serves:this"))
    out = tmp_path / "out.tar"
    solve(any_engine, project, "--syntax", f"oci:{frontend}", "-o", f"tar:{out}")
    assert list(files(out)) == ["last"]


def test_a_secret_reaches_the_steps_of_the_frontend(
    any_engine: RunningEngine, project: Path, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("open sesame")
    out = tmp_path / "out.tar"
    secret = f"id=token,src={tmp_path / 'token'}"
    solve(any_engine, project, "--target", "secret", "--secret", secret, "-o", f"tar:{out}")
    assert files(out)["told"] == "open sesame"


def test_every_platform_has_an_image_of_one_index(
    any_engine: RunningEngine, project: Path, tmp_path: Path
) -> None:
    platforms = ["linux/amd64", "linux/arm64", "linux/s390x"]
    layout = tmp_path / "layout"
    solve(
        any_engine, project, "--target", "last", "--platform", ",".join(platforms),
        "-o", f"oci:{layout}",
    )  # fmt: skip
    with OciLayout(LayoutAddress(path=layout)).open(runtime(tmp_path / "store")) as value:
        assert not isinstance(value, Image)
        assert sorted(map(str, platforms_of(value))) == platforms
        for child in value.children:
            image = child.open()
            if isinstance(image, Image) and (config := image.config()) is not None:
                assert json.loads(config.raw)["config"]["Labels"] == {"variant": "last"}


def test_what_the_frontend_refuses_and_what_a_policy_denies_is_one_error(
    any_engine: RunningEngine, project: Path, tmp_path: Path
) -> None:
    said = solve(any_engine, project, "--target", "absent", code=1)
    assert "Traceback" not in said
    assert "no variant 'absent'; it has hello, secret, last" in said
    policy = tmp_path / "policy.json"
    selector = {"identifier": "docker-image://*/frontend:*"}
    policy.write_text(json.dumps({"rules": [{"action": "DENY", "selector": selector}]}))
    said = solve(any_engine, project, "--source-policy", str(policy), code=1)
    refused = (
        "does not support source policies" if any_engine.version.startswith("20.") else "denied"
    )
    assert refused in said
