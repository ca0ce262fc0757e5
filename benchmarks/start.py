"""How long short commands take, and what ending at once and rare garbage collection bring.

    python benchmarks/start.py [--build]

Wall time (best of N) against its limit; then processor time (median) of a command as it is,
without ``os._exit`` (cli/main.py), and without the garbage collector's threshold (__main__.py).
With --build: a build of seven platforms with nothing to do, and a second look at its result;
the first build may download.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 12
COMMANDS: tuple[tuple[list[str], int], ...] = ((["--version"], 80), (["--help"], 150))
WITHOUT = {
    "as it is": "",
    "without os._exit": "import homeport.cli.main as m; m._may_end_at_once = lambda: False",
    "without gc.set_threshold": "import gc; gc.set_threshold = lambda *a: None",
}


def run(arguments: list[str], prelude: str = "") -> tuple[float, float]:
    """Wall and processor time, in ms."""
    code = f"import sys; sys.argv = ['homeport', *{arguments!r}]\n{prelude}\n"
    code += "from homeport.__main__ import main; main()"
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"homeport {' '.join(arguments)} failed")
    return (time.perf_counter() - began) * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def row(arguments: list[str], limit: int) -> None:
    best = min(run(arguments)[0] for _ in range(ROUNDS))
    print(f"{' '.join(arguments[:3]):40} {best:7.0f} ms   limit {limit} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--build", action="store_true")
    options = parser.parse_args()
    for arguments, limit in COMMANDS:
        row(arguments, limit)
    if options.build:
        with tempfile.TemporaryDirectory() as folder:
            build = ["build", "dockerfile-copy", "-o", f"oci:{folder}/out"]
            look = ["inspect", f"oci:{folder}/out:latest"]
            run(build)
            row(build, 300)
            run(look)
            row(look, 300)
    for arguments in (
        ["--version"],
        ["catalog", "list"],
        ["audit", f"{os.path.dirname(__file__)}/README.md"],
    ):
        times: dict[str, list[float]] = {name: [] for name in WITHOUT}
        for _ in range(ROUNDS):
            for name, prelude in WITHOUT.items():
                times[name].append(run(arguments, prelude)[1])
        found = ", ".join(f"{name} {statistics.median(ms):.0f}" for name, ms in times.items())
        print(f"{arguments[0]:40} {found} ms of processor time")


if __name__ == "__main__":
    main()
