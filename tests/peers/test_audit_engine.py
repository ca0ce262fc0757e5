"""``--engine`` against real daemons: their versions choose which rules speak."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.audit import lay_out
from homeport.audit.engineversion import engine_versions
from homeport.audit.versions import numbers
from homeport.cli.main import run
from peers.buildkit_engines import ENGINES, RunningEngine

pytestmark = [pytest.mark.peer("dockerd"), pytest.mark.root]

FILES = {
    "build.sh": "docker build --build-arg BUILDKIT_DISABLE_FILEOP=1 .\n"
    "docker buildx build --sbom=true .\n",
    "Dockerfile": "FROM scratch\nCOPY a b\n",
}


def implicit(*options: str, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Rule → how confidence, for all that is pulled unasked."""
    assert run(["audit", "--format", "json", *options]) == 0
    images = json.loads(capsys.readouterr().out)["images"]
    return {use["rule"]: use["confidence"] for i in images for use in i["uses"] if use.get("rule")}


@pytest.fixture(params=["bookworm", "trixie", "sid"])
def engine(request: pytest.FixtureRequest) -> Iterator[RunningEngine]:
    with ENGINES[request.param]() as running:
        yield running


def test_its_version_decides_what_is_pulled_unasked(
    engine: RunningEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    lay_out(FILES, tmp_path)
    version = engine_versions(engine.engine)["docker"]
    assert numbers(version) == numbers(engine.version)
    # Without an engine both depend on it; Docker 24 brought BuildKit 0.11, where one way to
    # copy ended and the scanner began.
    assert implicit(capsys=capsys) == {"fileop-copy-image": "medium", "sbom-scanner": "medium"}
    new = (numbers(version) or ()) >= (24,)
    expected = {"sbom-scanner": "high"} if new else {"fileop-copy-image": "high"}
    assert implicit("--engine", engine.address, capsys=capsys) == expected
    # An option wins over what the engine answers.
    old = implicit("--engine", engine.address, "--assume", "docker=18.09",
                 "--assume", "buildkit=0.3", capsys=capsys)  # fmt: skip
    assert old == {
        "docker-copy-image": "high", "buildkit-copy-image": "high", "fileop-copy-image": "high"
    }  # fmt: skip
