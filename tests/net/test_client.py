"""The HTTP client against a server that misbehaves."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.certificates import authority, issue
from builders.http_server import Fault, Server, free_port, server_tls, serving
from builders.net import FakeClock, quick_client
from builders.networks import PUBLIC, Hosts
from homeport.content.blob import BytesBlob, FileBlob
from homeport.content.digest import Digest
from homeport.errors import Interrupted, TooLarge
from homeport.net import connection_pool, errors, retries
from homeport.net.address_class import AddressClass
from homeport.net.client import Client
from homeport.net.clock import Deadline
from homeport.net.connect import open_socket
from homeport.net.credentials import Credential
from homeport.net.response import Sender
from homeport.net.tls_settings import Trust
from homeport.net.url import Url
from homeport.progress import CancelToken

DATA = bytes(range(256)) * 64


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def test_a_get_answers_with_status_headers_and_body(server: Server) -> None:
    url = server.file("/a", DATA, ETag='"x"')
    with quick_client() as client, client.request("GET", url) as response:
        assert response.status == 200
        assert response.headers["etag"] == '"x"'
        assert response.read() == DATA
    assert server.requests[0].headers["user-agent"].startswith("homeport/")
    assert server.requests[0].headers["accept-encoding"] == "identity"


def test_any_status_is_an_answer(server: Server) -> None:
    with quick_client() as client, client.request("GET", server.url("/none")) as response:
        assert response.status == 404
        assert response.read() == b"not here"


def test_one_connection_serves_many_requests(server: Server) -> None:
    url = server.file("/a", DATA)
    with quick_client() as client:
        for _ in range(5):
            with client.request("GET", url) as response:
                response.read()
        with client.request("HEAD", url) as response:
            assert response.length == len(DATA)
            assert response.read() == b""
    assert server.connections == 1


def test_a_stale_connection_is_replaced(server: Server) -> None:
    url = server.file("/a", DATA)
    with quick_client() as client:
        with client.request("GET", url) as response:
            response.read()
        server.faults.append(Fault(raw=b""))  # closes the kept-alive connection instead
        with client.request("GET", url) as response:
            assert response.read() == DATA


@pytest.mark.parametrize("status", sorted(retries.NOT_NOW))
def test_an_answer_that_means_not_now_is_asked_again(server: Server, status: int) -> None:
    url = server.file("/a", DATA)
    server.faults += [Fault(status=status)] * 2
    clock = FakeClock()
    with quick_client(clock=clock) as client, client.request("GET", url) as response:
        assert response.read() == DATA
    assert clock.waits == [0.5, 1.0]


def test_after_the_last_try_the_answer_is_handed_over(server: Server) -> None:
    server.answer("/a", 503)
    with quick_client() as client, client.request("GET", server.url("/a")) as response:
        assert response.status == 503
    assert len(server.requests) == retries.READ.attempts


def test_a_request_of_unknown_effect_is_made_once(server: Server) -> None:
    server.answer("/a", 503)
    with quick_client() as client, client.request("POST", server.url("/a"), body=b"x") as response:
        assert response.status == 503
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("value", "waits"),
    [
        ("7", [7.0]),
        ("Tue, 14 Nov 2023 22:13:29 GMT", [9.0]),
        ("1700000004", [4.0]),
        ("Tue, 14 Nov 2000 22:13:29 GMT", [0.5]),
        ("-5", [0.5]),
        ("soon", [0.5]),
        ("", [0.5]),
    ],
)
def test_every_form_of_retry_after_is_understood(
    server: Server, value: str, waits: list[float]
) -> None:
    url = server.file("/a", DATA)
    server.faults.append(Fault(status=429, headers={"Retry-After": value}))
    clock = FakeClock()
    with quick_client(clock=clock) as client, client.request("GET", url) as response:
        assert response.read() == DATA
    assert clock.waits == waits


def test_a_wait_beyond_reason_is_handed_over(server: Server) -> None:
    url = server.file("/a", DATA)
    server.faults.append(Fault(status=429, headers={"Retry-After": "999999"}))
    with quick_client() as client, client.request("GET", url) as response:
        assert response.status == 429


def test_a_wait_beyond_the_deadline_is_handed_over(server: Server) -> None:
    url = server.file("/a", DATA)
    server.faults.append(Fault(status=429, headers={"Retry-After": "60"}))
    clock = FakeClock()
    deadline = Deadline.after(30, clock)
    with (
        quick_client(clock=clock) as client,
        client.request("GET", url, deadline=deadline) as response,
    ):
        assert response.status == 429


def test_a_host_that_said_wait_is_left_alone_by_every_request(server: Server) -> None:
    url = server.file("/a", DATA)
    server.file("/b", DATA)
    server.faults.append(Fault(status=429, headers={"Retry-After": "20"}, path="/a"))
    clock = FakeClock()
    with quick_client(clock=clock) as client:
        once = retries.ONCE
        client.retrier._closed_until[Url.parse(url).netloc] = clock.now + 20
        with client.request("GET", server.url("/b"), rule=once) as response:
            assert response.read() == DATA
    assert clock.waits == [20]


def test_a_body_is_sent_again_from_the_start_after_a_cut(server: Server, tmp_path: Path) -> None:
    server.answer("/up", 201)
    path = tmp_path / "blob"
    path.write_bytes(DATA)
    blob = FileBlob(path, Digest.of(DATA), len(DATA))
    server.faults += [Fault(request_cut_at=1000), Fault(status=503), Fault(raw=b"")]
    with (
        quick_client() as client,
        client.request("PUT", server.url("/up"), body=blob, rule=retries.PUT_MANIFEST) as response,
    ):
        assert response.status == 201
    assert [one.body for one in server.requests[-1:]] == [DATA]
    assert server.requests[-1].headers["content-length"] == str(len(DATA))
    assert "transfer-encoding" not in server.requests[-1].headers
    assert not server.faults


@pytest.mark.parametrize("secure", [False, True])
def test_a_file_is_sent_as_it_is(tmp_path: Path, secure: bool) -> None:
    ca = authority(tmp_path)
    pair = issue(ca, tmp_path, "server")
    data = bytes(range(256)) * 40_000
    path = tmp_path / "blob"
    path.write_bytes(data)
    blob = FileBlob(path, Digest.of(data), len(data))
    sent: list[int] = []
    with (
        serving(server_tls(pair.certificate, pair.key) if secure else None) as server,
        quick_client(trust=Trust(ca_files=(ca.certificate,)), stall=5) as client,
    ):
        server.answer("/up", 201)
        for offset, length in ((0, len(data)), (5, 1000), (7, len(data) - 7)):
            with client.request(
                "PUT", server.url("/up"), body=blob, offset=offset, length=length,
                on_sent=sent.append,
            ):  # fmt: skip
                pass
            assert server.requests[-1].body == data[offset : offset + length]
    assert sum(sent) == len(data) + 1000 + len(data) - 7


def test_a_part_of_a_body_can_be_sent(server: Server) -> None:
    server.answer("/up", 202)
    sent: list[int] = []
    with (
        quick_client() as client,
        client.request(
            "PATCH", server.url("/up"), body=BytesBlob(DATA), offset=10, length=20,
            on_sent=sent.append,
        ),
    ):  # fmt: skip
        pass
    assert server.requests[0].body == DATA[10:30]
    assert sum(sent) == 20


def test_an_empty_body_says_so(server: Server) -> None:
    server.answer("/up", 202)
    with quick_client() as client, client.request("POST", server.url("/up"), body=b""):
        pass
    assert server.requests[0].headers["content-length"] == "0"


def test_content_that_shrinks_while_it_is_sent_is_noticed(server: Server, tmp_path: Path) -> None:
    server.answer("/up", 201)
    path = tmp_path / "blob"
    path.write_bytes(b"short")
    blob = FileBlob(path, Digest.of(DATA), 1000)
    with (
        quick_client() as client,
        pytest.raises(errors.SourceChanged, match="995 B early"),
    ):
        client.request("PUT", server.url("/up"), body=blob)


def test_a_header_that_would_be_two_is_not_sent(server: Server) -> None:
    clock = FakeClock()
    with (
        quick_client(clock=clock) as client,
        pytest.raises(errors.NetError, match="invalid value for the header X-Note"),
    ):
        client.request("GET", server.url("/a"), headers={"X-Note": "a\r\nX-Other: b"})
    assert not server.requests
    assert not clock.waits


def test_an_answer_that_is_cut_is_an_error(server: Server) -> None:
    url = server.file("/a", DATA)
    for fault in (Fault(cut_at=100), Fault(close_at=100)):
        server.faults.append(fault)
        with (
            quick_client() as client,
            client.request("GET", url) as response,
            pytest.raises(errors.ConnectionCut),
        ):
            response.read()


def test_silence_is_noticed(server: Server) -> None:
    url = server.file("/a", DATA)
    server.faults.append(Fault(stall_at=100))
    with (
        quick_client() as client,
        client.request("GET", url) as response,
        pytest.raises(errors.Stalled),
    ):
        response.read()


def test_a_byte_now_and_then_is_silence_too(server: Server) -> None:
    url = server.file("/a", DATA)
    server.faults.append(Fault(drip=0.05))
    with (
        quick_client() as client,
        client.request("GET", url) as response,
        pytest.raises(errors.Stalled, match="almost no data"),
    ):
        while response.read(100):
            client.clock.wait(0.1, client.cancel)


def test_a_cancelled_client_stops_at_the_next_read(server: Server) -> None:
    url = server.file("/a", DATA)
    cancel = CancelToken()
    with quick_client(cancel=cancel) as client, client.request("GET", url) as response:
        response.read(10)
        cancel.cancel()
        with pytest.raises(Interrupted):
            response.read(10)


def test_abort_wakes_whoever_waits(server: Server) -> None:
    url = server.file("/a", DATA)
    server.faults.append(Fault(stall_at=100))
    with quick_client(stall=30) as client, client.request("GET", url) as response:
        threading.Timer(0.1, client.abort).start()
        with pytest.raises(Interrupted):
            response.read()


def test_abort_reaches_a_connection_that_is_only_just_opening(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = connection_pool.open_socket

    def slow(*where: Any) -> tuple[socket.socket, AddressClass]:
        opened = really(*where)
        client.abort()
        return opened

    monkeypatch.setattr(connection_pool, "open_socket", slow)
    server.file("/a", DATA)
    with quick_client(stall=30) as client, pytest.raises(Interrupted):
        client.request("GET", server.url("/a"))
    assert server.requests == []  # nothing was sent, so no answer was waited for


def test_abort_wakes_whoever_waits_in_a_handshake() -> None:
    begun = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent, quick_client(stall=10) as client:
        threading.Timer(0.3, client.abort).start()
        with pytest.raises(Interrupted):
            client.request("GET", f"https://127.0.0.1:{silent.getsockname()[1]}/")
    assert time.monotonic() - begun < 8


def test_a_refused_connection_is_tried_three_times() -> None:
    clock = FakeClock()
    url = f"http://127.0.0.1:{free_port()}/"
    with quick_client(clock=clock) as client, pytest.raises(errors.Refused, match="refused"):
        client.request("GET", url)
    assert len(clock.waits) == 2


def test_an_unknown_name_is_told() -> None:
    with (
        quick_client() as client,
        pytest.raises(errors.NameNotFound, match=r"nowhere\.invalid"),
    ):
        client.request("GET", "http://nowhere.invalid/")


def test_plain_http_where_tls_was_expected_is_told(server: Server) -> None:
    server.file("/a", DATA)
    with quick_client() as client, pytest.raises(errors.TlsError, match="does not use TLS"):
        client.request("GET", f"https://127.0.0.1:{server.port}/a")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
)
def test_a_broken_answer_is_a_clear_error(server: Server, raw: bytes) -> None:
    server.faults.append(Fault(raw=raw))
    with (
        quick_client() as client,
        pytest.raises((errors.BadResponse, errors.ConnectionCut)),
    ):
        client.request("GET", server.url("/a"), rule=retries.ONCE)


def test_more_than_the_limit_is_refused(server: Server) -> None:
    url = server.file("/a", DATA)
    with (
        quick_client() as client,
        client.request("GET", url) as response,
        pytest.raises(TooLarge, match="100 B"),
    ):
        response.read_all(100)


def test_the_request_target_is_sent_byte_for_byte(server: Server) -> None:
    target = "/a%2fb?_state=q%3d+%2B=&x=%7e"
    with quick_client() as client, client.request("GET", server.url(target)):
        pass
    assert server.requests[0].path == target


def test_redirects_are_followed(server: Server) -> None:
    server.file("/b", DATA)
    server.answer("/a", 307, Location="/b")
    with quick_client() as client, client.request("GET", server.url("/a")) as response:
        assert response.read() == DATA
        assert str(response.url) == server.url("/b")


def test_a_body_follows_a_redirect_that_keeps_the_method(server: Server) -> None:
    server.answer("/a", 307, Location="/b")
    server.answer("/b", 201)
    with quick_client() as client, client.request("PUT", server.url("/a"), body=DATA) as response:
        assert response.status == 201
    assert [one.body for one in server.requests] == [DATA, DATA]


def test_a_redirect_that_would_turn_a_post_into_a_get_is_refused(server: Server) -> None:
    server.answer("/a", 301, Location="/b")
    with (
        quick_client() as client,
        pytest.raises(errors.RedirectRefused, match="would turn POST into GET"),
    ):
        client.request("POST", server.url("/a"), body=b"")


def test_a_redirect_loop_ends(server: Server) -> None:
    server.answer("/a", 302, Location="/a")
    with quick_client() as client, pytest.raises(errors.RedirectRefused, match="more than 10"):
        client.request("GET", server.url("/a"))
    assert len(server.requests) == 11


@pytest.mark.parametrize(
    "location", ["javascript:alert(1)", "file:///etc/passwd", "ftp://x/", "http://[bad/", " "]
)
def test_a_redirect_to_no_url_is_refused(server: Server, location: str) -> None:
    server.answer("/a", 302, Location=location)
    with (
        quick_client() as client,
        pytest.raises(errors.RedirectRefused, match="invalid redirect URL"),
    ):
        client.request("GET", server.url("/a"))


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "10.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "127.0.0.2",
     "[fd00::1]", "[::ffff:10.0.0.1]"],
)  # fmt: skip
def test_no_redirect_of_a_public_server_leads_into_a_private_network(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    hosts = Hosts(monkeypatch)
    public = hosts.name("public.example", PUBLIC)
    with serving(address=hosts.address(public)) as server:
        server.answer("/a", 302, Location=f"http://{host}:{server.port}/b")
        with quick_client() as client, pytest.raises(errors.ForbiddenAddress) as caught:
            client.request("GET", f"http://{public}:{server.port}/a")
        assert "public.example (a public address) refers to another" in caught.value.what
        assert server.paths() == ["/a"]


def test_a_configured_host_may_be_private(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(monkeypatch)
    public = hosts.name("public.example", PUBLIC)
    server.file("/b", DATA)
    with serving(address=hosts.address(public)) as first:
        first.answer("/a", 302, Location=f"http://localhost:{server.port}/b")
        with (
            quick_client(trusted_hosts=frozenset({"localhost"})) as client,
            client.request("GET", f"http://{public}:{first.port}/a") as response,
        ):
            assert response.read() == DATA


def test_a_url_that_a_server_named_is_treated_like_a_redirect(server: Server) -> None:
    home = Sender(url=Url.parse("https://registry.example/v2/"), address_class=AddressClass.PUBLIC)
    with quick_client() as client:
        with pytest.raises(errors.RedirectRefused, match="refused to follow a redirect"):
            client.request("GET", server.url("/a"), named_by=home)
        with pytest.raises(errors.ForbiddenAddress):
            client.request("GET", f"https://127.0.0.1:{server.port}/a", named_by=home)


def test_credentials_go_to_the_host_they_were_made_for(server: Server) -> None:
    server.file("/b", DATA)
    server.answer("/a", 302, Location=f"http://localhost:{server.port}/b")

    def provide(url: Url) -> Credential | None:
        return Credential(username="u", password="p") if url.host == "127.0.0.1" else None

    with (
        quick_client(credentials=provide, trusted_hosts=frozenset({"localhost"})) as client,
        client.request("GET", server.url("/a")) as response,
    ):
        assert response.status == 200
    assert [one.headers.get("authorization") for one in server.requests] == ["Basic dTpw", None]


@pytest.mark.parametrize("at", [0, 3])
def test_a_body_that_ends_no_more_ends_with_the_deadline_and_says_so(
    server: Server, at: int
) -> None:
    """It said that no data came for the minute after which a connection counts as silent."""
    url = server.file("/slow", b"x" * 100)
    server.faults.append(Fault(stall_at=at))
    with (
        Client() as client,
        pytest.raises(errors.DeadlinePassed, match=r"timed out after 0\.3 s"),
        client.request("GET", url, deadline=Deadline.after(0.3)) as response,
    ):
        response.read_all(1000)


def test_a_deadline_ends_the_work(server: Server) -> None:
    url = server.file("/a", DATA)
    clock = FakeClock()
    deadline = Deadline.after(5, clock)
    with (
        quick_client(clock=clock) as client,
        client.request("GET", url, deadline=deadline) as response,
    ):
        response.read(1)
        clock.now += 6
        with pytest.raises(errors.DeadlinePassed):
            response.read(1)


def test_threads_share_a_client(server: Server) -> None:
    url = server.file("/a", DATA)
    bodies: list[bytes] = []
    with quick_client() as client:

        def fetch() -> None:
            with client.request("GET", url) as response:
                bodies.append(response.read())

        threads = [threading.Thread(target=fetch) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert bodies == [DATA] * 8


def test_an_early_answer_to_a_body_is_read(server: Server) -> None:
    """A server may say 413 and close while we are still sending."""
    big = BytesBlob(b"x" * (8 << 20))
    server.faults.append(
        Fault(method="PUT", request_cut_at=0)
    )  # a reset without an answer is a cut …
    with quick_client() as client, pytest.raises(errors.ConnectionCut):
        client.request("PUT", server.url("/a"), body=big)


def test_a_client_needs_no_settings() -> None:
    with Client() as client:
        assert client.settings.stall == 60


def test_a_host_that_drops_packets_is_given_up_with_the_time_and_what_to_do() -> None:
    """A listener whose queue is full drops further attempts, as a firewall does."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        queue = [socket.socket() for _ in range(4)]
        try:
            for one in queue:
                one.setblocking(False)
                one.connect_ex(full.getsockname())
            with pytest.raises(errors.ConnectTimeout, match=r"no answer for 0\.3 s") as caught:
                open_socket("127.0.0.1", full.getsockname()[1], 0.3, AddressClass.LOOPBACK)
            assert "HOMEPORT_CONNECT_TIMEOUT" in caught.value.hint
        finally:
            for one in queue:
                one.close()
