"""Every fuzz target keeps to its rule over its seeds and some mutations; the rule is enforced.

``fuzz/run`` looks further, guided by coverage (``.ci/run --full``).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fuzz import target as targets
from fuzz.mutations import mutations

from homeport.errors import HomeportError

ROOT = Path(__file__).parents[1]
FULL = bool(os.environ.get("HOMEPORT_FULL"))
TRIES = 3000 if FULL else 300
SEED = time.time_ns() % 10**9 if FULL else 578831
MOST_SEEDS = 100_000  # bytes of all seeds of a target


def drive(*arguments: str, code: str = "-m fuzz.drive") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *code.split(maxsplit=1), *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": ".:tests:src"}, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip


@pytest.mark.parametrize("name", targets.names())
def test_a_target_keeps_to_its_rule(name: str) -> None:
    """Errors of its own alone, 5 s for an input, 1 GiB."""
    done = drive(name, "--tries", str(TRIES), "--seed", str(SEED))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", targets.names())
def test_seeds_are_few_and_good(name: str) -> None:
    target = targets.load(name)
    seeds = target.seeds()
    assert seeds
    assert sum(map(len, seeds)) < MOST_SEEDS
    assert max(map(len, seeds)) <= target.max_length
    assert sum(_is_taken(target, seed) for seed in seeds) > 0


def _is_taken(target: targets.Target, seed: bytes) -> bool:
    try:
        target.fuzz_one(seed)
    except target.expected:
        return False
    return True


def target_of(fuzz_one: Callable[[bytes], object]) -> targets.Target:
    return targets.Target("made", lambda data: fuzz_one(data) and None, list, (HomeportError,), 9)


def test_an_error_of_ours_is_right_and_any_other_breaks_the_rule() -> None:
    def refuse(_data: bytes) -> None:
        raise HomeportError("no")

    target_of(refuse).run_timed(b"")
    with pytest.raises(ZeroDivisionError):
        target_of(lambda data: 1 // len(data)).run_timed(b"")


def test_an_input_that_takes_too_long_breaks_the_rule() -> None:
    with pytest.raises(targets.TooSlow):
        target_of(lambda _data: time.sleep(30)).run_timed(b"", 0.1)


def test_memory_is_bounded() -> None:
    code = "from fuzz.target import limit_memory; limit_memory(); bytearray(2 << 30)"
    done = drive(code, code="-c")
    assert "MemoryError" in done.stderr


def test_an_input_that_breaks_the_rule_is_saved_and_named() -> None:
    code = (
        "import sys; from fuzz import drive, target;"
        "target.load = lambda name: target.Target(name, int, lambda: [b'x'], (), 9);"
        "sys.argv[1:] = ['deb', '--tries', '0']; sys.exit(drive.main())"
    )
    done = drive(code, code="-c")
    assert done.returncode == 1
    assert "ValueError: invalid literal for int()" in done.stderr
    path = Path(done.stderr.rpartition("--input ")[2].strip())
    assert path.read_bytes() == b"x"
    path.unlink()


def test_mutations_are_the_same_for_the_same_number_and_bounded() -> None:
    first, again = (list(mutations([b"abc", b"1" * 50], 200, 7, 60)) for _ in range(2))
    assert first == again
    assert len(set(first)) > 100
    assert max(map(len, first)) <= 60
