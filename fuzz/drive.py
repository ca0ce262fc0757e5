"""Runs fuzz targets: guided by coverage, or over mutations of their seeds."""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import importlib.util
import itertools
import math
import subprocess
import sys
import time
import traceback
from pathlib import Path

from fuzz import target as targets
from fuzz.mutations import mutations

_FOUND = Path(__file__).parent / "found"


def main() -> int:
    """Run what the command line names; 1 if a target broke its rule."""
    options = _options()
    failed = 0
    for name in options.target or targets.names():
        if options.input is not None:
            failed += not _try(targets.load(name), options.input.read_bytes())
        elif options.tries is not None:
            failed += not _mutate(name, options.tries, options.seed)
        elif importlib.util.find_spec("atheris") is not None:
            failed += not _guided(name, options.seconds)
        else:
            print("atheris is not installed: mutations alone, not guided by coverage")
            failed += not _mutate(name, None, options.seed, options.seconds)
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fuzz/run", description=__doc__)
    parser.add_argument("target", nargs="*", choices=[[], *targets.names()], metavar="TARGET",
                        help=f"{', '.join(targets.names())} [default: all]")  # fmt: skip
    parser.add_argument("--seconds", type=int, default=60, metavar="N",
                        help="Time for each target, guided by coverage. [default: 60]")  # fmt: skip
    parser.add_argument("--tries", type=int, metavar="N",
                        help="Mutations of each target's seeds, without atheris.")  # fmt: skip
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9, metavar="N",
                        help="Which mutations. [default: others each time]")  # fmt: skip
    parser.add_argument("--input", type=Path, metavar="FILE", help="Run one input again.")
    return parser.parse_args()


def _guided(name: str, seconds: int) -> bool:
    corpus = _FOUND / "corpus" / name
    _FOUND.mkdir(exist_ok=True)
    print(f"{name}: {seconds} s", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "fuzz.guided", name, str(corpus), f"-max_total_time={seconds}",
         f"-artifact_prefix={_FOUND}/{name}-"],
        check=False,
    )  # fmt: skip
    return done.returncode == 0


def _mutate(name: str, tries: int | None, seed: int, seconds: float = math.inf) -> bool:
    target = targets.load(name)
    seeds = target.seeds()
    targets.limit_memory()
    began = time.monotonic()
    inputs = itertools.chain(seeds, mutations(seeds, tries, seed, target.max_length))
    count = itertools.count(1)
    good = all(
        _try(target, data)
        for data in itertools.takewhile(lambda _: time.monotonic() - began < seconds, inputs)
        if next(count)
    )
    print(f"{name}: {next(count) - 1} inputs (--seed {seed}), {time.monotonic() - began:.1f} s")
    return good


def _try(target: targets.Target, data: bytes) -> bool:
    """Whether an input keeps to the rule; one that does not is saved and shown."""
    # For what does not return to Python, which the alarm cannot stop.
    faulthandler.dump_traceback_later(targets.SECONDS * 4, exit=True)
    try:
        target.run_timed(data)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        _FOUND.mkdir(exist_ok=True)
        path = _FOUND / f"{target.name}-{hashlib.sha256(data).hexdigest()[:16]}"
        path.write_bytes(data)
        traceback.print_exception(error)
        print(f"again: fuzz/run {target.name} --input {path}", file=sys.stderr)
        return False
    finally:
        faulthandler.cancel_dump_traceback_later()
    return True


if __name__ == "__main__":
    sys.exit(main())
