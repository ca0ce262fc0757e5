"""The program of docs/python.md that needs an engine, on the dockerd of this machine."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from peers.buildkit_engines import running_dockerd
from test_python_docs import programs

pytestmark = pytest.mark.root


def test_the_program_that_solves_writes_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "context").mkdir()
    (tmp_path / "context/file").write_bytes(b"x")
    (tmp_path / "context/Dockerfile").write_text("FROM scratch\nCOPY file /file\n")
    with running_dockerd() as engine:
        monkeypatch.setenv("BUILDKIT_HOST", engine.address)
        exec(compile(programs()["Build on a BuildKit engine"], "solve", "exec"), {})
    assert "steps" in capsys.readouterr().out
    with tarfile.open("files.tar") as found:
        assert "file" in found.getnames()
