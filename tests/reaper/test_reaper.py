"""The reaper as a process, with a daemon that only remembers, over real sockets."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

LISTS = {"/containers/json", "/networks", "/volumes", "/images/json"}


@dataclass
class Fake:
    """What a daemon has, by the path of its list; each thing has an id, labels and a date."""

    things: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    refuses: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    address: str = ""

    def answer(self, method: str, target: str) -> tuple[int, Any]:
        parts = urlsplit(target)
        if method == "DELETE":
            self.calls.append(f"{unquote(parts.path)}?{parts.query}".rstrip("?"))
        if refusals := self.refuses.get(parts.path):
            status, text = refusals.pop(0)
            return status, {"message": text}
        if parts.path == "/_ping":
            return 200, "OK"
        if parts.path in LISTS:
            wanted = json.loads(parse_qs(parts.query)["filters"][0])
            found = [thing for thing in self.things.get(parts.path, []) if _has(thing, wanted)]
            return 200, {"Volumes": found or None} if parts.path == "/volumes" else found
        sort, _, name = unquote(parts.path)[1:].partition("/")
        for things in self.things.values():
            for thing in things:
                if name in (thing.get("Id"), thing.get("Name")):
                    things.remove(thing)
                    return 204, ""
        return 404, {"message": f"no such {sort}"}


def _has(thing: dict[str, Any], wanted: dict[str, list[str]]) -> bool:
    labels = {f"{key}={value}" for key, value in thing["Labels"].items()} | set(thing["Labels"])
    return all(value in labels for value in wanted.get("label", []))


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture
def daemon() -> Iterator[Fake]:
    fake = Fake()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, document = fake.answer(self.command, self.path)
            body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_DELETE(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            pass

        def address_string(self) -> str:
            return "unix"

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "docker.sock"))
        with _Server(path, Handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            fake.address = f"unix://{path}"
            yield fake
            server.shutdown()
            thread.join()


@dataclass
class Running:
    process: subprocess.Popen[str]
    port: int
    lines: list[str]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 30)

    def end(self) -> tuple[int, list[str]]:
        """Exit code and the whole log."""
        out, _ = self.process.communicate(timeout=60)
        return self.process.returncode, self.lines + out.splitlines()


@contextlib.contextmanager
def reaper(daemon: Fake, **variables: str) -> Iterator[Running]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "DOCKER_HOST": daemon.address, "RYUK_PORT": str(port), "RYUK_RECONNECTION_TIMEOUT": "50ms",
        "PATH": os.environ["PATH"], **variables,
    }  # fmt: skip
    program = "import sys; from homeport.reaper.run import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        yield Running(process, port, [first.rstrip("\n")])
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def say(connection: socket.socket, line: str) -> bytes:
    connection.sendall(line.encode() + b"\n")
    return connection.recv(4)


def thing(id: str, created: object = 0, **labels: str) -> dict[str, Any]:
    return {"Id": id, "Name": id, "Created": created, "CreatedAt": created, "Labels": labels}


def test_what_carries_a_label_is_removed_when_the_last_client_left(daemon: Fake) -> None:
    old = "2026-01-02T03:04:05.678901234Z"
    daemon.things = {
        "/containers/json": [thing("c1", 5, run="a"), thing("c2", 5, run="b"), thing("c3", 5)],
        "/networks": [thing("n1", old, run="a")],
        "/volumes": [thing("v/1", old, run="b"), thing("v2", "2026-01-02T03:04:05+01:00")],
        "/images/json": [thing("sha256:i1", 5, run="a")],
    }
    with reaper(daemon) as running:
        assert "Started!" in running.lines[0]
        with running.connect() as one, running.connect() as other:
            assert say(one, "label=run=a") == b"ACK\n"
            assert say(other, "label=run%3Db\r") == b"ACK\n"
            one.close()
            assert daemon.calls == []
        code, lines = running.end()
    assert code == 0
    assert daemon.calls == [
        "/containers/c1?v=1&force=1", "/containers/c2?v=1&force=1", "/networks/n1",
        "/volumes/v/1?force=1", "/images/sha256:i1",
    ]  # fmt: skip
    assert lines[-1].endswith("removed 2 containers, 1 network, 1 volume, 1 image")
    assert {each["Id"] for each in daemon.things["/containers/json"]} == {"c3"}


def test_filters_that_are_one_line_must_all_match(daemon: Fake) -> None:
    daemon.things = {"/containers/json": [thing("both", 5, a="1", b="2"), thing("one", 5, a="1")]}
    with reaper(daemon) as running, running.connect() as client:
        say(client, "label=a=1&label=b=2")
        client.close()
        assert running.end()[0] == 0
    assert daemon.calls == ["/containers/both?v=1&force=1"]


def test_a_line_without_an_end_counts_and_its_own_containers_are_left_alone(daemon: Fake) -> None:
    own = {"a": "1", "org.testcontainers.ryuk": "true"}
    daemon.things = {"/containers/json": [thing("c", 5, a="1"), thing("reaper", 5, **own)]}
    with reaper(daemon) as running:
        with running.connect() as client:
            client.sendall(b"label=a=1")
        assert running.end()[0] == 0
    assert daemon.calls == ["/containers/c?v=1&force=1"]


def test_nothing_is_removed_without_a_filter_and_nonsense_is_acknowledged(daemon: Fake) -> None:
    daemon.things = {"/containers/json": [thing("c", 5, a="1")]}
    with reaper(daemon) as running, running.connect() as client:
        assert say(client, "\n\nnonsense") == b"ACK\n"
        client.close()
        assert running.end()[0] == 0
    assert daemon.calls == []


def test_a_signal_without_clients_ends_it_at_once(daemon: Fake) -> None:
    with reaper(daemon, RYUK_CONNECTION_TIMEOUT="1h", RYUK_RECONNECTION_TIMEOUT="1h") as running:
        running.process.send_signal(signal.SIGTERM)
        code, lines = running.end()
    assert (code, lines[-2][20:]) == (0, "signal received")


def test_after_a_signal_it_waits_for_clients_and_removes_what_they_leave(daemon: Fake) -> None:
    daemon.things = {"/containers/json": [thing("c", 5, a="1")]}
    with reaper(daemon, RYUK_RECONNECTION_TIMEOUT="1h") as running:
        with running.connect() as client:
            say(client, "label=a=1")
            running.process.send_signal(signal.SIGTERM)
            assert running.process.stdout is not None
            while "signal received" not in running.lines[-1]:
                running.lines.append(running.process.stdout.readline())
            with pytest.raises(ConnectionError):
                running.connect()
            assert say(client, "label=b=2") == b"ACK\n"
        assert running.end()[0] == 0
    assert daemon.calls == ["/containers/c?v=1&force=1"]


def test_without_any_client_it_ends(daemon: Fake) -> None:
    with reaper(daemon, RYUK_CONNECTION_TIMEOUT="10ms") as running:
        code, lines = running.end()
    assert code == 0
    assert lines[-1].endswith("removed 0 containers, 0 networks, 0 volumes, 0 images")


def test_what_was_created_after_the_look_began_makes_it_look_again(daemon: Fake) -> None:
    daemon.things = {"/containers/json": [thing("young", 1 << 40, a="1")]}
    with reaper(daemon) as running, running.connect() as client:
        say(client, "label=a=1")
        client.close()
        assert running.process.stdout is not None
        while "waiting again" not in running.lines[-1]:
            running.lines.append(running.process.stdout.readline())
        daemon.things["/containers/json"][0]["Created"] = 5
        assert running.end()[0] == 0
    assert daemon.calls == ["/containers/young?v=1&force=1"]


def test_a_refusal_is_tried_again_and_told(daemon: Fake) -> None:
    daemon.things = {"/networks": [thing("n", 5, a="1")]}
    daemon.refuses = {"/networks/n": [(403, "has active\nendpoints")]}
    with reaper(daemon) as running, running.connect() as client:
        say(client, "label=a=1")
        client.close()
        code, lines = running.end()
    assert (code, daemon.calls) == (0, ["/networks/n", "/networks/n"])
    assert any(line.endswith("DELETE /networks/n: 403: has active?endpoints") for line in lines)


def test_what_cannot_be_removed_is_told_and_exits_1(daemon: Fake) -> None:
    daemon.things = {"/images/json": [thing("i", 5, a="1")], "/volumes": [thing("v", 5, a="1")]}
    daemon.refuses = {"/images/i": [(409, "in use")], "/networks": [(400, "invalid filter")]}
    with reaper(daemon, RYUK_REMOVE_RETRIES="1") as running, running.connect() as client:
        say(client, "label=a=1")
        client.close()
        code, lines = running.end()
    assert code == 1
    assert lines[-1].endswith("error: 1 could not be removed")
    assert daemon.calls == ["/volumes/v?force=1", "/images/i"]


def test_a_line_that_never_ends_loses_its_connection(daemon: Fake) -> None:
    with reaper(daemon) as running, running.connect() as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(b"x" * (1 << 20))
            assert client.recv(1) == b""
        code, lines = running.end()
    assert code == 0
    assert any("a line longer than 64 KiB" in line for line in lines)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"DOCKER_HOST": "unix:///nonexistent/docker.sock"}, "error: GET /_ping: no answer from"),
        ({"DOCKER_HOST": "ssh://host"}, "error: DOCKER_HOST: unsupported address 'ssh://host'"),
        ({"RYUK_PORT": "x"}, "error: RYUK_PORT: invalid number 'x'"),
    ],
)
def test_what_it_cannot_start_with_is_one_line(
    daemon: Fake, variables: dict[str, str], message: str
) -> None:
    with reaper(daemon, **variables) as running:
        code, lines = running.end()
    assert code == 1
    assert len(lines) == 1
    assert lines[0][20:].startswith(message)
