"""The wheels that a release is made of: those that constraints.txt pins, and the checkout's own.

For ``make_deb`` and ``make_pex``; nothing is compiled. Needs PyPI and git.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
#: Debian's name → that of wheels. Other machines lack wheels (docs/limits.md).
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
#: Wheels for these glibc versions run on bookworm and all that is newer; those of pip's own order.
GLIBC = ("manylinux2014", "manylinux_2_17", "manylinux_2_24", "manylinux_2_28", "manylinux_2_34")


def pip(*words: str | Path, **environment: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *words],
        env={**os.environ, **environment}, check=True,
    )  # fmt: skip


def options_for(python: str, architecture: str) -> list[str]:
    """Which wheels pip takes: for a version of Python (``3.13``) on a machine (``amd64``)."""
    tag = python.replace(".", "")
    return [
        "--only-binary", ":all:", "--implementation", "cp", "--python-version", python,
        *(f"--abi={abi}" for abi in (f"cp{tag}", "abi3", "none")),
        *(f"--platform={glibc}_{MACHINES[architecture]}" for glibc in GLIBC),
    ]  # fmt: skip


def download_pinned(folder: Path, options: list[str]) -> None:
    """The wheels of constraints.txt, by their hashes."""
    pip("download", "--no-deps", "--require-hashes", "-r", REPOSITORY / "constraints.txt",
        "--dest", folder, *options)  # fmt: skip


def build_own(folder: Path, work: Path, epoch: int) -> None:
    """Homeport's wheel, of what git lists. ``work`` is of this call alone."""
    pip("wheel", "--no-deps", "--wheel-dir", folder, _source(work), SOURCE_DATE_EPOCH=str(epoch))


def release_epoch() -> int:
    """SOURCE_DATE_EPOCH, by default the time of the last commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is None:
        given = subprocess.run(
            ["git", "-C", REPOSITORY, "log", "-1", "--format=%ct"],
            stdout=subprocess.PIPE, text=True, check=True,
        ).stdout  # fmt: skip
    return int(given)


def _source(source: Path) -> Path:
    """What the wheel is made of, without what a checkout gathers."""
    listed = subprocess.run(
        ["git", "-C", REPOSITORY, "ls-files", "-z", "--cached", "--others",
         "--exclude-standard", ".gitignore", "LICENSE", "README.md", "pyproject.toml",
         "docs", "src",
         "CHANGELOG.md"],
        stdout=subprocess.PIPE, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.decode().split("\0")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (REPOSITORY / name).is_file():
            shutil.copy(REPOSITORY / name, source / name)
    return source
