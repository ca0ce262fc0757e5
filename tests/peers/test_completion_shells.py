"""bash, zsh and fish complete our commands, driven in a pseudo-terminal as a user drives them."""

from __future__ import annotations

import os
import pty
import select
import shlex
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path

import pytest

from builders.deb import deb
from builders.images import index
from builders.locking import World
from builders.recipe import recipe_file
from builders.runtime import runtime
from homeport.images.address import LayoutAddress
from homeport.images.transports.oci_layout import OciLayout

SHELLS = ("bash", "zsh", "fish")
#: What a user types before the tab, and the arguments of the program when the line is run.
CASES = [
    ("valid", "validate"),
    ("inspect oci-a", "inspect oci-archive:"),
    ("inspect oci:ima", "inspect oci:images/"),
    ("inspect oci:images:1", "inspect oci:images:1.0"),
    ("push ./images:2", "push ./images:2.0"),
    ("build dockerfile-c", "build dockerfile-copy"),
    ("build ./my", "build ./my.yaml"),
    ("build . --platform linux/amd64,linux/s3", "build . --platform linux/amd64,linux/s390x"),
    ("audit --deny floa", "audit --deny floating"),
    ("lock dockerfile-copy --update base-f", "lock dockerfile-copy --update base-files"),
    ("add zqs", "add zqshell"),
    ("search zqli", "search zqlib"),
    ("cache pru", "cache prune"),
    ("-v cache pru", "-v cache prune"),
]
_READY = "ready>> "  # a prompt: what is typed before it is no line yet
_LONGEST = 30.0  # seconds in which a shell must have answered


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A home with installed completions, and a layout to complete."""
    folder = tmp_path / "work"
    folder.mkdir()
    for tag in ("1.0", "2.0"):
        OciLayout(LayoutAddress(path=folder / "images", tag=tag)).write(index(), runtime())
    (folder / "my.yaml").write_text("homeport: 1\n")
    (tmp_path / "bin").mkdir()
    # The program itself where a shell asks for words; a run is only written down.
    program = tmp_path / "bin/homeport"
    program.write_text(
        f"""#!/bin/sh
if [ -z "$_HOMEPORT_COMPLETE" ] && [ "$1" != completion ]; then
    echo "$@" >{tmp_path}/line.new && mv {tmp_path}/line.new {tmp_path}/line
    echo "was-run"
    exit
fi
exec {shlex.quote(sys.executable)} -m homeport "$@"
"""
    )
    program.chmod(0o755)
    for shell in SHELLS:
        subprocess.run(
            [program, "completion", "--install", shell], env=environment(tmp_path), check=True,
            capture_output=True,
        )  # fmt: skip
    # Its archive is searched once, by which its names are known.
    debs = [deb(name, files={f"usr/bin/{name}": b"x"}) for name in ("zqlib", "zqshell")]
    world = World(tmp_path / "world", debs, valid_for=None)
    archive = f"name: test, suites: [trixie], mirrors: ['{world.archive.url}'], keys: [key.asc]"
    recipe_file(world.home, f"archives: [{{{archive}}}]\npackages: [zqshell]\n")
    subprocess.run(
        [sys.executable, "-m", "homeport", "search", "zqlib", "--recipe", world.home],
        env=environment(tmp_path), check=True, capture_output=True,
    )  # fmt: skip
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home), "TERM": "xterm", "LANG": "C.UTF-8", "HISTFILE": "/dev/null",
        "PATH": f"{home}/bin:{os.environ['PATH']}", "HOMEPORT_CACHE_DIR": str(home / "cache"),
        "fish_greeting": "",
    }  # fmt: skip


def start(shell: str, home: Path) -> list[str]:
    """The command that starts a shell with nothing but our completion."""
    script = {
        "bash": home / ".local/share/bash-completion/completions/homeport",
        "zsh": home / ".local/share/zsh/site-functions",
        "fish": home / ".config/fish/completions/homeport.fish",
    }[shell]
    if shell == "bash":
        (home / "rc").write_text(f". {script}\nPS1='{_READY}'\nbind 'set bell-style none'\n")
        return ["bash", "--noprofile", "--rcfile", str(home / "rc"), "-i"]
    if shell == "zsh":
        (home / ".zshrc").write_text(
            f"fpath=({script} $fpath)\nautoload -Uz compinit; compinit -u\nPS1='{_READY}'\n"
            # A tab that comes with the text around it is no pasted one.
            "zstyle ':completion:*' insert-tab false\n"
        )
        return ["zsh", "-i"]
    assert script.exists()
    return ["fish", "--private", "-i", "-C", f"function fish_prompt; echo -n '{_READY}'; end"]


@contextmanager
def running(shell: str, home: Path) -> Iterator[int]:
    """The terminal of a shell that waits for its first line."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
    with subprocess.Popen(
        ["setsid", "--ctty", *start(shell, home)], stdin=slave, stdout=slave, stderr=slave,
        cwd=home / "work", env=environment(home),
    ) as process:  # fmt: skip
        os.close(slave)
        try:
            yield master
        finally:
            process.kill()
            os.close(master)


def wait_for(terminal: int, wanted: str) -> str:
    """What the terminal shows, up to the wanted text."""
    shown = b""
    ends = time.monotonic() + _LONGEST
    while wanted not in shown.decode(errors="replace"):
        left = ends - time.monotonic()
        ready = left > 0 and select.select([terminal], [], [], left)[0]
        if not ready:
            raise AssertionError(f"no {wanted!r} in {shown!r}")
        shown += os.read(terminal, 1 << 16)
    return shown.decode(errors="replace")


@pytest.mark.peer(*SHELLS)
@pytest.mark.parametrize("shell", SHELLS)
def test_a_tab_completes_what_was_typed(shell: str, work: Path) -> None:
    found = []
    with running(shell, work) as terminal:
        wait_for(terminal, _READY)
        for typed, _ in CASES:
            os.write(terminal, f"homeport {typed}\t\r".encode())
            shown = wait_for(terminal, "was-run")
            if _READY not in shown.rpartition("was-run")[2]:
                wait_for(terminal, _READY)
            found.append((typed, (work / "line").read_text().strip()))
    assert found == CASES
