"""Answers as hostile or broken servers send them, against the whole client in each way there is."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from builders.certificates import authority, issue
from builders.http_server import server_tls
from builders.net import quick_client
from builders.scripted_server import WAYS, answers, cut, listening, read_head, reset, scripted
from homeport.net.errors import (
    BadResponse,
    ConnectionCut,
    NetError,
    ProxyFailed,
    Stalled,
    TlsError,
)
from homeport.net.proxies import Proxies
from homeport.net.response_check import LONGEST_HEAD
from homeport.net.retries import ONCE
from homeport.net.tls_settings import Trust
from homeport.net.url import Url

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FORGED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BODY = b"b" * (32 << 20)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# What comes behind an answer.


@pytest.mark.parametrize("pause", [0.0, 0.05], ids=["at once", "a moment later"])
def test_bytes_behind_an_answer_never_become_the_next_one(
    way: str, tmp_path: Path, pause: float
) -> None:
    sent = threading.Semaphore(0)

    def script(sock: socket.socket, _number: int) -> None:
        while read_head(sock):
            if pause:
                sock.sendall(OK)
                time.sleep(pause)
                sock.sendall(FORGED)
            else:
                sock.sendall(OK + FORGED)
            sent.release()

    with scripted(way, tmp_path, script) as place, place.client() as client:
        for _ in range(3):
            with client.request("GET", place.url, rule=ONCE) as response:
                assert response.read() == b"ok"
            assert sent.acquire(timeout=5)
            time.sleep(2 * pause)  # a proxy has to carry the bytes, too
        assert len(place.connections) == 3, "no connection is used again"


def test_a_connection_whose_answers_are_whole_is_used_again(way: str, tmp_path: Path) -> None:
    with scripted(way, tmp_path, answers(OK, OK, OK)) as place, place.client() as client:
        for _ in range(3):
            with client.request("GET", place.url) as response:
                assert response.read() == b"ok"
        assert len(place.connections) == 1


@pytest.mark.parametrize("secure", [False, True])
def test_bytes_behind_the_answer_to_connect_end_the_tunnel(tmp_path: Path, secure: bool) -> None:
    ca = authority(tmp_path)
    pair = issue(ca, tmp_path, "proxy", alternative="IP:127.0.0.1")
    tls = server_tls(pair.certificate, pair.key)

    def proxy(plain: socket.socket, _number: int) -> None:
        with tls.wrap_socket(plain, server_side=True) if secure else plain as sock:
            read_head(sock)
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + FORGED)
            sock.recv(65536)

    with listening(proxy) as port:
        url = Url.parse(f"{'https' if secure else 'http'}://127.0.0.1:{port}")
        with (
            quick_client(
                proxies=Proxies(https=url), trust=Trust(ca_files=(ca.certificate,))
            ) as client,
            pytest.raises(ProxyFailed, match="data after its response to CONNECT"),
        ):
            client.request("GET", "https://a.example/", rule=ONCE)


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 403 Forbidden\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
     b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000, b"SSH-2.0-OpenSSH\r\n", b""],
    ids=["refusal", "endless line", "endless header", "not HTTP", "nothing"],
)  # fmt: skip
def test_a_tunnel_that_the_proxy_does_not_open_is_its_fault(answer: bytes) -> None:
    with (
        listening(answers(answer)) as port,
        quick_client(proxies=Proxies(https=Url.parse(f"http://127.0.0.1:{port}"))) as client,
        pytest.raises(ProxyFailed) as caught,
    ):
        client.request("GET", "https://a.example/", rule=ONCE)
    assert f"127.0.0.1:{port}" in caught.value.what


# Early answers.


@pytest.mark.parametrize("status", [b"413 Too Large", b"401 Unauthorized", b"307 Elsewhere"])
def test_an_early_refusal_is_reported_though_the_server_closes(
    way: str, tmp_path: Path, status: bytes
) -> None:
    def script(sock: socket.socket, _number: int) -> None:
        read_head(sock)
        sock.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 3\r\n\r\nwhy")
        linger(sock, 1.0)

    with (
        scripted(way, tmp_path, script) as place,
        place.client() as client,
        client.request("PUT", place.url, body=BODY, rule=ONCE, follow=False) as response,
    ):
        assert response.status == int(status[:3])
        assert response.read() == b"why"


def linger(sock: socket.socket, seconds: float) -> None:
    """Read what still comes for a moment, as servers do before they close."""
    sock.settimeout(seconds)
    ends = time.monotonic() + seconds
    try:
        while time.monotonic() < ends and sock.recv(65536):
            pass
    except OSError:
        pass


@pytest.mark.parametrize("way", ["plain", "tls", "proxy"])
def test_a_server_that_answers_early_and_stops_reading_is_noticed_at_once(
    way: str, tmp_path: Path
) -> None:
    def script(sock: socket.socket, _number: int) -> None:
        read_head(sock)
        sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        time.sleep(3)

    with scripted(way, tmp_path, script) as place, place.client(stall=30.0) as client:
        began = time.monotonic()
        with client.request("PUT", place.url, body=BODY, rule=ONCE) as response:
            assert response.status == 413
        assert time.monotonic() - began < 2.5, "long before the stall limit of 30 s"


@pytest.mark.parametrize("way", ["plain", "tls"])
def test_an_interim_answer_does_not_end_the_body(way: str, tmp_path: Path) -> None:
    received = bytearray()

    def script(sock: socket.socket, _number: int) -> None:
        data = read_head(sock)
        sock.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
        received.extend(data.partition(b"\r\n\r\n")[2])
        while len(received) < len(BODY):
            received.extend(sock.recv(1 << 20))
        sock.sendall(OK)

    with (
        scripted(way, tmp_path, script) as place,
        place.client() as client,
        client.request("PUT", place.url, body=BODY, rule=ONCE) as response,
    ):
        assert response.read() == b"ok"
    assert bytes(received) == BODY


# Bodies and their ends.


@pytest.mark.parametrize("way", ["tls", "proxy", "tls-proxy"])
def test_a_tls_body_that_is_cut_without_close_notify_is_not_whole(way: str, tmp_path: Path) -> None:
    script = answers(b"HTTP/1.1 200 OK\r\n\r\nhalf of it", then=cut)
    with (
        scripted(way, tmp_path, script) as place,
        place.client() as client,
        client.request("GET", place.url, rule=ONCE) as response,
        pytest.raises(ConnectionCut),
    ):
        response.read()


@pytest.mark.parametrize("way", ["plain", "tls"])
def test_a_body_without_a_length_ends_with_the_connection(way: str, tmp_path: Path) -> None:
    def close(sock: socket.socket) -> None:
        if way == "tls":
            sock.unwrap()  # type: ignore[attr-defined]  # a TLS socket here

    with (
        scripted(way, tmp_path, answers(b"HTTP/1.0 200 OK\r\n\r\nall", then=close)) as place,
        place.client() as client,
        client.request("GET", place.url, rule=ONCE) as response,
    ):
        assert response.read() == b"all"


def test_a_body_shorter_than_its_length_is_cut(way: str, tmp_path: Path) -> None:
    script = answers(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", then=cut)
    with (
        scripted(way, tmp_path, script) as place,
        place.client() as client,
        client.request("GET", place.url, rule=ONCE) as response,
        pytest.raises(ConnectionCut, match="closed the connection after 4 B of 10 B"),
    ):
        response.read()


def test_a_reset_is_a_cut_too(tmp_path: Path) -> None:
    script = answers(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", then=reset)
    with (
        scripted("plain", tmp_path, script) as place,
        place.client() as client,
        client.request("GET", place.url, rule=ONCE) as response,
        pytest.raises(ConnectionCut),
    ):
        response.read()


# Heads and framing that are ambiguous or without end.


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"Content-Length: 2\r\nTransfer-Encoding: chunked", "both Content-Length and"),
        (b"Content-Length: 2\r\nContent-Length: 3", "invalid Content-Length"),
        (b"Content-Length: 2, 3", "invalid Content-Length"),
        (b"Content-Length: 2, 2", "invalid Content-Length"),
        (b"Content-Length: +2", "invalid Content-Length"),
        (b"Content-Length: -2", "invalid Content-Length"),
        (b"Content-Length: 0x2", "invalid Content-Length"),
        (b"Content-Length: 1_0", "invalid Content-Length"),
        (b"Content-Length: ", "invalid Content-Length"),
        (b"Content-Length: 99999999999999999999", "invalid Content-Length"),
        (b"Transfer-Encoding: gzip, chunked", "unsupported transfer encoding"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "unsupported transfer"),
        (b"Transfer-Encoding: xchunked", "unsupported transfer encoding"),
        (b"X-Folded: a\r\n b\r\nContent-Length: 2", "invalid header line"),
        (b" X: y\r\nContent-Length: 2", "invalid header line"),
        (b"no colon\r\nContent-Length: 2", "invalid header line"),
        (b"Content-Length : 2", "invalid header line"),
        (b"X: a\rContent-Length: 9\r\nContent-Length: 2", "invalid header line"),
        (b"X: a\0b\r\nContent-Length: 2", "invalid header line"),
        (b"X: " + b"y" * 70_000, "too long"),
        (b"X: y\r\n" * 20_000, "too long"),
        (b"X: y\r\n" * 200, "100 headers"),
    ],
)
def test_an_ambiguous_head_is_refused(tmp_path: Path, head: bytes, why: str) -> None:
    script = answers(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\nok")
    with (
        scripted("plain", tmp_path, script) as place,
        place.client() as client,
        pytest.raises(BadResponse, match=why),
    ):
        client.request("GET", place.url, rule=ONCE)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 100, BadResponse),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 100, BadResponse),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", BadResponse),
        (b"HTTP/1.1 099 Odd\r\n\r\n", ConnectionCut),
        (b"HTTP/2 200\r\n\r\n", ConnectionCut),
        (b"SSH-2.0-OpenSSH\r\n", ConnectionCut),
        (b"ok", ConnectionCut),
        (b"HTTP/1.1 200", ConnectionCut),
    ],
)
def test_what_never_becomes_an_answer_is_refused(
    way: str, tmp_path: Path, raw: bytes, kind: type[NetError]
) -> None:
    with (
        scripted(way, tmp_path, answers(raw)) as place,
        place.client() as client,
        pytest.raises(kind),
    ):
        client.request("GET", place.url, rule=ONCE)


@pytest.mark.parametrize("kept", [False, True], ids=["new connection", "kept connection"])
def test_a_head_that_comes_byte_by_byte_is_no_progress(
    way: str, tmp_path: Path, kept: bool
) -> None:
    def script(sock: socket.socket, _number: int) -> None:
        if kept:
            read_head(sock)
            sock.sendall(OK)
        read_head(sock)
        for byte in OK * 2:
            sock.sendall(bytes([byte]))
            time.sleep(0.05)

    with scripted(way, tmp_path, script) as place, place.client(stall=0.5) as client:
        if kept:
            with client.request("GET", place.url, rule=ONCE) as response:
                assert response.read() == b"ok"
        began = time.monotonic()
        with pytest.raises(Stalled):
            client.request("GET", place.url, rule=ONCE)
        assert time.monotonic() - began < 1.5, "though a byte came every 0.05 s"


def test_interim_answers_are_passed_over(way: str, tmp_path: Path) -> None:
    raw = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK
    with (
        scripted(way, tmp_path, answers(raw)) as place,
        place.client() as client,
        client.request("GET", place.url, rule=ONCE) as response,
    ):
        assert response.read() == b"ok"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"x\r\n", "invalid chunk size"),
        (b"+3\r\nabc\r\n0\r\n\r\n", "invalid chunk size"),
        (b"0x3\r\nabc\r\n0\r\n\r\n", "invalid chunk size"),
        (b"1_0\r\nabc\r\n0\r\n\r\n", "invalid chunk size"),
        (b"-3\r\nabc\r\n0\r\n\r\n", "invalid chunk size"),
        (b"3\r\nabcd\r\n0\r\n\r\n", "longer than its size"),
        (b"1" * 5000 + b"\r\n", "too long"),
        (b"3;" + b"x" * (4 << 20) + b"\r\nabc\r\n0\r\n\r\n", "too long"),
        (b"0\r\n" + b"a: b\r\n" * 101 + b"\r\n", "more than 100 trailer fields"),
        (b"0\r\na: " + b"b" * 9000 + b"\r\n\r\n", "too long"),
        (b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n", "bytes on average"),
    ],
)
def test_chunks_that_do_not_add_up_are_refused(tmp_path: Path, body: bytes, why: str) -> None:
    with (
        scripted("plain", tmp_path, answers(CHUNKED + body)) as place,
        place.client() as client,
        client.request("GET", place.url, rule=ONCE) as response,
        pytest.raises(BadResponse, match=why),
    ):
        response.read()


def test_chunks_with_extensions_and_trailers_are_read(way: str, tmp_path: Path) -> None:
    body = b'3;name="a b"\r\nabc\r\n5 \r\ndefgh\r\n0\r\nX-After: y\r\n\r\n'
    with (
        scripted(way, tmp_path, answers(CHUNKED + body, OK)) as place,
        place.client() as client,
    ):
        with client.request("GET", place.url, rule=ONCE) as response:
            assert response.read() == b"abcdefgh"
        with client.request("GET", place.url, rule=ONCE) as response:
            assert response.read() == b"ok"
        assert len(place.connections) == 1


def test_a_head_and_trailers_are_read_up_to_their_limits(tmp_path: Path) -> None:
    start, end = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: ", b"\r\n\r\n"
    padding = b"y" * (LONGEST_HEAD - len(start) - len(end))
    trailers = b"a: b\r\n" * 100 + b"\r\n"
    whole = start + padding + end + b"2\r\nok\r\n0\r\n" + trailers
    with (
        scripted("plain", tmp_path, answers(whole)) as place,
        place.client() as client,
        client.request("GET", place.url, rule=ONCE) as response,
    ):
        assert response.read() == b"ok"
    longer = whole.replace(padding, padding + b"y")
    with (
        scripted("plain", tmp_path, answers(longer)) as place,
        place.client() as client,
        pytest.raises(BadResponse, match="too long"),
    ):
        client.request("GET", place.url, rule=ONCE)


# Whom to believe.


def test_a_common_name_without_an_alternative_name_proves_nothing(tmp_path: Path) -> None:
    ca = authority(tmp_path)
    pair = issue(ca, tmp_path, "server", alternative="", common_name="localhost")
    tls = server_tls(pair.certificate, pair.key)
    with (
        listening(lambda plain, _n: tls.wrap_socket(plain, server_side=True).close()) as port,
        quick_client(trust=Trust(ca_files=(ca.certificate,))) as client,
        pytest.raises(TlsError, match="certificate not trusted"),
    ):
        client.request("GET", f"https://localhost:{port}/", rule=ONCE)


def test_a_registrys_trust_is_not_used_for_the_proxy(tmp_path: Path) -> None:
    ca = authority(tmp_path)
    pair = issue(ca, tmp_path, "proxy", alternative="IP:127.0.0.1")
    tls = server_tls(pair.certificate, pair.key)
    seen: list[bytes] = []

    def proxy(plain: socket.socket, _number: int) -> None:
        with tls.wrap_socket(plain, server_side=True) as sock:
            seen.append(read_head(sock))

    with listening(proxy) as port:
        proxies = Proxies(https=Url.parse(f"https://127.0.0.1:{port}"))
        for trust in (Trust(verify=False), Trust(ca_files=(ca.certificate,))):
            with (
                quick_client(proxies=proxies) as client,
                pytest.raises(ProxyFailed, match="certificate not trusted"),
            ):
                client.request("GET", "https://a.example/", trust=trust, rule=ONCE)
    assert seen == []
