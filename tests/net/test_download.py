"""Downloads survive what networks do, and never hand out a wrong byte."""

from __future__ import annotations

import gzip
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.http_server import Fault, Server, free_port, serving
from builders.net import FakeClock, quick_client
from homeport.content.blob import Blob, verified
from homeport.content.digest import Digest
from homeport.content.files import CannotWrite
from homeport.content.store import Store
from homeport.errors import IntegrityError, Interrupted, TooLarge
from homeport.net import connection_pool, errors
from homeport.net.download import download, fetch_small
from homeport.net.retries import UNREACHABLE_FOR
from homeport.progress import CancelToken, Silent

DATA = bytes(range(256)) * 512
DIGEST = Digest.of(DATA)
CHUNKED = {"Transfer-Encoding": "chunked"}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def fetch(store: Store, *urls: str, digest: Digest = DIGEST, size: int = len(DATA)) -> Blob:
    with quick_client() as client:
        return download(client, urls, digest=digest, size=size, store=store)


def check(blob: Blob) -> None:
    assert verified(blob).readall() == DATA


def partial_files(store: Store) -> list[Path]:
    return list((store.root / "partial").iterdir())


def test_a_file_is_fetched_once(server: Server, store: Store) -> None:
    url = server.file("/a", DATA)
    check(fetch(store, url))
    check(fetch(store, url))
    assert server.paths() == ["/a"]
    assert partial_files(store) == []


