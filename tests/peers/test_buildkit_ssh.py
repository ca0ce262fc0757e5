"""Engines at the other end of ssh, and our ssh agent inside a step."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.buildkit.address import Surroundings, parse_engine
from homeport.buildkit.engine import describe
from homeport.buildkit.protocol.errors import EngineUnreachable
from homeport.cli.solve import command as solve
from peers import buildkit_engines
from peers.buildkit_engines import RunningEngine, listens
from peers.engines import free_port, running, short_folder, wait_until

pytestmark = [
    pytest.mark.peer("dockerd", "sshd", "ssh", "ssh-keygen", "ssh-agent", "ssh-add"),
    pytest.mark.root,
]
any_engine = buildkit_engines.any_engine
dockerd_20 = buildkit_engines.dockerd_20
NOWHERE = Surroundings(environment={}, home=Path("/nonexistent"))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """An ssh key without a passphrase; its comment is "a key of ours"."""
    path = tmp_path / "key"
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a key of ours", "-f", str(path)]
    subprocess.run(argv, check=True)
    return path


@pytest.fixture
def port(
    key: Path, dockerd_20: RunningEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[int]:
    """An sshd of ours, which lets ``key`` in; its ``docker`` finds the engine of the tests."""
    buildkit_engines.need("sshd")
    number = free_port()
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "host")], check=True
    )
    config = tmp_path / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1\nPort {number}\nHostKey {tmp_path}/host\nPidFile none\n"
        f"AuthorizedKeysFile {key}.pub\nStrictModes no\nPermitRootLogin yes\nUsePAM no\n"
        f"SetEnv DOCKER_HOST={dockerd_20.address}\n"
    )
    # ssh reads its settings from the account's home, which is not ours to change.
    program = tmp_path / "bin/ssh"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\nexec {shutil.which('ssh')} -i {key} -o IdentitiesOnly=yes -F /dev/null"
        ' -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    Path("/run/sshd").mkdir(exist_ok=True)
    sshd = shutil.which("sshd")
    assert sshd is not None
    with running([sshd, "-D", "-e", "-f", str(config)], tmp_path / "sshd.log"):
        wait_until(lambda: listens(number))
        yield number


def test_a_dockerd_at_the_other_end_of_ssh_is_an_engine(port: int, tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    (tmp_path / "context/f").write_text("f\n")
    (tmp_path / "context/Dockerfile").write_text("FROM scratch\nCOPY f /f\n")
    out = tmp_path / "out"
    solve.main(
        [
            str(tmp_path / "context"), "--engine", f"ssh://root@127.0.0.1:{port}",
            "--progress", "quiet", "-o", f"dir:{out}",
        ],
        standalone_mode=False,
    )  # fmt: skip
    assert (out / "f").read_text() == "f\n"


def test_what_ssh_says_is_the_reason(port: int, tmp_path: Path) -> None:
    closed = free_port()
    with pytest.raises(EngineUnreachable, match="Connection refused"):
        describe(parse_engine(f"ssh://root@127.0.0.1:{closed}", NOWHERE))
    with pytest.raises(EngineUnreachable, match=r"Permission denied"):
        describe(parse_engine(f"ssh://nobody-there@127.0.0.1:{port}", NOWHERE))


@contextlib.contextmanager
def agent(key: Path) -> Iterator[Path]:
    """A real agent that holds the key."""
    with short_folder() as home, running(["ssh-agent", "-D", "-a", f"{home}/agent"], home / "log"):
        wait_until((home / "agent").is_socket)
        environment = {**os.environ, "SSH_AUTH_SOCK": f"{home}/agent"}
        subprocess.run(["ssh-add", "-q", str(key)], env=environment, check=True)
        yield home / "agent"


def with_ssh_add(context: Path) -> None:
    """The program and its libraries, at their places."""
    program = shutil.which("ssh-add")
    assert program is not None
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for file in [program, *re.findall(r"(/\S+) \(", listed)]:
        place = context / "root" / file.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.realpath(file), place)


def test_a_step_asks_our_agent_for_its_keys(
    any_engine: RunningEngine, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    context = tmp_path / "context"
    context.mkdir()
    with_ssh_add(context)
    (context / "Dockerfile").write_text(
        'FROM scratch\nCOPY root /\nRUN --mount=type=ssh ["/usr/bin/ssh-add", "-l"]\n'
    )
    with agent(key) as socket:
        solve.main(
            [
                str(context), "--engine", any_engine.address, "--ssh", f"default={socket}",
                "--progress", "plain", "--no-cache", "--opt", "force-network-mode=none",
            ],
            standalone_mode=False,
        )  # fmt: skip
    assert re.search(r"256 SHA256:\S+ a key of ours \(ED25519\)", capsys.readouterr().err)
