"""The retry table: which request, which failure, how often, how long to wait.

This is the only place that decides it; docs/registry.md shows the same table and a test
compares the two. Nothing below retries. Waits grow exponentially
with full jitter; a server's ``Retry-After`` is obeyed, within ``LONGEST_WAIT``.
"""

from __future__ import annotations

import email.utils
import os
from collections.abc import Callable
from typing import TypeVar

import msgspec

from homeport.net.clock import Clock, Deadline, SystemClock
from homeport.net.errors import NetError
from homeport.net.response import Response
from homeport.progress import CancelToken

T = TypeVar("T")

_REREADS = 4  # how often a short body is read at most
LONGEST_WAIT = 900.0  # the longest Retry-After that is obeyed, in seconds
#: How long a host to which no connection came about is not tried again, and in which time its
#: tries must begin: without a network, a hundred downloads fail at once and not one by one.
UNREACHABLE_FOR = 10.0
_CONNECT_PATIENCE = 6.0
_TOLD_FOR = 30.0  # seconds in which one cause of retries at one host is told once

#: Answers that mean "not now": overload, time-outs, and the gateway errors of CDNs.
NOT_NOW = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table.

    attempts:         how often the request is made at most when responses or connections fail
    connect_attempts: how often at most when no connection comes about (nothing was sent)
    statuses:         answers after which it is made again
    after_cut:        whether it is made again when the connection broke after it was sent
    base, cap:        first and longest own wait in seconds
    """

    name: str
    attempts: int = 5
    connect_attempts: int = 3
    statuses: frozenset[int] = NOT_NOW
    after_cut: bool = True
    base: float = 0.5
    cap: float = 30.0


READ = Rule(name="read")
"""GET and HEAD: nothing changes at the server, so everything may be made again."""

RESUME = Rule(name="resume", after_cut=False)
"""GET of a blob: after a cut the download itself goes on where it stopped
(``net.download`` counts those tries)."""

START_UPLOAD = Rule(name="start-upload")
"""POST that opens an upload session: an orphan session is harmless."""

SEND_PIECE = Rule(name="send-piece", attempts=1)
"""PATCH and PUT of blob bytes: the upload asks for the offset first, then goes on there
(``registry.upload`` counts the tries)."""

PUT_MANIFEST = Rule(name="put-manifest")
"""PUT of a manifest: the same bytes under the same name, as often as needed."""

DELETE = Rule(name="delete", attempts=3)
"""DELETE: repeating it has no further effect."""

TOKEN = Rule(name="token", attempts=4)
"""GET or POST to a token service."""

ONCE = Rule(name="once", attempts=1, connect_attempts=1, after_cut=False)
"""A request that is never retried."""

TABLE = (READ, RESUME, START_UPLOAD, SEND_PIECE, PUT_MANIFEST, DELETE, TOKEN, ONCE)
"""All rows, in the order in which they are documented."""


def default_rule(method: str) -> Rule:
    """The row for a request of which nothing but the method is known."""
    return READ if method in ("GET", "HEAD") else ONCE


def _chance() -> float:
    """A number from 0 up to 1. Not from ``random``, whose import takes longer than a request."""
    return int.from_bytes(os.urandom(4), "big") / 2**32


class Retrier:
    """Makes one request as often as its rule allows.

    A 429 or 503 with ``Retry-After`` holds back every request to that host, not only the
    one that was told; a host that cannot be reached fails all of them for a while.
    """

    def __init__(self, clock: Clock | None = None, jitter: Callable[[], float] = _chance) -> None:
        self.clock = clock or SystemClock()
        self._jitter = jitter
        self._closed_until: dict[str, float] = {}
        self._unreachable: dict[str, tuple[float, NetError]] = {}
        self._told: dict[tuple[str, str], float] = {}

    def run(
        self,
        rule: Rule,
        host: str,
        attempt: Callable[[], Response],
        *,
        cancel: CancelToken,
        deadline: Deadline | None = None,
        on_retry: Callable[[str, float], None] = lambda _why, _wait: None,
    ) -> Response:
        """The first response that is not to be retried, or the last one, or its error."""
        began = self.clock.monotonic()
        for number in range(1, max(rule.attempts, rule.connect_attempts) + 1):
            self._wait_for_host(host, cancel, deadline)
            self._fail_if_unreachable(host, rule)
            wait = self.pause(rule, number)
            try:
                response = attempt()
            except NetError as error:
                late = error.unsent and self.clock.monotonic() - began > _CONNECT_PATIENCE
                if late or not _may_repeat(rule, error, number) or not _fits(wait, deadline):
                    if rule.connect_attempts > 1 and _is_unreachable(error, host):
                        until = self.clock.monotonic() + UNREACHABLE_FOR
                        self._unreachable[host] = until, error
                    raise
                why = error.what
            else:
                if response.status not in rule.statuses or number >= rule.attempts:
                    return response
                told = retry_after(response.headers.get("retry-after", ""), self.clock)
                wait = wait if told is None else told
                if wait > LONGEST_WAIT or not _fits(wait, deadline):
                    return response  # the caller reports the server's Retry-After
                why = f"{host} returned {response.status}"
                if told is not None and response.status in (429, 503):
                    self.hold(host, told)
                response.close()
            if self._is_news(host, why):
                on_retry(why, wait)
            self.clock.wait(wait, cancel)
        raise AssertionError("a rule allows at least one attempt")

    def reread(self, call: Callable[[], T], cancel: CancelToken) -> T:
        """``call`` asks and reads a short body; it is made again when the body is cut.

        What fails before the response was made again by ``run`` already.
        """
        for number in range(1, _REREADS):
            try:
                return call()
            except NetError as error:
                if not error.retryable or not error.answered:
                    raise
            self.clock.wait(self.pause(READ, number), cancel)
        return call()

    def hold(self, host: str, seconds: float) -> None:
        """Delay every request to ``host`` by its Retry-After."""
        self._closed_until[host] = self.clock.monotonic() + min(seconds, LONGEST_WAIT)

    def _fail_if_unreachable(self, host: str, rule: Rule) -> None:
        until, error = self._unreachable.get(host, (0.0, None))
        if error is not None and rule.connect_attempts > 1 and self.clock.monotonic() < until:
            raise error.again()

    def _is_news(self, host: str, why: str) -> bool:
        now = self.clock.monotonic()
        before = self._told.get((host, why))
        self._told[host, why] = now
        return before is None or now - before > _TOLD_FOR

    def pause(self, rule: Rule, number: int) -> float:
        """Our own wait after attempt ``number``: exponential, full jitter."""
        return min(rule.cap, rule.base * 2.0 ** (number - 1)) * (0.5 + 0.5 * self._jitter())

    def _wait_for_host(self, host: str, cancel: CancelToken, deadline: Deadline | None) -> None:
        left = self._closed_until.get(host, 0.0) - self.clock.monotonic()
        if left > 0 and (deadline is None or left < deadline.left()):
            self.clock.wait(left, cancel)


def _may_repeat(rule: Rule, error: NetError, number: int) -> bool:
    if error.unsent:
        return error.retryable and number < rule.connect_attempts
    return error.retryable and rule.after_cut and number < rule.attempts


def _is_unreachable(error: NetError, host: str) -> bool:
    """Whether it is this host that no connection came about to, not one that it redirects to."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return error.unsent and error.retryable and error.where.get("host") in (host, name)


def _fits(wait: float, deadline: Deadline | None) -> bool:
    return deadline is None or wait < deadline.left()


def retry_after(value: str, clock: Clock) -> float | None:
    """Seconds that a ``Retry-After`` header asks for; ``None`` if it says nothing useful.

    Both forms (RFC 9110, 10.2.3): seconds and a date. A date in the past, a negative or an
    unreadable value mean that our own wait is used.
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        seconds = float(value[:12])
        if seconds > 1_000_000_000:  # some servers send a Unix time instead of seconds
            seconds -= clock.time()
        return seconds if seconds >= 0 else None
    try:
        when = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    seconds = when.timestamp() - clock.time()
    return seconds if seconds > 0 else None