@pytest.mark.parametrize(
    "faults",
    [
        [Fault(cut_at=1000)],
        [Fault(close_at=1000)],
        [Fault(cut_at=0), Fault(cut_at=1), Fault(cut_at=2)],
        [Fault(stall_at=5000)],
        [Fault(status=503), Fault(cut_at=70_000), Fault(status=502)],
        [Fault(cut_at=1000), Fault(ignore_range=True)],
        [Fault(cut_at=1000), Fault(status=416)],
        [Fault(raw=b""), Fault(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 131072\r\n\r\nabc")],
        [Fault(flip=77)],
        [Fault(cut_at=50_000), Fault(flip=77)],
        [Fault(body=DATA[:-1])],
        [Fault(body=DATA + b"!")],
        [Fault(headers=CHUNKED, body=b"20000\r\n" + DATA + b"\r\n0\r\n\r\n")],
        [Fault(headers=CHUNKED, body=b"20000\r\n" + DATA[:99], close_at=99)],
    ],
)  # fmt: skip
def test_the_file_is_right_whatever_happens(
    server: Server, store: Store, faults: list[Fault]
) -> None:
    url = server.file("/a", DATA)
    server.faults += faults
    check(fetch(store, url))
    assert server.faults == []
    assert partial_files(store) == []


WRONG_RANGE = {"Content-Range": f"bytes 7-131071/{len(DATA)}"}


@pytest.mark.parametrize("left", [b"", DATA[:100_000], b"x" * 100_000, DATA + b"!"])
@pytest.mark.parametrize(
    "faults",
    [
        [],
        [Fault(cut_at=1000)],
        [Fault(ignore_range=True)],
        [Fault(cut_at=1000), Fault(ignore_range=True)],
        [Fault(status=416)],
        [Fault(cut_at=1000), Fault(status=416)],
        [Fault(status=206, headers=WRONG_RANGE, body=DATA[7:])],
        [Fault(flip=7)],
        [Fault(body=DATA[:-1])],
        [Fault(headers=CHUNKED, body=b"20001\r\n" + DATA + b"!\r\n0\r\n\r\n")],
    ],
)  # fmt: skip
def test_progress_is_what_has_arrived_whatever_happens(
    server: Server, store: Store, left: bytes, faults: list[Fault]
) -> None:
    """``left``: what an earlier run left behind."""
    counted: list[int] = []

    class Counting(Silent):
        def advance(self, id: str, n: int) -> None:
            counted.append(n)
            assert sum(counted) >= 0

    with store.partial(DIGEST) as stream:
        stream.write(left)
    url = server.file("/a", DATA)
    server.faults += faults
    with quick_client() as client:
        urls = [url] * 3
        check(
            download(client, urls, digest=DIGEST, size=len(DATA), store=store, progress=Counting())
        )
    assert sum(counted) == len(DATA)


def test_after_a_cut_only_the_rest_is_asked_for(server: Server, store: Store) -> None:
    url = server.file("/a", DATA)
    server.faults.append(Fault(close_at=100_000))
    check(fetch(store, url))
    assert server.requests[1].headers["range"] == "bytes=100000-"


def test_a_later_run_goes_on_where_an_earlier_one_stopped(server: Server, store: Store) -> None:
    url = server.file("/a", DATA)
    server.faults += [Fault(close_at=100_000), *[Fault(status=404)]]
    with pytest.raises(errors.HttpFailure):
        fetch(store, url)
    server.requests.clear()
    check(fetch(store, url))
    assert server.requests[0].headers["range"] == "bytes=100000-"


def test_damage_twice_is_refused_and_nothing_is_kept(server: Server, store: Store) -> None:
    url = server.file("/a", DATA[:-1] + b"x")
    with pytest.raises(IntegrityError) as caught:
        fetch(store, url)
    assert len(server.requests) == 2
    assert caught.value.where["url"] == url
    assert store.get(DIGEST) is None
    assert all(path.stat().st_size == 0 for path in partial_files(store))


def test_the_next_server_is_tried_when_one_fails(server: Server, store: Store) -> None:
    bad = server.file("/damaged", b"x" * len(DATA))
    good = server.file("/a", DATA)
    dead = f"http://127.0.0.1:{free_port()}/a"
    check(fetch(store, server.url("/missing"), dead, bad, good))


def test_a_web_page_instead_of_the_file_has_its_own_message(server: Server, store: Store) -> None:
    url = server.answer("/a", 200, b"<html>log in", Content_Type="text/html; charset=utf-8")
    with pytest.raises(errors.BadResponse, match="a web page instead of the file") as caught:
        fetch(store, url)
    assert "login page" in str(caught.value.hint)


def test_a_file_that_a_proxy_compressed_is_noticed(server: Server, store: Store) -> None:
    squeezed = gzip.compress(DATA)
    url = server.answer("/a", 200, squeezed, Content_Encoding="gzip")
    with pytest.raises(errors.BadResponse, match=r"compressed \(gzip\)"):
        fetch(store, url)


def test_a_file_that_is_compressed_by_itself_stays_as_it_is(server: Server, store: Store) -> None:
    """Web servers mark .gz files so; the digest is over what they hold."""
    squeezed = gzip.compress(DATA)
    url = server.answer("/a.gz", 200, squeezed, Content_Encoding="x-gzip")
    blob = fetch(store, url, digest=Digest.of(squeezed), size=len(squeezed))
    assert verified(blob).readall() == squeezed


def test_a_missing_file_names_the_url(server: Server, store: Store) -> None:
    with pytest.raises(errors.HttpFailure, match="404 Not Found") as caught:
        fetch(store, server.url("/none"))
    assert caught.value.where["status"] == 404


def test_an_empty_file_is_a_file(server: Server, store: Store) -> None:
    url = server.file("/a", b"")
    assert fetch(store, url, digest=Digest.of(b""), size=0).size == 0


def test_a_cut_that_never_ends_is_given_up(server: Server, store: Store) -> None:
    url = server.file("/a", DATA)
    server.faults += [Fault(cut_at=0)] * 50
    with pytest.raises(errors.ConnectionCut):
        fetch(store, url)


def test_a_server_that_refuses_to_go_on_is_asked_from_the_start(
    server: Server, store: Store
) -> None:
    """416 to what it had sent a moment ago: another file, or another server behind the name."""
    url = server.file("/a", DATA)
    server.faults += [Fault(cut_at=70_000), Fault(status=416)]
    check(fetch(store, url))
    ranges = [request.headers.get("range") for request in server.requests]
    assert ranges[0] is None
    assert ranges[1] is not None
    assert ranges[2:] == [None]


def test_cancelling_keeps_what_arrived(server: Server, store: Store) -> None:
    url = server.file("/a", DATA)
    cancel = CancelToken()

    class CancelEarly(Silent):
        def advance(self, id: str, n: int) -> None:
            cancel.cancel()

    with quick_client(cancel=cancel) as client, pytest.raises(Interrupted):
        download(client, [url], digest=DIGEST, size=len(DATA), store=store, progress=CancelEarly())
    (partial,) = partial_files(store)
    kept = partial.stat().st_size
    assert 0 < kept <= len(DATA)
    check(fetch(store, url))
    expected = [None] if kept == len(DATA) else [None, f"bytes={kept}-"]
    assert [request.headers.get("range") for request in server.requests] == expected


def test_a_small_file_is_bounded(server: Server) -> None:
    url = server.file("/a", DATA)
    with quick_client() as client:
        assert fetch_small(client, url, len(DATA)) == DATA
        with pytest.raises(TooLarge):
            fetch_small(client, url, 100)


def test_a_small_file_that_was_cut_is_asked_for_again(server: Server) -> None:
    url = server.file("/a", DATA)
    server.faults += [Fault(cut_at=10), Fault(close_at=20)]
    clock = FakeClock()
    with quick_client(clock=clock) as client:
        assert fetch_small(client, url, 1 << 20) == DATA
    assert len(clock.waits) == 2


def test_a_full_disk_is_named_and_the_next_run_goes_on(server: Server, store: Store) -> None:
    url = server.file("/a", DATA)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, hard))  # as good as a full disk
    try:
        with pytest.raises(CannotWrite, match="cannot write"):
            fetch(store, url)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.get(DIGEST) is None
    check(fetch(store, url))


