"""Engines by their addresses, and those found when nothing is written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from homeport.buildkit.address import Surroundings, default_engines, parse_engine
from homeport.buildkit.engine import first_reachable
from homeport.buildkit.protocol.errors import EngineUnreachable
from homeport.buildkit.protocol.streams import ProgramStream, TcpStream, UnixStream
from homeport.images.docker_endpoint import BadEngineAddress


def around(home: Path = Path("/nonexistent"), **environment: str) -> Surroundings:
    return Surroundings(environment=environment, home=home)


def test_a_socket_may_be_of_either_kind() -> None:
    engine = parse_engine("unix:///run/x.sock", around())
    assert engine.opener == UnixStream("/run/x.sock")
    assert engine.kind == "unknown"


def test_a_port_without_certificates_is_not_private() -> None:
    engine = parse_engine("tcp://127.0.0.1:2375", around())
    assert isinstance(engine.opener, TcpStream)
    assert not engine.private


def test_a_container_is_reached_by_its_engines_program() -> None:
    for program in ("docker", "podman"):
        engine = parse_engine(f"{program}-container://buildkitd", around())
        assert engine.opener == ProgramStream(
            (program, "exec", "-i", "buildkitd", "buildctl", "dial-stdio")
        )
        assert engine.kind == "buildkit"


def test_ssh_takes_user_and_port() -> None:
    engine = parse_engine("ssh://me@host.example:22022", around())
    assert isinstance(engine.opener, ProgramStream)
    assert engine.opener.argv == (
        "ssh", "-T", "-p", "22022", "--", "me@host.example", "docker", "system", "dial-stdio",
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "", "/run/docker.sock", "unix://", "npipe:////./pipe/docker", "tcp://host", "tcp://h:x",
        "tcp://user@host:1", "docker-container://", "docker-container://-v", "ssh://", "ssh://-oX",
        "tcp://host:1?certs=/nonexistent/certs", "docker-context://nope",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadEngineAddress):
        parse_engine(text, around())


def test_variables_come_before_contexts_and_sockets(tmp_path: Path) -> None:
    write_context(tmp_path, "far", "unix:///far.sock")
    names = [
        [engine.name for engine in default_engines(around(tmp_path, **environment))]
        for environment in (
            {"BUILDKIT_HOST": "unix:///b", "DOCKER_HOST": "unix:///d"},
            {"DOCKER_HOST": "unix:///d"},
            {},
            {"DOCKER_CONTEXT": "default"},
        )
    ]
    assert names[:3] == [["unix:///b"], ["unix:///d"], ["unix:///far.sock"]]
    assert names[3] == ["unix:///run/buildkit/buildkitd.sock", "unix:///var/run/docker.sock"]


def test_rootless_sockets_are_tried_too() -> None:
    names = [engine.name for engine in default_engines(around(XDG_RUNTIME_DIR="/run/user/1"))]
    assert "unix:///run/user/1/docker.sock" in names


def test_an_error_names_every_engine_that_was_tried() -> None:
    engines = [parse_engine(f"unix:///nonexistent/{name}", around()) for name in "ab"]
    with pytest.raises(EngineUnreachable, match="/nonexistent/a, unix:///nonexistent/b") as error:
        first_reachable(engines)
    assert "--engine" in str(error.value.hint)


def write_context(home: Path, name: str, host: str) -> None:
    """docker's context, made the current one."""
    folder = home / ".docker/contexts/meta" / hashlib.sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(
        json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}})
    )
    (home / ".docker/config.json").write_text(json.dumps({"currentContext": name}))
