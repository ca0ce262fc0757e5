"""Fewer requests at once to a host that answers "too many"."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack

import pytest

from builders.http_server import Fault, Server, serving
from builders.net import quick_client
from homeport.net.rate_limiter import RateLimiter

HOST = "registry.example"


def nothing() -> None:
    pass


def refused(limiter: RateLimiter, beside: int, status: int = 429) -> None:
    """A refusal while ``beside`` other requests are under way."""
    with ExitStack() as others:
        for _ in range(beside):
            others.enter_context(limiter.slot(HOST, nothing))(200)
        with limiter.slot(HOST, nothing) as answered:
            answered(status)


def test_nobody_waits_as_long_as_nothing_is_refused() -> None:
    limiter = RateLimiter()
    with ExitStack() as inside:
        for _ in range(100):
            inside.enter_context(limiter.slot(HOST, nothing))(200)
    assert limiter.allowed(HOST) is None


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_halves_how_many_may_be_under_way(status: int) -> None:
    limiter = RateLimiter()
    refused(limiter, beside=7, status=status)
    allowed = limiter.allowed(HOST)
    assert allowed is not None
    assert 4 <= allowed < 7  # half of eight, and what went well beside it
    assert limiter.allowed("other.example") is None


def test_one_burst_of_refusals_counts_once() -> None:
    limiter = RateLimiter()
    with ExitStack() as burst:
        for _ in range(8):
            burst.enter_context(limiter.slot(HOST, nothing))(429)
    assert limiter.allowed(HOST) == 4


def test_what_goes_well_lets_more_in_again() -> None:
    limiter = RateLimiter()
    refused(limiter, beside=0)
    assert limiter.allowed(HOST) == 1
    for _ in range(10):
        with limiter.slot(HOST, nothing) as answered:
            answered(200)
    allowed = limiter.allowed(HOST)
    assert allowed is not None
    assert allowed > 3


def test_who_finds_no_place_waits_for_one() -> None:
    limiter = RateLimiter()
    refused(limiter, beside=0)
    entered = threading.Event()

    def second() -> None:
        with limiter.slot(HOST, nothing):
            entered.set()

    with ThreadPoolExecutor(1) as pool:
        with limiter.slot(HOST, nothing):
            waiting = pool.submit(second)
            assert not entered.wait(0.2)
        wait([waiting])
    assert entered.is_set()


def test_a_wait_can_be_called_off() -> None:
    limiter = RateLimiter()
    refused(limiter, beside=0)

    def stop() -> None:
        raise TimeoutError

    with limiter.slot(HOST, nothing), pytest.raises(TimeoutError), limiter.slot(HOST, stop):
        pass


def test_the_client_learns_from_answers() -> None:
    with serving() as server, quick_client() as client:
        assert_learned(server, client)


def assert_learned(server: Server, client) -> None:
    server.file("/a", b"x")
    server.faults.append(Fault(status=429))
    with client.request("GET", server.url("/a")) as response:
        assert response.status == 200
    assert client._limiter.allowed(f"127.0.0.1:{server.port}") is not None