@pytest.mark.parametrize(("size_known", "tries"), [(True, 4), (False, 5)])
def test_tries_do_not_multiply(server: Server, store: Store, size_known: bool, tries: int) -> None:
    """A download counts cuts itself, so the request below it must not be made again as well."""
    server.faults += [Fault(raw=b"")] * 40
    with pytest.raises(errors.NetError), quick_client() as client:
        if size_known:
            download(client, [server.url("/a")], digest=DIGEST, size=len(DATA), store=store)
        else:
            fetch_small(client, server.url("/a"), 100)
    assert len(server.requests) == tries


def test_without_a_network_a_hundred_downloads_fail_at_once_and_say_so_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, notes = [], []

    def unresolved(host: bytes, *_args: object, **_more: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    class Noting(Silent):
        def note(self, id: str, text: str) -> None:
            notes.append(text)

    monkeypatch.setattr(socket, "getaddrinfo", unresolved)
    clock = FakeClock()
    with quick_client(clock=clock) as client:
        for number in range(100):
            digest = Digest.of(bytes([number]))
            with pytest.raises(errors.NameServerBusy, match=r"cannot resolve mirror\.example"):
                download(
                    client, [f"http://mirror.example/{number}"], digest=digest, size=1,
                    store=store, progress=Noting(),
                )  # fmt: skip
    assert len(asked) == 3
    assert sum(clock.waits) < 10
    assert notes == [
        "cannot resolve mirror.example: the DNS server did not respond; retrying in 0.5 s"
    ]


def test_a_host_is_tried_again_when_it_may_be_back(
    server: Server, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.file("/a", DATA)
    clock = FakeClock()
    with quick_client(clock=clock) as client:
        with monkeypatch.context() as patch:
            patch.setattr(connection_pool, "open_socket", _refused)
            with pytest.raises(errors.Refused):
                download(client, [url], digest=DIGEST, size=len(DATA), store=store)
        with pytest.raises(errors.Refused):
            download(client, [url], digest=DIGEST, size=len(DATA), store=store)
        clock.now += UNREACHABLE_FOR
        check(download(client, [url], digest=DIGEST, size=len(DATA), store=store))


def _refused(host: str, port: int, *_args: object, **_more: object) -> None:
    raise errors.Refused(f"cannot connect to {host}", where={"host": host, "port": port})
