"""Build the pex of Homeport: one file that runs wherever Linux has a Python, for one machine.

    python tools/make_pex.py [--architecture amd64] DIRECTORY

The file holds the wheels that constraints.txt pins, for every Python that Homeport supports, and
starts with the ``python3`` of the machine. At the first start it unpacks what is for that Python
below ``$PEX_ROOT`` (by default ``~/.cache/pex``). Nothing is compiled. The same checkout gives the
same bytes: every time is SOURCE_DATE_EPOCH, by default that of the last commit.

Only amd64 and arm64: on the other platforms of Debian some wheels do not exist (docs/limits.md),
and a pex that compiled them would need their libraries. There is the image ``homeport``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.tags import compatible_tags, cpython_tags
from release_wheels import (
    GLIBC,
    MACHINES,
    REPOSITORY,
    build_own,
    download_pinned,
    options_for,
    pip,
    release_epoch,
)

from homeport import __version__

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
#: What writes the file. Its version decides the bytes.
PEX = "pex==2.105.2 --hash=sha256:5a4d73fbeab30ddf70e360971cb19b9fa80b2a29cfe83e786215fcdd5ef1af9d"


def main() -> None:
    """Build one file and print its path."""
    parser = argparse.ArgumentParser(
        prog="./dev pex",
        description=(__doc__ or "").partition("\n")[0],
        epilog="Needs PyPI. The same checkout gives the same bytes.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--architecture", choices=MACHINES, default="amd64", help="of the machine")
    parser.add_argument("directory", type=Path, help="where the file is written")
    asked = parser.parse_args()
    asked.directory.mkdir(parents=True, exist_ok=True)
    os.umask(0o022)
    result = asked.directory / f"homeport-{__version__}-linux-{asked.architecture}.pex"
    with tempfile.TemporaryDirectory(prefix="homeport-pex-") as work:
        build(Path(work), asked.architecture, result.resolve())
    print(result)


def build(work: Path, architecture: str, result: Path) -> None:
    wheels = work / "wheels"
    epoch = release_epoch()
    for python in PYTHONS:
        download_pinned(wheels, options_for(python, architecture))
    build_own(wheels, work / "source", epoch)
    tool = work / "tool"
    (work / "pex.txt").write_text(PEX + "\n")
    pip("install", "--no-deps", "--require-hashes", "--target", tool, "-r", work / "pex.txt")
    platforms = [_platform(work, python, MACHINES[architecture]) for python in PYTHONS]
    subprocess.run(
        [sys.executable, "-m", "pex", "-r", _pins(work), "--intransitive", "--no-pypi",
         "--find-links", wheels, *(f"--complete-platform={path}" for path in platforms),
         "--python-shebang", "/usr/bin/env python3",
         "--console-script", "homeport", "--venv", "--sh-boot",
         # Installed beforehand, wheels would lose the byte code that the catalog ships.
         "--no-pre-install-wheels",
         "--output-file", result],
        env={
            **os.environ, "PYTHONPATH": str(tool), "SOURCE_DATE_EPOCH": str(epoch),
            "PEX_ROOT": str(work / "root"),
        },
        check=True, stdout=sys.stderr,
    )  # fmt: skip


def _pins(folder: Path) -> Path:
    """What goes in, all of it by name: pex then has nothing to resolve."""
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pinned = [line.removesuffix(" \\") for line in lines if "==" in line and line[0].isalnum()]
    path = folder / "pins.txt"
    path.write_text("\n".join([f"homeport[explorer,docker-pkg]=={__version__}", *pinned]) + "\n")
    return path


def _platform(folder: Path, python: str, machine: str) -> Path:
    """What pex must know of a Python that is not here."""
    version = tuple(map(int, python.split(".")))
    systems = [f"{glibc}_{machine}" for glibc in reversed(GLIBC)]
    found = [
        *cpython_tags(version, platforms=systems),
        *compatible_tags(version, f"cp{python.replace('.', '')}", systems),
    ]
    path = folder / f"python{python}.json"
    environment = {
        "implementation_name": "cpython", "implementation_version": f"{python}.0",
        "os_name": "posix", "platform_machine": machine,
        "platform_python_implementation": "CPython", "platform_release": "",
        "platform_system": "Linux", "platform_version": "", "python_full_version": f"{python}.0",
        "python_version": python, "sys_platform": "linux",
    }  # fmt: skip
    path.write_text(
        json.dumps({"marker_environment": environment, "compatible_tags": list(map(str, found))})
    )
    return path


if __name__ == "__main__":
    main()
