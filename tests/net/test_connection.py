"""Requests and answers over a socket, however the bytes are cut."""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.certificates import authority, issue
from builders.http_server import server_tls, serving
from builders.net import quick_client
from homeport.net.connection import Answer, Connection
from homeport.net.errors import ProxyFailed
from homeport.net.http1 import Malformed
from homeport.net.proxies import Proxies
from homeport.net.tls_settings import Trust
from homeport.net.url import Url

HEAD = b"GET / HTTP/1.1\r\n\r\n"


class Pieces:
    """A channel that gives what it was made with, a piece at a time, and keeps what is sent."""

    def __init__(self, *pieces: bytes) -> None:
        self._ours, theirs = socket.socketpair()
        self._theirs = theirs
        self._pieces = [piece for piece in pieces if piece]
        self.sent = b""

    def fileno(self) -> int:
        return self._ours.fileno()

    def recv(self, size: int, /) -> bytes:
        if not self._pieces:
            return b""
        piece = self._pieces.pop(0)
        if piece[size:]:
            self._pieces.insert(0, piece[size:])
        return piece[:size]

    def sendall(self, data: bytes, /) -> None:
        self.sent += data

    def settimeout(self, seconds: float | None, /) -> None:
        pass

    def gettimeout(self) -> float | None:
        return 60.0

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()


def _asked(*pieces: bytes, method: str = "GET") -> Answer:
    channel = Pieces(*pieces)
    try:
        return Connection(channel).ask(method, HEAD)
    finally:
        channel.close()


def _body(answer: Answer, size: int = 5) -> bytes:
    return b"".join(iter(lambda: answer.read(size), b""))


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


BODIES = st.lists(st.binary(min_size=1, max_size=40), max_size=5)


@given(BODIES, st.lists(st.integers(0, 10_000), max_size=12), st.integers(1, 50), st.booleans())
def test_a_chunked_body_comes_out_whole_however_it_is_cut(
    chunks: list[bytes], places: list[int], size: int, trailer: bool
) -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw += b"".join(b"%x;ext\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    raw += b"0\r\n" + (b"X-After: y\r\n" if trailer else b"") + b"\r\n"
    answer = _asked(*_cut(raw, places))
    assert _body(answer, size) == b"".join(chunks)
    assert answer.reusable


@given(st.binary(max_size=100), st.lists(st.integers(0, 10_000), max_size=8), st.integers(1, 50))
def test_a_body_of_known_length_ends_there(data: bytes, places: list[int], size: int) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data)
    answer = _asked(*_cut(raw, places))
    assert _body(answer, size) == data
    assert answer.reusable


@given(st.binary(max_size=60), st.integers(0, 400), st.booleans())
def test_a_body_that_is_cut_is_never_taken_for_whole(data: bytes, at: int, chunked: bool) -> None:
    if chunked:
        raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        raw += (b"%x\r\n%s\r\n" % (len(data), data) if data else b"") + b"0\r\n\r\n"
    else:
        raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data)
    short = raw[: at % len(raw)]
    with pytest.raises(EOFError):
        _body(_asked(short))


def test_without_a_length_the_body_ends_with_the_connection() -> None:
    answer = _asked(b"HTTP/1.1 200 OK\r\n\r\nab", b"cd")
    assert _body(answer) == b"abcd"
    assert not answer.reusable


def test_what_follows_the_body_unasked_ends_the_connection() -> None:
    answer = _asked(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\n\r\n")
    assert _body(answer) == b"ab"
    assert not answer.reusable


def test_interim_answers_are_passed_over() -> None:
    answer = _asked(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
        b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
    )
    assert answer.head.status == 201


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000,
        b"SSH-2.0-OpenSSH\r\n",
    ],
)
def test_what_never_becomes_an_answer_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        _asked(raw)


