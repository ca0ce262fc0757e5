"""One target under atheris, which looks for inputs that reach new code.

python -m fuzz.guided TARGET CORPUS -max_total_time=60
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import atheris
from fuzz import target as targets


def main() -> None:
    """Give the seeds to libFuzzer and run it; it ends the process."""
    name, corpus = sys.argv[1], Path(sys.argv[2])
    # A trace for every error of Sequoia takes a second.
    os.environ["RUST_BACKTRACE"] = os.environ["RUST_LIB_BACKTRACE"] = "0"
    # All of Homeport that the target imports, and no library: their code is not looked at.
    with atheris.instrument_imports(include=["homeport"], enable_loader_override=False):
        target = targets.load(name)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed[: target.max_length])
    options = [
        f"-timeout={targets.SECONDS * 2}",  # coverage slows the code down
        f"-rss_limit_mb={2048}",
        f"-max_len={target.max_length}",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, *sys.argv[3:], str(corpus)], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
