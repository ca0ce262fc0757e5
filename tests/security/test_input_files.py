"""A folder of a stranger, where a file that a command reads is a pipe, a device or endless."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from homeport.cli.main import run
from homeport.content.files import CannotRead, read_input
from homeport.errors import TooLarge

#: The command, and its file in the folder.
COMMANDS = [
    (["blubber", "check", "f"], "f"),
    (["pipelines", "convert", "f"], "f"),
    (["pipelines", "gitlab", "--image", "r.example/homeport:1"], ".gitlab-ci.yml"),
    (["audit", ".", "--policy", "f"], "f"),
    (["audit", ".", "--baseline", "f"], "f"),
    (["audit", ".", "--apply", "f"], "f"),
    (["build", "./f", "--check"], "f"),
    (["solve", "-f", "f", "."], "f"),
    (["verify", "oci:x", "--policy", "f"], "f"),
]


@pytest.fixture(autouse=True)
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / ".cache"))
    return tmp_path


@pytest.mark.parametrize(("arguments", "name"), COMMANDS)
def test_a_pipe_in_place_of_a_file_is_not_waited_for(
    arguments: list[str], name: str, theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(theirs / name)
    assert run(arguments) in (1, 2)
    assert capsys.readouterr().err


@pytest.mark.parametrize("command", ["build", "lock", "test"])
def test_a_pipe_in_place_of_a_recipe_is_named_as_what_it_is(
    command: str, theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (theirs / "folder").mkdir()
    for name in ("f", "folder/homeport.yaml"):
        os.mkfifo(theirs / name)
        assert run([command, f"./{Path(name).parts[0]}"]) in (1, 2)
        assert f"{name} is not a regular file" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "name"), COMMANDS)
def test_a_sparse_file_of_terabytes_is_too_large(
    arguments: list[str], name: str, theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (theirs / name).open("wb") as file:
        file.truncate(4 << 40)
    assert run(arguments) in (1, 2)
    assert "larger than" in capsys.readouterr().err


def test_a_project_file_that_was_found_names_no_endless_baseline(
    theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (theirs / ".git").mkdir()
    (theirs / "homeport.toml").write_text('[audit]\nbaseline = "f"\n')
    with (theirs / "f").open("wb") as file:
        file.truncate(4 << 40)
    assert run(["audit", "."]) in (1, 2)
    assert "larger than" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/tty", "/dev/random"])
def test_a_link_to_a_device_is_not_read(target: str, theirs: Path) -> None:
    (theirs / "f").symlink_to(target)
    with pytest.raises(CannotRead):
        read_input(theirs / "f", 1000)


def _send(descriptor: int, size: int) -> None:
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(b"x" * size)


def test_what_a_shell_gives_as_a_file_is_read_to_its_bound(theirs: Path) -> None:
    """``<(…)`` of a shell is a pipe below /dev/fd."""
    for size, fits in ((10, True), (4096, False)):
        reading, writing = os.pipe()
        sender = threading.Thread(target=_send, args=(writing, size))
        sender.start()
        try:
            if fits:
                assert read_input(Path(f"/dev/fd/{reading}"), 1000) == b"x" * size
            else:
                with pytest.raises(TooLarge):
                    read_input(Path(f"/dev/fd/{reading}"), 1000)
        finally:
            sender.join()
            os.close(reading)
