"""Which tests run where: ``full`` ones with HOMEPORT_FULL=1, ``root`` ones as root.

``.ci/run`` runs the main suite as an ordinary user, then all ``root`` tests and
``tests/peers`` as root, so that every test runs there.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest
from hypothesis import settings

from homeport import known_secrets

# A change must not fail for what chance found elsewhere: CI draws the same examples each time,
# ``.ci/run --full`` new ones. No deadline: the machine may be busy.
_FULL = os.environ.get("HOMEPORT_FULL") == "1"
settings.register_profile(
    "homeport", deadline=None, derandomize=os.environ.get("CI") == "true" and not _FULL
)
settings.load_profile("homeport")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    full = pytest.mark.skip(reason="runs with HOMEPORT_FULL=1 (.ci/run --full)")
    root = pytest.mark.skip(reason="needs root; .ci/run runs it")
    for item in items:
        if item.get_closest_marker("full") and not _FULL:
            item.add_marker(full)
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(root)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Long bytes name their case by length alone.

    Archives hold the time at which they were made: two workers that collect in different seconds
    would disagree about the names of the same tests, and the run would end before the first.
    """
    return f"{len(val)}-bytes" if isinstance(val, bytes) and len(val) > 64 else None


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """A command that a test runs in this process answers for signals; the next test does not.

    Ctrl-C is Python's own at first, also where the run was started with SIGINT ignored, or a
    fixture of a whole module ran a command.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in handlers.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute has passed since any file was written."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 60)


@pytest.fixture(autouse=True)
def no_secrets_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test keeps as a secret is not hidden in the messages of the next."""
    monkeypatch.setattr(known_secrets, "_secrets", {})
    monkeypatch.setattr(known_secrets, "_patterns", {})
