"""Run a random sample of Cosmic Ray's mutants of one module against some tests.

Cosmic Ray is no dependency of Homeport: install it in an environment of its own and name its
program. It rewrites the module while it runs, so run this in a copy of the checkout.

    git worktree add /tmp/copy && cd /tmp/copy && ./dev setup
    python tools/mutation_sample.py --cosmic-ray ~/cr/bin/cosmic-ray --count 40 \
        src/homeport/net/address_class.py tests/net/test_address_class.py

A place in the code is drawn first, then one of its mutants; type annotations are left out.
What is printed: the counts, and each survivor's diff. tests/MUTANTS.md has the last record.
"""

from __future__ import annotations

import argparse
import ast
import random
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

Place = tuple[int, int]

_CONFIG = """[cosmic-ray]
module-path = "{module}"
timeout = {timeout}
excluded-modules = []
test-command = "{python} -m pytest -x -q -p no:cacheprovider -n 0 --hypothesis-seed=0 {tests}"
[cosmic-ray.distributor]
name = "local"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Run a random sample of mutants of one module")
    parser.add_argument("--cosmic-ray", default="cosmic-ray", help="the program")
    parser.add_argument("--count", type=int, default=40, help="mutants to try [default: 40]")
    parser.add_argument("--seed", type=int, default=14, help="of the sample [default: 14]")
    parser.add_argument("--timeout", type=int, default=60, help="seconds a mutant [default: 60]")
    parser.add_argument("module", type=Path)
    parser.add_argument("tests", nargs="+")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config, session = Path(folder, "config.toml"), Path(folder, "session.sqlite")
        config.write_text(
            _CONFIG.format(
                module=given.module,
                timeout=given.timeout,
                python=sys.executable,
                tests=" ".join(given.tests),
            )
        )
        program = [given.cosmic_ray]
        subprocess.run([*program, "init", config, session], check=True, capture_output=True)
        with sqlite3.connect(session) as database:
            total = draw(database, given.module.read_text(), given.count, given.seed)
        subprocess.run([*program, "exec", config, session], check=True)
        with sqlite3.connect(session) as database:
            report(database, given.module, total)


def draw(database: sqlite3.Connection, source: str, count: int, seed: int) -> int:
    """Keep ``count`` mutants in the session, each at a place of its own; how many there were."""
    rows = database.execute(
        "select job_id, start_pos_row, start_pos_col from mutation_specs"
        " order by start_pos_row, start_pos_col, operator_name, occurrence"
    ).fetchall()
    left_out = annotations(source)
    by_place: dict[Place, list[str]] = {}
    for job, row, column in rows:
        if not any(start <= (row, column) < end for start, end in left_out):
            by_place.setdefault((row, column), []).append(job)
    chance = random.Random(seed)  # noqa: S311  a sample that can be drawn again
    places = chance.sample(sorted(by_place), min(count, len(by_place)))
    kept = {chance.choice(by_place[place]) for place in places}
    for job, _, _ in rows:
        if job not in kept:
            database.execute("delete from mutation_specs where job_id = ?", (job,))
            database.execute("delete from work_items where job_id = ?", (job,))
    return len(by_place)


def annotations(source: str) -> list[tuple[Place, Place]]:
    """Where the type annotations are, as (start, end)."""
    nodes: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.arg | ast.AnnAssign):
            nodes.append(node.annotation)
        elif isinstance(node, ast.FunctionDef):
            nodes.append(node.returns)
    return [
        ((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0))
        for node in nodes
        if node is not None
    ]


def report(database: sqlite3.Connection, module: Path, places: int) -> None:
    outcomes = database.execute(
        "select test_outcome, diff from work_results order by job_id"
    ).fetchall()
    survivors = [diff for outcome, diff in outcomes if outcome.lower().endswith("survived")]
    print(
        f"{module}: {places} places, {len(outcomes)} mutants tried,"
        f" {len(outcomes) - len(survivors)} killed, {len(survivors)} survived"
    )
    for diff in survivors:
        print("\n".join(line for line in diff.splitlines() if not line.startswith(("---", "+++"))))


if __name__ == "__main__":
    main()
