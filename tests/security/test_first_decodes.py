"""No command dies while several threads decode a type for the first time.

msgspec 0.22.0 crashes there (docs/decisions/decoders.md). Each run is a fresh process whose threads
switch every microsecond.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from builders.images import index
from builders.inspection import file, layer, made
from builders.runtime import runtime
from builders.small_registry import small_registry
from homeport.cli.main import run
from homeport.images.address import LayoutAddress
from homeport.images.transports.oci_layout import OciLayout

RUNS = 8
#: Runs the command of its arguments, each time in a child that has loaded no command yet.
FRESH = """
import os, sys
sys.setswitchinterval(1e-6)
from homeport.cli.main import run
nowhere = os.open(os.devnull, os.O_WRONLY)
codes = []
for _ in range(int(sys.argv[1])):
    child = os.fork()
    if not child:
        os.dup2(nowhere, 1)
        os._exit(run(sys.argv[2:]))
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(codes)
"""


def codes_of(*arguments: str, folder: Path, runs: int = RUNS) -> list[int]:
    """The exit code of each run; negative for a signal."""
    environment = {**os.environ, "HOMEPORT_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(runs), *arguments],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: list[int] = json.loads(done.stdout)
    return found


def layout(folder: Path, name: str) -> str:
    image = made(*(layer(file(f"f{n}", f"{name} {n}".encode())) for n in range(8)))
    OciLayout(LayoutAddress(path=folder / name, tag="1")).write(image, runtime())
    return f"oci:{folder / name}:1"


@pytest.mark.parametrize(
    "command",
    ["inspect ONE --files", "extract ONE f0 -o -", "diff ONE TWO", "inspect ONE --verify"],
)
def test_a_second_look_at_several_layers_reads_their_lists_on_threads(
    command: str, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        command = command.replace(name.upper(), layout(tmp_path, name))
    assert codes_of(*command.split(), folder=tmp_path, runs=1 + RUNS) == [0] * (1 + RUNS)


def test_an_audit_reads_many_manifests_on_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "own"))
    both = index([made(layer(file("a")), platform=p) for p in ("linux/amd64", "linux/arm64")])
    OciLayout(LayoutAddress(path=tmp_path / "both", tag="1")).write(both, runtime())
    (tmp_path / "project").mkdir()
    with small_registry() as registry:
        names = [f"{registry.host}/b{number}:1" for number in range(8)]
        for name in names:
            assert run(["push", f"oci:{tmp_path / 'both'}:1", name]) == 0
        lines = "".join(f"FROM {name} AS s{number}\n" for number, name in enumerate(names))
        (tmp_path / "project/Dockerfile").write_text(lines)
        codes = codes_of("audit", str(tmp_path / "project"), "--online", folder=tmp_path)
    assert min(codes) >= 0
