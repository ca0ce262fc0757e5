"""``homeport solve`` beside Debian's ``docker build`` on one engine: time, and what it is made of.

    python -P benchmarks/engine.py --engine unix:///run/docker.sock [--docker PROGRAM] [--small]

Makes contexts in a temporary folder: 20,000 small files, and one file of 500 MB. Each row
is the best of ``--rounds`` (first syncs are made once each, with a new context for each
program). The target: not slower than the client; a second sync of 20,000 unchanged files
under a second.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from homeport.buildkit.address import Surroundings, parse_engine
from homeport.buildkit.dockerfile import DockerfileBuild, prepare
from homeport.buildkit.protocol.control import Vertex
from homeport.buildkit.solve import Build, Solved, solve
from homeport.buildkit.status import Unwatched

DOCKERFILE = "FROM scratch\nCOPY . /\n"


class First(Unwatched):
    """When the first step of the build was heard of."""

    at: float | None = None

    def step(self, number: int, vertex: Vertex) -> None:
        if self.at is None:
            self.at = time.monotonic()


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--engine", required=True)
    asked.add_argument("--docker", default=shutil.which("docker") or "")
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--small", action="store_true", help="2,000 files and 50 MB")
    options = asked.parse_args()
    scale = 10 if options.small else 1
    with tempfile.TemporaryDirectory(prefix="homeport-bench-") as place:
        bench = Bench(options.engine, options.docker, Path(place), options.rounds)
        bench.first_vertex()
        bench.contexts(f"{20000 // scale} files", lambda root: many(root, 20000 // scale))
        bench.contexts(f"one file of {500 // scale} MB", lambda root: large(root, 500 // scale))


class Bench:
    def __init__(self, engine: str, docker: str, place: Path, rounds: int) -> None:
        self.engine = parse_engine(engine, Surroundings(environment=os.environ, home=place))
        self.docker = docker
        self.place = place
        self.rounds = rounds
        self.host = engine

    def first_vertex(self) -> None:
        """From the start of the program to the first step, in a process of its own."""
        context = self.new_context("tiny", lambda root: (root / "f").write_text("f"))
        best = []
        for _ in range(self.rounds):
            began = time.monotonic()
            self.program(context)
            best.append(time.monotonic() - began)
        heard = First()
        began = time.monotonic()
        solve(self.engine, prepare(DockerfileBuild(context=context)), listener=heard)
        row("from the call to the first step", (heard.at or began) - began, None)
        row("a build without changes, whole program", min(best), self.client(context))

    def contexts(self, name: str, fill: Callable[[Path], object]) -> None:
        ours = self.new_context(f"ours {name}", fill)
        build = prepare(DockerfileBuild(context=ours))
        first = self.transfer(build)
        again = min(self.transfer(build) for _ in range(self.rounds))
        theirs = self.new_context(f"theirs {name}", fill)
        client_first = self.client(theirs, once=True)
        row(f"{name}: first sync and build", first, client_first)
        row(f"{name}: again, nothing changed", again, self.client(theirs))

    def transfer(self, build: Build) -> float:
        began = time.monotonic()
        solved = solve(self.engine, build)
        took = time.monotonic() - began
        print(f"    of {took:.2f} s the context took {context_seconds(solved):.2f} s")
        return took

    def program(self, context: Path) -> None:
        subprocess.run(
            [sys.executable, "-m", "homeport", "solve", str(context), "--engine", self.host, "-q"],
            check=True, capture_output=True,
        )  # fmt: skip

    def client(self, context: Path, *, once: bool = False) -> float | None:
        if not self.docker:
            return None
        best = []
        for _ in range(1 if once else self.rounds):
            began = time.monotonic()
            done = subprocess.run(
                [self.docker, "build", "-q", str(context)],
                env={**os.environ, "DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "1"},
                capture_output=True, check=False,
            )  # fmt: skip
            if done.returncode:
                print(f"    docker build failed: {done.stderr.decode()[-200:]}")
                return None
            best.append(time.monotonic() - began)
        return min(best)

    def new_context(self, name: str, fill: Callable[[Path], object]) -> Path:
        context = self.place / name.replace(" ", "-")
        context.mkdir()
        (context / "Dockerfile").write_text(DOCKERFILE)
        fill(context)
        return context


def context_seconds(solved: Solved) -> float:
    for step in solved.steps.by_digest.values():
        if step.vertex.name == "[internal] load build context":
            return step.seconds or 0.0
    return 0.0


def many(root: Path, count: int) -> None:
    for number in range(count):
        folder = root / f"d{number % 100}"
        folder.mkdir(exist_ok=True)
        (folder / f"file-{number}").write_bytes(b"%d" % number * 50)


def large(root: Path, megabytes: int) -> None:
    with (root / "large").open("wb") as stream:
        for _ in range(megabytes):
            stream.write(os.urandom(1 << 20))


def row(name: str, ours: float, theirs: float | None) -> None:
    client = f"{theirs:8.2f} s docker build" if theirs is not None else ""
    print(f"{name:<45} {ours:8.2f} s homeport {client}", flush=True)


if __name__ == "__main__":
    main()