@pytest.mark.parametrize(
    "body",
    [b"x\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"1" * 5000, b"0\r\n" + b"a: b\r\n" * 1000 + b"\r\n"],
)
def test_chunks_that_do_not_add_up_are_refused(body: bytes) -> None:
    answer = _asked(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    with pytest.raises(Malformed):
        _body(answer)


def test_a_small_body_travels_with_its_head_and_a_large_one_after_it() -> None:
    for block in (b"small", b"l" * 100_000):
        channel = Pieces(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        connection = Connection(channel)

        def send(connection: Connection = connection, block: bytes = block) -> None:
            connection.send(block)
            connection.send(b"more")

        connection.ask("PUT", HEAD, send)
        assert channel.sent == HEAD + block + b"more"
        channel.close()


def test_whoever_stops_reading_a_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(64 << 20)
    ours, theirs = socket.socketpair()
    ours.settimeout(0.05)
    connection = Connection(ours)
    with ours, theirs, path.open("rb") as stream:
        descriptor, sent = stream.fileno(), 0

        def send_body() -> None:
            nonlocal sent
            while part := connection.send_file(descriptor, sent, 1 << 20):
                sent += part

        with pytest.raises(TimeoutError):
            connection.ask("PUT", HEAD, send_body)
        assert 0 < sent < 64 << 20


@pytest.fixture
def secure_proxy(tmp_path: Path) -> Iterator[tuple[int, Path, list[str]]]:
    """A proxy that speaks TLS itself and takes CONNECT for any name to a port of this machine."""
    ca = authority(tmp_path)
    pair = issue(ca, tmp_path, "both", alternative="IP:127.0.0.1,DNS:a.example")
    tls = server_tls(pair.certificate, pair.key)
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[str] = []

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_tunnel, args=(plain, tls, seen), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1], ca.certificate, seen
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(2)


def _tunnel(plain: socket.socket, tls: ssl.SSLContext, seen: list[str]) -> None:
    try:
        client = tls.wrap_socket(plain, server_side=True)
    except OSError:
        return  # the client does not believe us
    with client:
        line = client.recv(65536).split(b"\r\n")[0].decode()
        seen.append(line)
        port = int(line.split()[1].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            client.settimeout(0.02)
            server.settimeout(0.02)
            while True:  # by turns: a TLS socket is not for two threads
                for source, target in ((client, server), (server, client)):
                    try:
                        data = source.recv(65536)
                    except TimeoutError:
                        continue
                    except OSError:
                        return
                    if not data:
                        return
                    target.sendall(data)


def test_tls_goes_through_a_proxy_that_speaks_tls_itself(
    tmp_path: Path, secure_proxy: tuple[int, Path, list[str]]
) -> None:
    port, ca, seen = secure_proxy
    inner = tmp_path / "inner"
    inner.mkdir()
    theirs = authority(inner)
    pair = issue(theirs, inner, "server", alternative="DNS:a.example")
    trust = Trust(ca_files=(ca, theirs.certificate))
    data = bytes(range(256)) * 1000
    with (
        serving(server_tls(pair.certificate, pair.key)) as server,
        quick_client(
            proxies=Proxies(https=Url.parse(f"https://127.0.0.1:{port}")), trust=trust, stall=5
        ) as client,
    ):
        server.file("/x", data)
        server.answer("/up", 201)
        for _ in range(2):
            with client.request("GET", f"https://a.example:{server.port}/x") as response:
                assert response.read() == data
        with client.request("PUT", f"https://a.example:{server.port}/up", body=data) as response:
            assert response.status == 201
        assert server.requests[-1].body == data
        assert seen == [f"CONNECT a.example:{server.port} HTTP/1.1"]


def test_a_proxy_that_nobody_vouches_for_gets_no_request(
    secure_proxy: tuple[int, Path, list[str]],
) -> None:
    port, _, seen = secure_proxy
    with (
        quick_client(proxies=Proxies(https=Url.parse(f"https://127.0.0.1:{port}"))) as client,
        pytest.raises(ProxyFailed, match="cannot be trusted"),
    ):
        client.request("GET", "https://a.example:1/x")
    assert not seen
