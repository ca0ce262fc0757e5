"""Together with skopeo, and by the commands that people type."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from builders.images import index
from builders.registry import Running, docker_registry, need
from builders.runtime import runtime
from homeport.cli.main import homeport
from homeport.errors import HomeportError
from homeport.images.address import LayoutAddress
from homeport.images.transports.oci_layout import OciLayout

pytestmark = pytest.mark.peer("docker-registry", "skopeo")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with docker_registry(tmp_path_factory.mktemp("other")) as running:
        yield running


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(homeport, [str(one) for one in arguments])


def ok(*arguments: str | Path) -> str:
    result = run(*arguments)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def refused(*arguments: str | Path) -> HomeportError:
    result = run(*arguments)
    assert isinstance(result.exception, HomeportError), result
    return result.exception


def skopeo(*arguments: str | Path) -> str:
    return subprocess.run(
        [need("skopeo"), *map(str, arguments)], check=True, capture_output=True, text=True
    ).stdout


def layout(folder: Path) -> str:
    value = index()
    OciLayout(LayoutAddress(path=folder, tag="1")).write(value, runtime())
    return str(value.digest)


def test_what_we_push_skopeo_pulls_with_the_same_digest(registry: Running, tmp_path: Path) -> None:
    digest = layout(tmp_path / "ours")
    assert digest in ok("push", f"oci:{tmp_path}/ours:1", f"{registry.host}/ours:1")
    skopeo(
        "copy", "--all", "--src-tls-verify=false", f"docker://{registry.host}/ours:1",
        f"oci:{tmp_path}/theirs:1",
    )  # fmt: skip
    raw = skopeo("inspect", "--raw", f"oci:{tmp_path}/theirs:1")
    assert "sha256:" + hashlib.sha256(raw.encode()).hexdigest() == digest


def test_what_skopeo_pushes_we_pull_with_the_same_digest(registry: Running, tmp_path: Path) -> None:
    digest = layout(tmp_path / "ours")
    skopeo(
        "copy", "--all", "--dest-tls-verify=false", f"oci:{tmp_path}/ours:1",
        f"docker://{registry.host}/theirs:1",
    )  # fmt: skip
    assert digest in ok("pull", f"{registry.host}/theirs:1", f"oci:{tmp_path}/back:1")
    names = {path.name for path in (tmp_path / "ours/blobs/sha256").iterdir()}
    assert {path.name for path in (tmp_path / "back/blobs/sha256").iterdir()} == names


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_archives_are_pushed_and_pulled(registry: Running, tmp_path: Path, kind: str) -> None:
    layout(tmp_path / "ours")
    name = f"{registry.host}/{kind}:1"
    archive = f"{kind}:{tmp_path}/a.tar" + (":copy:1" if kind == "docker-archive" else ":1")
    ok("push", f"oci:{tmp_path}/ours:1", name)
    ok("pull", name, archive, "--platform", "linux/arm64")
    pushed = ok("push", archive, f"{name}-back", "--format", "json")
    assert json.loads(pushed)["digest"] in ok("manifest", f"{name}-back", "--digest")
    skopeo("inspect", "--tls-verify=false", "--override-arch", "arm64", f"docker://{name}-back")


def test_the_commands_of_every_day(registry: Running, tmp_path: Path) -> None:
    digest = layout(tmp_path / "ours")
    name = f"{registry.host}/every/day"
    ok("push", f"oci:{tmp_path}/ours:1", f"{name}:1.0")
    again = run("push", f"oci:{tmp_path}/ours:1", f"{name}:1.0")
    assert "nothing to copy" in again.stderr
    assert "access granted anonymously" in ok("ping", registry.host)
    ok("retag", f"{name}:1.0", "1", "latest")
    assert set(ok("tags", name).split()) == {"1", "1.0", "latest"}
    assert ok("tags", name, "--match", "1.*").split() == ["1.0"]
    raw = ok("manifest", f"{name}:1")
    assert "sha256:" + hashlib.sha256(raw.encode()).hexdigest() == digest
    wrapped = json.loads(ok("manifest", f"{name}:1", "--format", "json"))
    assert wrapped["digest"] == digest
    assert wrapped["manifest"] == json.loads(raw)
    child = json.loads(raw)["manifests"][0]["digest"]
    config = json.loads(ok("manifest", f"{name}@{child}"))["config"]
    assert json.loads(ok("blob", f"{name}@{config['digest']}"))["os"] == "linux"
    assert refused("delete", f"{name}:latest").exit_code == 1
    assert refused("delete", name).exit_code == 2
    ok("delete", f"{name}@{digest}")
    assert ok("tags", name).split() == []


def test_a_mirror_brings_signatures_and_a_second_one_nothing(
    registry: Running, other: Running, tmp_path: Path
) -> None:
    digest = layout(tmp_path / "ours")
    name = f"{registry.host}/m/image"
    ok("push", f"oci:{tmp_path}/ours:1", f"{name}:1")
    ok("import", f"{name}:1", f"{registry.host}/m/signed:1")  # writes an artifact that refers to it
    cosign = f"sha256-{digest.removeprefix('sha256:')}.sig"
    ok("push", f"oci:{tmp_path}/ours:1", f"{registry.host}/m/signed:{cosign}")
    target = f"{other.host}/m/home"
    mirror = ("mirror", f"{registry.host}/m/signed:1", f"{target}:1", "--referrers")
    (planned,) = json.loads(ok(*mirror, "--dry-run", "--format", "json"))["images"]
    assert refused("tags", target).exit_code == 1, "a dry run writes nothing"
    # seven platforms with a config and a layer each, and what the import's artifact holds
    assert (planned["images"], planned["blobs"], planned["copied"]) == (7, 16, 16)
    ok(*mirror)
    assert set(ok("tags", target).split()) == {"1", cosign, cosign.removesuffix(".sig")}
    again = json.loads(
        ok(
            "mirror",
            f"{registry.host}/m/signed:1",
            f"{target}:1",
            "--referrers",
            "--format",
            "json",
        )
    )
    assert again["images"][0]["copied"] == again["images"][0]["manifests"] == 0
    assert ok("manifest", f"{target}:1", "--digest").strip() == digest


def test_a_mirror_of_many_tags_and_of_a_plan(
    registry: Running, other: Running, tmp_path: Path
) -> None:
    layout(tmp_path / "ours")
    name = f"{registry.host}/m/many"
    ok("push", f"oci:{tmp_path}/ours:1", f"{name}:1.0")
    ok("retag", f"{name}:1.0", "1.1", "2.0", "latest")
    ok("mirror", name, f"{other.host}/m/many", "--tags", "1.*")
    assert set(ok("tags", f"{other.host}/m/many").split()) == {"1.0", "1.1"}
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "schema: homeport-plan/v1\nmirror:\n"
        f"  - {{source: '{name}:2.0', destination: '{other.host}/m/plan:2.0'}}\n"
        f"  - {{source: '{name}:nope', destination: '{other.host}/m/plan:nope'}}\n"
    )
    result = run("mirror", "--file", plan)
    assert isinstance(result.exception, HomeportError)
    assert "1 of 2" in result.exception.what
    assert ok("tags", f"{other.host}/m/plan").split() == ["2.0"]


def test_an_import_is_pinned_and_a_second_one_copies_nothing(
    registry: Running, other: Running, tmp_path: Path
) -> None:
    digest = layout(tmp_path / "ours")
    ok("push", f"oci:{tmp_path}/ours:1", f"{registry.host}/up/stream:1")
    target = f"{other.host}/vendored:1"
    assert ok("import", f"{registry.host}/up/stream:1", target).strip() == (
        f"{other.host}/vendored@{digest}"
    )
    again = json.loads(ok("import", f"{registry.host}/up/stream:1", target, "--format", "json"))
    assert (again["copied"], again["upstream_digest"]) == (0, digest)
    listed = json.loads(ok("manifest", f"{other.host}/vendored:{digest.replace(':', '-')}"))
    assert listed["manifests"][0]["annotations"] == {
        "org.opencontainers.image.base.name": f"{registry.host}/up/stream:1",
        "org.opencontainers.image.base.digest": digest,
    }


def test_mistakes_are_named(registry: Running, tmp_path: Path) -> None:
    layout(tmp_path / "ours")
    ours = f"oci:{tmp_path}/ours:1"
    assert "names no registry" in refused("push", ours, "team/copy").what
    assert refused("push", ours, "oci:elsewhere").exit_code == 2
    assert refused("pull", f"{registry.host}/nope/nope:1", ours).exit_code == 1
    assert refused("push", ours, f"{registry.host}/X").where["column"] == len(registry.host) + 2
    ok("push", ours, f"{registry.host}/mistakes:1.0")
    error = refused("pull", f"{registry.host}/mistakes:1.1", f"oci:{tmp_path}/x")
    assert "1.0" in str(error.hint)
    ok("pull", f"{registry.host}/mistakes:1.0", f"oci:{tmp_path}/one:1", "--platform", "arm64")
    taken = refused(
        "push", f"oci:{tmp_path}/one:1", f"{registry.host}/mistakes:1.0", "--no-clobber"
    )
    assert taken.exit_code == 3
