"""Engines side by side, over TLS, and lost in mid-build."""

from __future__ import annotations

import shutil
import threading
import urllib.parse
from pathlib import Path

import pytest

from builders.certificates import authority, issue
from builders.runtime import runtime
from homeport.app import App, Settings, open_app
from homeport.buildkit.address import Surroundings, parse_engine
from homeport.buildkit.dockerfile import DockerfileBuild, prepare
from homeport.buildkit.engine import describe
from homeport.buildkit.images import ImageOptions
from homeport.buildkit.protocol.errors import EngineLost, EngineUnreachable
from homeport.buildkit.scheduling import image_from_engines
from homeport.buildkit.solve import Build, Export, solve
from homeport.images.platforms import platforms_of
from homeport.oci.platform import parse_platform
from homeport.progress import Silent
from peers.buildkit_engines import running_dockerd
from peers.engines import free_port
from peers.test_buildkit_solve import end, runs, until

pytestmark = [pytest.mark.peer("dockerd", "busybox", "openssl"), pytest.mark.root]


class Noting(Silent):
    """Keeps what a person would be told."""

    def __init__(self, notes: list[str]) -> None:
        self.notes = notes

    def note(self, id: str, text: str) -> None:
        self.notes.append(text)


BOTH = (parse_platform("linux/amd64"), parse_platform("linux/386"))


@pytest.fixture
def app(tmp_path: Path) -> App:
    return open_app(Settings.load(None, cache_dir=tmp_path / "cache"))


def sleeping(context: Path, mark: str) -> Build:
    context.mkdir()
    found = shutil.which("busybox")
    assert found is not None
    shutil.copy(found, context / "busybox")
    (context / "Dockerfile").write_text(
        f'FROM scratch\nCOPY busybox /\nRUN ["/busybox", "sleep", "{mark}"]\n'
    )
    return prepare(DockerfileBuild(context=context, options={"force-network-mode": "none"}))


def test_platforms_are_built_side_by_side_and_put_together(tmp_path: Path, app: App) -> None:
    build = sleeping(tmp_path / "context", "0.01")
    with app, running_dockerd() as one, running_dockerd() as other:
        how = ImageOptions(runtime=runtime(app.runtime.store))
        engines = [one.engine, other.engine]
        with image_from_engines(engines, build, BOTH, how, lambda _: None) as (value, _):
            assert platforms_of(value) == list(BOTH)


def test_an_engine_lost_in_mid_build_is_replaced_by_the_other(tmp_path: Path, app: App) -> None:
    notes: list[str] = []
    build = sleeping(tmp_path / "context", "2.345")
    with app, running_dockerd() as one, running_dockerd() as other:
        thread = threading.Thread(target=lambda: (until(lambda: runs("2.345")), one.process.kill()))
        thread.start()
        how = ImageOptions(runtime=runtime(app.runtime.store, progress=Noting(notes)))
        engines = [one.engine, other.engine]
        with image_from_engines(engines, build, BOTH, how, lambda _: None) as (value, _):
            assert platforms_of(value) == list(BOTH)
        thread.join()
        assert any(one.address in note and "building elsewhere" in note for note in notes)
    end("2.345")


def test_a_port_with_client_certificates_is_an_engine(tmp_path: Path) -> None:
    ca = authority(tmp_path)
    server, client = (issue(ca, tmp_path, name) for name in ("server", "client"))
    certs = tmp_path / "certs"
    certs.mkdir()
    for source, name in (
        (ca.certificate, "ca.pem"), (client.certificate, "cert.pem"), (client.key, "key.pem"),
    ):  # fmt: skip
        shutil.copy(source, certs / name)
    port = free_port()
    options = (
        "-H", f"tcp://127.0.0.1:{port}", "--tlsverify", "--tlscacert", str(ca.certificate),
        "--tlscert", str(server.certificate), "--tlskey", str(server.key),
    )  # fmt: skip
    (tmp_path / "context").mkdir()
    (tmp_path / "context/f").write_text("f")
    (tmp_path / "context/Dockerfile").write_text("FROM scratch\nCOPY f /f\n")
    nowhere = Surroundings(environment={}, home=Path("/nonexistent"))
    with running_dockerd(*options):
        query = urllib.parse.urlencode({"certs": str(certs)})
        engine = parse_engine(f"tcp://127.0.0.1:{port}?{query}", nowhere)
        assert engine.private
        build = prepare(DockerfileBuild(context=tmp_path / "context"))
        out = tmp_path / "out"
        exported = Export(type="local", to=out)
        solve(engine, Build(
            frontend=build.frontend, attrs=build.attrs, folders=build.folders, exports=(exported,)
        ))  # fmt: skip
        assert (out / "f").read_text() == "f"
        (certs / "cert.pem").unlink()
        stranger = parse_engine(f"tcp://127.0.0.1:{port}?{query}", nowhere)
        with pytest.raises((EngineUnreachable, EngineLost)):
            describe(stranger)
