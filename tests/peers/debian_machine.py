"""Debian trixie as a machine: an overlay over a folder that mmdebstrap made, thrown away after."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from peers.buildkit_engines import CHROOTS, missing


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
