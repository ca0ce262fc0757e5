"""COPY and ADD side by side with cp -a, GNU tar, rsync and, if given, the Go tool.

    python benchmarks/copying.py [--peer PATH] [--copy COMMAND] [--rounds N] [--only WORD] [--small]

All in one run on tmpfs, the programs in turn within each round; printed are the median of
each and the median of its ratios to the first in the same round, by the clock and of processor
time (all threads and children), which tells more on a busy machine. ``--peer`` is a built
``copy`` of tonistiigi/copy, ``--copy`` the command to measure as ours (default: the helper by
this interpreter, ``-ISB``).
"""

from __future__ import annotations

import sys

sys.path.pop(0)  # this directory: a module called copy there would hide Python's own

import argparse
import os
import resource
import shlex
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"
SCRIPT = """\
import sys
sys.path.insert(0, {source!r})
from homeport.copying.helper import main
import gc
import posix
gc.disable()
posix._exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """The same work done by several programs, the reference first."""

    title: str
    programs: dict[str, list[str]]
    target: str  # what the ratio of ours should be
    cwd: Path
    prepare: Callable[[], None] = lambda: None
    runs: int = 1  # of the program within one measurement


def main() -> None:
    options = arguments()
    root = Path(tempfile.mkdtemp(prefix="homeport-copy-", dir=options.directory))
    try:
        ours = shlex.split(options.copy) if options.copy else our_command(root)
        for contest in contests(root, ours, options.peer, small=options.small):
            if options.only in contest.title:
                show(contest, options.rounds)
    finally:
        shutil.rmtree(root)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--peer", metavar="PATH", help="the Go tool")
    parser.add_argument(
        "--copy", metavar="COMMAND", help="ours, if not the helper of this checkout"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", metavar="WORD", default="", help="of the title, as in tree")
    parser.add_argument("--small", action="store_true", help="a tenth of all sizes")
    parser.add_argument("--directory", default="/dev/shm", help="a tmpfs with 6 GB free")
    return parser.parse_args()


def our_command(root: Path) -> list[str]:
    script = root / "copy.py"
    script.write_text(SCRIPT.format(source=str(SOURCE)))
    return [sys.executable, "-ISB", str(script)]


def contests(root: Path, ours: list[str], peer: str | None, *, small: bool) -> Iterator[Contest]:
    part = 10 if small else 1
    go = {"go tool": [peer]} if peer else {}
    make_tree(root / "tree", 20_000 // part)
    yield contest_of_trees(root, ours, go)
    shutil.rmtree(root / "tree")
    fill(root / "big", (2 << 30) // part)
    yield contest_of_big_files(root, ours, go)
    (root / "big").unlink()
    make_mixed(root / "mixed", 500_000_000 // part)
    for option, name in (("-z", "t.tar.gz"), ("--zstd", "t.tar.zst")):
        subprocess.run(["tar", option, "-cf", name, "mixed"], cwd=root, check=True)
        yield contest_of_archives(root, ours, name)
        (root / name).unlink()
    shutil.rmtree(root / "mixed")
    (root / "one").write_bytes(b"x" * 1000)
    yield contest_of_starts(root, ours, go)


def contest_of_trees(root: Path, ours: list[str], go: dict[str, list[str]]) -> Contest:
    copies = {
        "cp -a": ["cp", "-a", f"{root}/tree/.", "o"],
        "homeport": [*ours, f"{root}/tree", "o"],
    }
    copies |= {"rsync": ["rsync", "-aHX", f"{root}/tree/", "o/"]} if shutil.which("rsync") else {}
    copies |= {name: [*tool, f"{root}/tree", "o"] for name, tool in go.items()}
    return Contest(
        title="a tree of small files", programs=copies, target="1.3", cwd=root,
        prepare=lambda: clear(root / "o"),
    )  # fmt: skip


def contest_of_big_files(root: Path, ours: list[str], go: dict[str, list[str]]) -> Contest:
    copies = {"cp -a": ["cp", "-a", f"{root}/big", "o"], "homeport": [*ours, f"{root}/big", "o"]}
    copies |= {name: [*tool, f"{root}/big", "o"] for name, tool in go.items()}
    return Contest(
        title="one big file", programs=copies, target="1.05", cwd=root,
        prepare=lambda: clear(root / "o"),
    )  # fmt: skip


def contest_of_archives(root: Path, ours: list[str], name: str) -> Contest:
    def prepare() -> None:
        clear(root / "o")
        (root / "o").mkdir()

    return Contest(
        title=f"unpacking {name}", target="1.1", cwd=root, prepare=prepare,
        programs={
            "GNU tar": ["tar", "-xf", f"{root}/{name}", "-C", "o"],
            "homeport": [*ours, "--rules=current", "--unpack", f"{root}/{name}", "o/"],
        },
    )  # fmt: skip


def contest_of_starts(root: Path, ours: list[str], go: dict[str, list[str]]) -> Contest:
    copies = {"cp -a": ["cp", "-a", f"{root}/one", "o"], "homeport": [*ours, f"{root}/one", "o"]}
    copies |= {name: [*tool, f"{root}/one", "o"] for name, tool in go.items()}
    return Contest(
        title="one small file, start to end", programs=copies, target="25 ms", cwd=root,
        prepare=lambda: clear(root / "o"), runs=10,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Took:
    """One run, in seconds: by the clock, and of processors."""

    wall: float
    processor: float


def show(contest: Contest, rounds: int) -> None:
    taken: dict[str, list[Took]] = {name: [] for name in contest.programs}
    for _ in range(rounds):
        for name, program in contest.programs.items():
            contest.prepare()
            taken[name].append(measured(program, contest.cwd, contest.runs))
    print(f"{contest.title} (target {contest.target})")
    first = next(iter(taken.values()))
    for name, runs in taken.items():
        wall = statistics.median(run.wall for run in runs)
        processor = statistics.median(run.processor for run in runs)
        beside = list(zip(runs, first, strict=True))
        by_clock = statistics.median(run.wall / other.wall for run, other in beside)
        of_processor = statistics.median(run.processor / other.processor for run, other in beside)
        print(
            f"  {name:<9} {wall * 1000:9.1f} ms {by_clock:5.2f} x"
            f"   processor {processor * 1000:9.1f} ms {of_processor:5.2f} x"
        )


def measured(program: list[str], cwd: Path, runs: int) -> Took:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    for _ in range(runs):
        subprocess.run(program, cwd=cwd, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Took(wall=wall / runs, processor=processor / runs)


def clear(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def make_tree(root: Path, count: int) -> None:
    for number in range(count):
        directory = root / f"d{number % 200}"
        if number < 200:
            directory.mkdir(parents=True)
        (directory / f"f{number}").write_bytes(b"x" * (number % 100 * 30))


def make_mixed(root: Path, size: int) -> None:
    """Files of many sizes, half noise and half text, as in a real root."""
    number = 0
    while size > 0:
        length = (200, 3_000, 40_000, 900_000)[number % 4]
        directory = root / f"d{number // 100}"
        directory.mkdir(parents=True, exist_ok=True)
        noise = os.urandom(length // 2)
        text = f"line {number} of a text that repeats itself\n".encode() * (length // 80 + 1)
        (directory / f"f{number}").write_bytes(noise + text)
        size -= length
        number += 1


def fill(path: Path, size: int) -> None:
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        for _ in range(size >> 20):
            file.write(block)


if __name__ == "__main__":
    main()
