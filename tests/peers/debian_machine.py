"""Debian trixie as a machine, and a release of Homeport for it.

The machine is an overlay over a folder that mmdebstrap made, thrown away after.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from homeport.cli.main import run as run_homeport
from peers.buildkit_engines import CHROOTS, missing

USER = "reader"
_REPOSITORY = Path(__file__).parents[2]


class Machine:
    """What is written lies in ``upper``."""

    def __init__(self, base: Path, work: Path) -> None:
        for name in ("upper", "work", "root"):
            (work / name).mkdir()
        self._mounts = (
            f"mount -t overlay overlay -o lowerdir={base},upperdir={work}/upper,"
            f"workdir={work}/work {work}/root && "
            f"mount -t proc proc {work}/root/proc && mount --rbind /dev {work}/root/dev && "
        )
        self.root = work / "root"
        self.upper = work / "upper"

    def run(self, script: str, user: str = "root") -> subprocess.CompletedProcess[str]:
        inside = "exec chroot {root} runuser -u {user} -- env -i HOME=/home/{user} LANG=C.UTF-8" \
            " PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin DEBIAN_FRONTEND=noninteractive" \
            ' sh -c "$1"'  # fmt: skip
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-ec",
             self._mounts + inside.format(root=self.root, user=user), "sh", script],
            capture_output=True, text=True, check=False,
        )  # fmt: skip


def trixie(work: Path) -> Machine:
    """A machine that can ask mirrors. Needs root."""
    base = Path(os.environ.get(CHROOTS, "/nonexistent"), "trixie")
    if not (base / "usr/bin/apt-get").exists():
        missing(f"{CHROOTS} names no folder with a trixie chroot")
    found = Machine(base, work)
    (found.upper / "etc").mkdir()
    (found.upper / "etc/resolv.conf").write_bytes(Path("/etc/resolv.conf").read_bytes())
    return found


def release(tool: str, folder: Path, umask: int, *options: str) -> Path:
    """The file that a tool of the checkout makes in ``folder``."""
    done = subprocess.run(
        [sys.executable, f"tools/{tool}", *options, folder],
        cwd=_REPOSITORY, umask=umask, capture_output=True, text=True, check=False,
        env={
            **os.environ, "TZ": f"Etc/GMT+{umask % 7}", "HOME": str(folder),
            # The checkout of CI belongs to the user who runs the other tests.
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])


def digests_inside_and_outside(machine: Machine, program: str, folder: Path) -> tuple[str, str]:
    """The digest of dockerfile-copy by the machine's ``program`` and by this checkout."""
    build = ["build", "dockerfile-copy", "--locked", "--no-attest"]
    assert run_homeport([*build, "-o", f"oci:{folder}/outside"]) == 0
    done = machine.run(f"cd && {program} {' '.join(build)}", USER)
    assert done.returncode == 0, done.stderr
    inside, outside = (
        json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
        for layout in (machine.upper / f"home/{USER}/dockerfile-copy.oci", folder / "outside")
    )
    return inside, outside
