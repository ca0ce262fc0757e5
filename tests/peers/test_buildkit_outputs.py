"""Where results go, and what happens when there is no room for them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.buildkit.engine import describe
from homeport.buildkit.protocol.errors import EngineTooOld
from homeport.cli.solve import command as solve
from homeport.errors import UsageError
from peers import buildkit_engines
from peers.buildkit_engines import RunningEngine, running_dockerd
from peers.test_buildkit_solve import until

pytestmark = [pytest.mark.peer("dockerd", "mount", "umount"), pytest.mark.root]
any_engine = buildkit_engines.any_engine


@pytest.fixture
def context(tmp_path: Path) -> Path:
    place = tmp_path / "context"
    place.mkdir()
    (place / "f").write_text("f\n")
    (place / "Dockerfile").write_text('FROM scratch\nCOPY f /f\nENTRYPOINT ["/f"]\n')
    return place


def build(engine: RunningEngine, context: Path, *more: str) -> None:
    arguments = [str(context), "--engine", engine.address, "--progress", "quiet", *more]
    solve.main(arguments, standalone_mode=False)


def test_a_docker_archive_is_what_docker_load_reads(
    any_engine: RunningEngine, context: Path, tmp_path: Path
) -> None:
    file = tmp_path / "image.tar"
    build(any_engine, context, "-o", f"docker-archive:{file}:made:1")
    with tarfile.open(file) as archive:
        listed = archive.extractfile("manifest.json")
        assert listed is not None
        [entry] = json.load(listed)
        config = archive.extractfile(entry["Config"])
        assert config is not None
        assert json.load(config)["config"]["Entrypoint"] == ["/f"]
    assert [name.rpartition("/")[2] for name in entry["RepoTags"]] == ["made:1"]


def test_an_engine_that_would_ignore_attestations_is_refused(context: Path, tmp_path: Path) -> None:
    with running_dockerd() as engine, pytest.raises(EngineTooOld, match="cannot attach attest"):
        build(engine, context, "--attest", "sbom", "-o", f"oci:{tmp_path}/out")


def test_load_puts_the_image_into_docker_under_its_name(
    context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_dockerd() as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.address)
        build(engine, context, "--load", "-t", "made:1")
        listed = subprocess.run(
            ["docker", "image", "inspect", "--format", "{{.Config.Entrypoint}}", "made:1"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert listed.stdout == "[/f]\n"


def test_layers_are_kept_or_no_squash_refuses_and_names_the_setting(
    any_engine: RunningEngine, context: Path, tmp_path: Path
) -> None:
    (context / "Dockerfile").write_text("FROM scratch\nCOPY f /f\nCOPY f /g\n")
    layout = tmp_path / "image"
    if not describe(any_engine.engine).has_oci_exporter:
        with pytest.raises(EngineTooOld, match="cannot export layers") as error:
            build(any_engine, context, "--no-squash", "-o", f"oci:{layout}:1")
        assert "containerd-snapshotter" in (error.value.hint or "")
        assert not layout.exists()
        return
    build(any_engine, context, "--no-squash", "-o", f"oci:{layout}:1")
    blobs = [path.read_bytes() for path in (layout / "blobs/sha256").iterdir()]
    [manifest] = [json.loads(blob) for blob in blobs if b'"layers":' in blob]
    assert len(manifest["layers"]) == 2


def test_an_engine_that_cannot_read_our_images_says_so(
    any_engine: RunningEngine, context: Path, tmp_path: Path
) -> None:
    layout = tmp_path / "image"
    build(any_engine, context, "-o", f"oci:{layout}:1")
    more = ("--build-context", f"base=oci:{layout}:1")
    if describe(any_engine.engine).has_oci_exporter:
        build(any_engine, context, *more)
        return
    with pytest.raises(EngineTooOld, match="cannot read local images"):
        build(any_engine, context, *more)


def test_a_password_is_not_sent_to_a_port_without_tls(context: Path) -> None:
    address = "tcp://127.0.0.1:1"
    with pytest.raises(UsageError, match="without TLS") as error:
        solve.main(
            [str(context), "--engine", address, "--engine-credentials"], standalone_mode=False
        )
    assert "certs" in (error.value.hint or "")


@contextlib.contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def outcome(engine: RunningEngine, context: Path, output: str) -> tuple[int, str]:
    """As a person would see it."""
    done = subprocess.run(
        [
            sys.executable, "-m", "homeport", "solve", str(context), "--engine", engine.address,
            "--progress", "quiet", "-o", output,
        ],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stderr.strip()


@pytest.mark.parametrize("form", ["dir:{}/out", "tar:{}/out.tar", "oci:{}/out"])
def test_a_full_disk_here_is_one_error_and_nothing_half_stays(
    any_engine: RunningEngine, context: Path, tmp_path: Path, form: str
) -> None:
    (context / "f").write_bytes(b"\xa5" * (3 << 20) if form[0] != "o" else random_bytes(3 << 20))
    with small_disk(tmp_path / "disk", "1m") as disk:
        code, said = outcome(any_engine, context, form.format(disk))
        assert code == 1
        assert [line for line in said.splitlines() if line.startswith("error: ")] != []
        assert "No space left on device" in said
        assert "Traceback" not in said
        whole = [
            path for path in disk.rglob("*") if path.is_file() and path.stat().st_size > 1 << 20
        ]
        assert whole == []
        assert not (disk / "out.tar").exists()
    assert outcome(any_engine, context, f"dir:{tmp_path}/out")[0] == 0  # the engine goes on


def random_bytes(count: int) -> bytes:
    """What no compression makes smaller, the same each time."""
    import random

    return random.Random(7).randbytes(count)


def test_a_full_disk_of_the_engine_is_one_error_and_it_goes_on(
    context: Path, tmp_path: Path
) -> None:
    with (
        small_disk(tmp_path / "data", "24m") as disk,
        running_dockerd("--data-root", str(disk)) as engine,
    ):
        (context / "f").write_bytes(bytes(64 << 20))
        code, said = outcome(engine, context, f"dir:{tmp_path}/out")
        assert code == 1
        assert "no space left on device" in said
        assert "Traceback" not in said
        (context / "f").write_bytes(b"small")
        # It frees the room of what failed in its own time.
        until(lambda: outcome(engine, context, f"dir:{tmp_path}/out")[0] == 0)
