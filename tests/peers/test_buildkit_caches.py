"""Build caches outside the engine: in a folder of ours, in a registry, inside the image."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.buildkit.async_bridge import run_async
from homeport.buildkit.engine import connected
from homeport.buildkit.protobuf import flag, message
from homeport.buildkit.protocol.control import CONTROL, Empty
from homeport.buildkit.protocol.errors import BuildFailed
from homeport.buildkit.session.cache_folder import CacheFolder
from homeport.cli.solve import command as solve
from homeport.errors import IntegrityError
from peers import buildkit_engines
from peers.buildkit_engines import ENGINES, RunningEngine

pytestmark = [pytest.mark.peer("dockerd", "busybox", "docker-registry"), pytest.mark.root]
loopback_registry = buildkit_engines.loopback_registry
dockerd_20 = buildkit_engines.dockerd_20


@pytest.fixture(
    scope="module", params=[n for n in ENGINES if n.endswith("containerd") or n == "buildkitd"]
)
def engine(request: pytest.FixtureRequest) -> Iterator[RunningEngine]:
    """Engines that can export caches: those with the containerd store, and buildkitd."""
    with ENGINES[request.param]() as running:
        yield running


@message
class PruneRequest:
    all: bool = flag(2)


def forget(engine: RunningEngine) -> None:
    """Let the engine drop what it built."""

    async def prune() -> None:
        async with connected(engine.engine) as connection:
            call = connection.calls.listen(
                CONTROL + "Prune", PruneRequest(all=True), Empty, doing="prune"
            )
            async for _ in call:
                pass

    run_async(prune())


def stamp(engine: RunningEngine, place: Path, *more: str) -> bytes:
    """What a step that runs left behind: another text each time that it really runs."""
    context, out = place / "context", place / "out"
    context.mkdir(exist_ok=True)
    busybox = shutil.which("busybox")
    assert busybox is not None
    shutil.copy(busybox, context / "busybox")
    (context / "Dockerfile").write_text(
        "FROM scratch\nCOPY busybox /busybox\n"
        'RUN ["/busybox", "cp", "/proc/sys/kernel/random/uuid", "/stamp"]\n'
    )
    solve.main(
        [
            str(context), "--engine", engine.address, "--progress", "quiet",
            "--opt", "force-network-mode=none", "-o", f"dir:{out}", *more,
        ],
        standalone_mode=False,
    )  # fmt: skip
    return (out / "stamp").read_bytes()


def test_a_folder_of_ours_keeps_the_cache_when_the_engine_forgot(
    engine: RunningEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "cache"
    first = stamp(
        engine, tmp_path, "--cache-from", f"type=local,src={folder}",
        "--cache-to", f"type=local,dest={folder},mode=max",
    )  # fmt: skip
    assert "no build cache in" in capsys.readouterr().err
    forget(engine)
    assert stamp(engine, tmp_path, "--cache-from", f"type=local,src={folder}") == first
    forget(engine)
    assert stamp(engine, tmp_path) != first


def test_a_registry_keeps_the_cache(
    engine: RunningEngine, tmp_path: Path, loopback_registry: str
) -> None:
    name = f"{loopback_registry}/{engine.version[:2]}/cache"
    first = stamp(engine, tmp_path, "--cache-to", f"type=registry,ref={name},mode=max")
    forget(engine)
    assert stamp(engine, tmp_path, "--cache-from", name) == first


def test_an_image_that_we_push_keeps_the_cache_that_is_inside(
    engine: RunningEngine, tmp_path: Path, loopback_registry: str
) -> None:
    name = f"{loopback_registry}/{engine.version[:2]}/inline:1"
    first = stamp(engine, tmp_path, "--cache-to", "type=inline", "-o", f"docker://{name}")
    forget(engine)
    assert stamp(engine, tmp_path, "--cache-from", name) == first


def test_an_engine_that_cannot_export_a_cache_says_so(
    dockerd_20: RunningEngine, tmp_path: Path
) -> None:
    with pytest.raises(BuildFailed, match=r"unknown cache exporter"):
        stamp(dockerd_20, tmp_path, "--cache-to", f"type=local,dest={tmp_path / 'cache'}")


def test_what_the_engine_sends_gets_its_name_only_if_it_is_what_was_said(tmp_path: Path) -> None:
    folder = CacheFolder(tmp_path)
    with folder.ingest() as ingest, pytest.raises(IntegrityError):
        ingest.write(b"other")
        ingest.commit(5, "sha256:" + "0" * 64)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    with folder.ingest() as ingest:
        ingest.write(b"whole")
        digest = ingest.commit(5, "")
    blob = folder.find(digest)
    assert blob is not None
    with blob.open() as stream:
        assert stream.read() == b"whole"
