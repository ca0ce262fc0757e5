"""Emulators registered in user namespaces, by the program that the catalog ships.

Emulators here only exit with 0; real ones run in tests/peers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.binfmt_namespace import need_namespace, shipped_installer
from homeport.binfmt.machine_programs import machine
from homeport.binfmt.rootless import CannotRegister, register
from homeport.cli.main import run
from homeport.errors import UsageError
from homeport.oci.platform import native_platform

_STATUS = [sys.executable, "-m", "homeport", "binfmt", "status", "--format", "json"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's files, with emulators for two architectures."""
    need_namespace()
    own = machine(native_platform().architecture)
    if own is None or own.name in ("s390x", "riscv64"):
        pytest.skip(f"no emulator of the tests runs on {native_platform()}")
    root = tmp_path_factory.mktemp("binfmt")
    (root / "usr/bin").mkdir(parents=True)
    shipped_installer(root / "usr/bin")
    for name in ("s390x", "riscv64"):
        (root / f"usr/bin/qemu-{name}").write_bytes(own.program)
        (root / f"usr/bin/qemu-{name}").chmod(0o755)
    return root


@pytest.fixture
def namespace() -> Iterator[int]:
    """The number of a process in a user namespace of its own."""
    need_namespace()
    process = subprocess.Popen(
        ["unshare", "-Urm", "sh", "-c", "echo ready; exec cat"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()


def test_a_command_runs_in_a_namespace_that_has_the_emulators(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    call = ["sh", "-c", 'out=$1; shift; exec "$@" > "$out"', "sh", str(out), *_STATUS]
    assert register(files, command=call).code == 0
    document = json.loads(out.read_text())
    assert {
        each["platform"]: each["in_containers"] for each in document["platforms"] if each["entry"]
    } == {"linux/riscv64": True, "linux/s390x": True}
    assert all(each["runs"] for each in document["platforms"] if each["entry"])
    outside = json.loads(subprocess.run(_STATUS, capture_output=True, check=True).stdout)
    assert not any(str(files) in each["emulator"] for each in outside["platforms"])


def test_the_exit_code_is_the_commands(files: Path) -> None:
    assert register(files, command=["sh", "-c", "exit 7"]).code == 7
    assert register(files, command=["sh", "-c", "kill -TERM $$"]).code == 128 + 15


def test_only_what_is_named_is_registered_and_set_uid_only_if_asked(
    files: Path, namespace: int
) -> None:
    found = register(files, architectures=["s390x"], process=namespace, credentials=True)
    assert found.emulators == ("qemu-s390x",)
    assert "linux/s390x" in found.supported
    assert "linux/riscv64" not in found.supported
    entered = ["nsenter", "--user", "--mount", "--preserve-credentials", "-t", str(namespace)]
    shown = subprocess.run(
        [*entered, "cat", "/proc/sys/fs/binfmt_misc/qemu-s390x"], capture_output=True, check=True
    ).stdout
    assert b"flags: POCF\n" in shown


def test_a_second_time_is_no_error(files: Path, namespace: int) -> None:
    first = register(files, process=namespace)
    assert register(files, process=namespace) == first


def test_the_machines_own_namespace_is_refused(files: Path) -> None:
    with pytest.raises(UsageError, match="in the user namespace of this command"):
        register(files, process=os.getpid())
    with pytest.raises(UsageError, match="no process"):
        register(files, process=2**22 + 1)


def test_pid_and_a_command_cannot_be_combined(files: Path) -> None:
    with pytest.raises(UsageError, match="cannot be combined"):
        register(files, process=1, command=["true"])


def test_an_image_without_the_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotRegister, match="no /usr/bin/binfmt") as error:
        register(tmp_path, command=["true"])
    assert "homeport build binfmt" in (error.value.hint or "")


def test_an_emulator_that_is_missing_is_the_programs_own_error(files: Path, namespace: int) -> None:
    with pytest.raises(CannotRegister, match="No such file or directory"):
        register(files, architectures=["ppc64le"], process=namespace)
    assert register(files, architectures=["ppc64le"], command=["true"]).code == 126


def test_a_program_that_prints_something_else_is_refused(tmp_path: Path, namespace: int) -> None:
    program = tmp_path / "usr/bin/binfmt"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho '[]'\n")
    program.chmod(0o755)
    with pytest.raises(CannotRegister, match="printed no JSON document"):
        register(tmp_path, process=namespace)


def test_an_older_kernel_is_told(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.release", lambda: "6.1.0-18-amd64")
    with pytest.raises(CannotRegister, match=r"needs Linux 6\.7, this is 6\.1\.0"):
        register(files, command=["true"])


def test_without_rootless_the_way_for_the_machine_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["binfmt", "install", "oci:binfmt.oci"]) == 2
    assert "docker run --privileged --rm IMAGE --install all" in capsys.readouterr().err
