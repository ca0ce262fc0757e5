"""Make the recordings of terminals in docs/pictures: real runs, as SVG without fonts of others.

    python tools/make_recordings.py [DIRECTORY]

Commands run over the samples of ``make_screenshots`` in a pseudo-terminal of 100 columns; rich
turns what they print into a picture. No network is needed.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

from make_screenshots import make_samples  # noqa: E402
from rich._export_format import CONSOLE_SVG_FORMAT  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.terminal_theme import DIMMED_MONOKAI  # noqa: E402
from rich.text import Text  # noqa: E402

COLUMNS = 100
RECORDINGS = {
    "audit": ("homeport audit shop",),
    "inspect": ("homeport inspect oci:shop.oci:1.4 --waste",
                "homeport inspect oci:shop.oci:1.4 --ci"),
}  # fmt: skip
#: Fonts that rich would load from another's server.
_FONTS = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)


def run(command: str, folder: Path) -> str:
    """What a command prints to a terminal, whatever its exit code."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    program, *arguments = command.split()
    environment = {
        "PATH": "/usr/bin:/bin", "TERM": "xterm-256color", "LANG": "C.UTF-8",
        "HOMEPORT_CACHE_DIR": str(folder / "cache"),
    }  # fmt: skip
    process = subprocess.Popen(
        [Path(sys.executable).parent / program, *arguments], cwd=folder, env=environment,
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    printed = bytearray()
    try:
        while data := os.read(ours, 1 << 16):
            printed += data
    except OSError:  # the terminal's other end is closed: the command has ended
        pass
    process.wait()
    os.close(ours)
    return printed.decode().replace("\r\n", "\n").rstrip("\n")


def recording(commands: tuple[str, ...], folder: Path) -> str:
    """A picture of commands and what they print."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for number, command in enumerate(commands):
        console.print(Text("\n" * bool(number) + "$ ", style="green") + Text(command, style="bold"))
        console.print(Text.from_ansi(run(command, folder)))
    # The id names the classes of the picture: the same for the same command.
    return console.export_svg(
        title=commands[0], theme=DIMMED_MONOKAI, unique_id="homeport",
        code_format=_FONTS.sub("", CONSOLE_SVG_FORMAT),
    )  # fmt: skip


def main(folder: Path) -> int:
    """Make all recordings; 0 if that worked."""
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        make_samples(Path(name))
        for report, commands in RECORDINGS.items():
            picture = recording(commands, Path(name))
            (folder / f"{report}.svg").write_text(picture)
            print(f"{folder / report}.svg  {len(picture) / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/pictures"))
