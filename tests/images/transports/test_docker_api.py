"""What the docker daemon's socket may answer, and what becomes of it."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from homeport.errors import UsageError
from homeport.images.docker_endpoint import BadEngineAddress
from homeport.images.transports.docker_api import EngineError, request


@contextmanager
def _daemon(path: Path, answer: bytes) -> Iterator[tuple[dict[str, str], list[bytes]]]:
    """A socket that takes one request and answers it so; the environment, and what came."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    seen: list[bytes] = []

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            received = b""
            while b"\r\n\r\n" not in received:
                received += client.recv(65536)
            head, _, body = received.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            while len(body) < length:
                body += client.recv(65536)
            seen.extend((head, body))
            client.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    yield {"DOCKER_HOST": f"unix://{path}"}, seen
    thread.join()
    listener.close()


def test_a_request_and_its_body_reach_the_daemon(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    tar = bytes(3 << 20)
    with (
        _daemon(tmp_path / "s", answer) as (environ, seen),
        request(
            "POST", "/images/load", io.BytesIO(tar), len(tar), environ=environ
        ) as response,
    ):  # fmt: skip
        assert response.read() == b"ok"
    assert seen[0].startswith(b"POST /images/load HTTP/1.1\r\n")
    assert seen[1] == tar


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b'HTTP/1.1 404 No\r\nContent-Length: 23\r\n\r\n{"message":"no such x"}', "404: no such x"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\n<x>", "500: '<x>'"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "cannot reach the docker daemon"),
        (b"garbage\r\n\r\n", "cannot reach the docker daemon"),
        (b"", "cannot reach the docker daemon"),
    ],
)
def test_a_daemon_that_refuses_or_breaks_off_is_named(
    tmp_path: Path, answer: bytes, said: str
) -> None:
    with (
        _daemon(tmp_path / "s", answer) as (environ, _),
        pytest.raises(EngineError, match=said) as caught,
        request("GET", "/x", environ=environ) as response,
    ):
        response.read()
    assert caught.value.where["engine"] == environ["DOCKER_HOST"]


def test_no_daemon_and_no_address_are_told_apart(tmp_path: Path) -> None:
    with (
        pytest.raises(EngineError, match="cannot reach the docker daemon"),
        request("GET", "/", environ={"DOCKER_HOST": f"unix://{tmp_path}/absent"}),
    ):
        pass
    with (
        pytest.raises(UsageError, match="invalid address of the docker daemon"),
        request("GET", "/", environ={"DOCKER_HOST": "npipe:////./pipe/docker"}),
    ):
        pass


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def _context(docker: Path, host: str) -> None:
    """docker's context ``far``."""
    folder = docker / "contexts/meta" / hashlib.sha256(b"far").hexdigest()
    folder.mkdir(parents=True)
    document = {"Name": "far", "Endpoints": {"docker": {"Host": host}}}
    (folder / "meta.json").write_text(json.dumps(document))


@pytest.mark.parametrize("chosen", ["config", "DOCKER_CONTEXT", "DOCKER_HOST"])
def test_the_daemon_is_the_one_of_the_docker_program(tmp_path: Path, chosen: str) -> None:
    docker = tmp_path / ".docker"
    _context(docker, f"unix://{tmp_path}/s")
    environ = {"HOME": str(tmp_path)}
    if chosen == "config":
        (docker / "config.json").write_text('{"currentContext":"far"}')
    elif chosen == "DOCKER_CONTEXT":
        environ["DOCKER_CONTEXT"] = "far"
    else:  # wins over contexts
        environ |= {"DOCKER_CONTEXT": "absent", "DOCKER_HOST": f"unix://{tmp_path}/s"}
    with _daemon(tmp_path / "s", OK), request("GET", "/_ping", environ=environ) as response:
        assert response.read() == b"ok"


def test_a_context_may_lead_to_another_machine_by_ssh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ssh that joins its streams to the socket, as ``docker system dial-stdio`` does there."""
    ssh = tmp_path / "bin/ssh"
    ssh.parent.mkdir()
    ssh.write_text(
        f"#!{sys.executable}\nimport os, socket, sys\n"
        f"assert sys.argv[1:] == '-T -p 2222 -- me@h docker system dial-stdio'.split(), sys.argv\n"
        f"s = socket.socket(socket.AF_UNIX); s.connect({str(tmp_path / 's')!r})\n"
        "s.sendall(os.read(0, 65536)); os.write(1, s.recv(65536))\n"
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", str(ssh.parent), prepend=":")
    _context(tmp_path / ".docker", "ssh://me@h:2222")
    environ = {"HOME": str(tmp_path), "DOCKER_CONTEXT": "far"}
    with _daemon(tmp_path / "s", OK), request("GET", "/_ping", environ=environ) as response:
        assert response.read() == b"ok"


def test_a_context_that_does_not_exist_is_named(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "DOCKER_CONTEXT": "absent"}
    with (
        pytest.raises(BadEngineAddress, match="'absent'"),
        request("GET", "/_ping", environ=environ),
    ):
        pass
