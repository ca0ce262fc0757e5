"""A fuzz target: where it is, and its rule.

The rule: ``fuzz_one`` raises nothing but what the target names in ``EXPECTED``, ends within
``SECONDS`` and never takes more than ``MEMORY``.
"""

from __future__ import annotations

import contextlib
import importlib
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

SECONDS = 5  # for one input
MEMORY = 1 << 30  # bytes of address space, beyond what the process has at its start
_FOLDER = Path(__file__).parent / "targets"


class TooSlow(BaseException):
    """An input takes longer than it may. Not an ``Exception``: no parser may catch it."""


@dataclass(frozen=True)
class Target:
    """One module of ``fuzz/targets``."""

    name: str
    fuzz_one: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    expected: tuple[type[Exception], ...]
    max_length: int

    def run(self, data: bytes) -> None:
        """Try one input; what it raises breaks the rule."""
        with contextlib.suppress(*self.expected):
            self.fuzz_one(data)

    def run_timed(self, data: bytes, seconds: float = SECONDS) -> None:
        """The same, but raise ``TooSlow`` when the time is over."""
        before = signal.signal(signal.SIGALRM, _too_slow)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            self.run(data)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def names() -> list[str]:
    """Every target."""
    return sorted(path.stem for path in _FOLDER.glob("*.py"))


def load(name: str) -> Target:
    """The target of a name."""
    module = importlib.import_module(f"fuzz.targets.{name}")
    return Target(name, module.fuzz_one, module.seeds, module.EXPECTED, module.MAX_LENGTH)


def limit_memory(more: int = MEMORY) -> None:
    """From now on this process raises ``MemoryError`` when it asks for ``more`` bytes."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + more, resource.RLIM_INFINITY))


def _too_slow(_number: int, _frame: FrameType | None) -> None:
    raise TooSlow
