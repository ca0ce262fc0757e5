"""A stranger's repository with a project file (docs/security.md, "Project files")."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from homeport.cli.main import run
from homeport.project import read_project


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "theirs"
    (root / ".git").mkdir(parents=True)
    (root / "Dockerfile").write_text("FROM docker.io/library/debian:13\n")
    monkeypatch.chdir(root)
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return root


@pytest.mark.parametrize(
    "text",
    [
        '[login]\ncreds = "a:b"\n',
        '[push]\ncreds = "a:b"\n',
        '[build]\npush = "registry.example/x"\n',
        '[build]\noutput = "oci:/etc"\n',
        '[build]\nengine = "ssh://x"\n',
        "[build]\nsign = true\n",
        '[build]\nallow-outside = "/"\n',
        "[build]\nno-attest = true\n",
        '[publish]\nrepository = "registry.example/x"\n',
        '[mirror]\nno-verify = true\n',
        '[import]\nno-verify = true\n',
        '[verify]\ntrusted-root = "x"\n',
        '[audit]\nengine = "tcp://x:1"\n',
        "[audit]\nonline = true\n",
        '[audit]\nhtml = "/etc/x"\n',
        '[net]\nca = "ca.pem"\n',
        '[cache]\ndir = "/tmp"\n',
        'ca = "ca.pem"\n',
        '[debian]\nsnapshots = "https://x.example"\n',
        '[debian.mirrors]\ndebian = "file:///etc"\n',
        '[debian.mirrors]\ndebian = "/etc"\n',
        '[debian.mirrors]\ndebian = "bundle:x"\n',
        'home = 1\n',
        "[audit]\nexclude = [[1]]\n",
        "audit = 1\n",
        "[build\n",
        "x = " + "[" * 5000 + "\n",
    ],
)  # fmt: skip
def test_what_a_found_file_may_not_say_is_refused(
    text: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "homeport.toml").write_text(text)
    assert run(["build", "busybox"]) == 2
    assert "homeport.toml" in capsys.readouterr().err
    assert run(["audit", ".", "--no-project"]) == 0
    assert run(["login", "--help"]) == 0


def test_keys_of_a_found_file_are_not_used(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "evil.pub").write_text("x")
    (repository / "policy.yaml").write_text("x")
    (repository / "homeport.toml").write_text(
        '[verify]\nkey = "evil.pub"\npolicy = "policy.yaml"\n[mirror]\npolicy = "policy.yaml"\n'
    )
    found = read_project("", repository)
    assert found is not None
    assert found.defaults == {"verify": {}, "mirror": {}}
    assert run(["verify", "oci:none"]) == 2
    said = capsys.readouterr().err
    assert "verify it with --key" in said
    assert "verify.key, verify.policy is ignored" in said


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret", "link"])
def test_no_file_outside_is_read(
    target: str, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").write_text("token: hunter2")
    (repository / "link").symlink_to(tmp_path / "secret")
    (repository / "homeport.toml").write_text(f'[audit]\npolicy = "{target}"\n')
    assert run(["build", "busybox"]) == 2
    said = capsys.readouterr().err
    assert "leads out of the project" in said
    assert "hunter2" not in said


def test_a_project_file_that_is_a_link_or_no_file_is_not_read(
    repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "private.toml").write_text('token = "hunter2"\n')
    (repository / "homeport.toml").symlink_to(tmp_path / "private.toml")
    assert read_project("", repository) is None
    (repository / "homeport.toml").unlink()
    os.mkfifo(repository / "homeport.toml")
    assert read_project("", repository) is None


def test_an_audit_says_what_it_does_not_look_at(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "homeport.toml").write_text('[audit]\nexclude = ["**"]\n')
    assert run(["audit", "."]) == 0
    said = capsys.readouterr().err
    assert f"{repository}/homeport.toml sets audit.exclude" in said
    assert run(["audit", ".", "--format", "json"]) == 0
    assert "sets audit.exclude" in capsys.readouterr().err


def test_home_of_a_found_file_sends_nothing(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "homeport.toml").write_text('home = "evil.example/x"\n')
    assert run(["home"]) == 2  # its destination is an argument that the user gives
    assert "Missing argument" in capsys.readouterr().err


@pytest.mark.root
def test_a_file_of_another_user_is_refused(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "homeport.toml").write_text('[audit]\nexclude = ["**"]\n')
    os.chown(repository / "homeport.toml", 12345, 12345)
    assert run(["build", "busybox"]) == 2
    assert "belongs to user 12345" in capsys.readouterr().err
    assert run(["audit", ".", "--project", "homeport.toml"]) == 0


@pytest.mark.parametrize("text", ["offline = 5\n", "x=[", "[audit]\nplan = 1\n", "\xff"])
def test_a_faulty_file_does_not_stop_an_audit(
    repository: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (repository / "homeport.toml").write_bytes(text.encode("latin-1"))
    assert run(["audit", ".", "--deny", "floating"]) == 3
    said = capsys.readouterr().err
    assert f"warning: {repository}/homeport.toml is ignored: " in said
    assert run(["audit", ".", "--project", "homeport.toml"]) == 2
    assert run(["build", "busybox"]) == 2
