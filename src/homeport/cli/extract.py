"""``homeport extract``: write files of an image to a directory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from homeport.cli.options import Session, common
from homeport.cli.platform_options import one_platform_option, read_platform
from homeport.errors import UsageError
from homeport.printable import printable
from homeport.quantities import counted, human_size

if TYPE_CHECKING:  # 40 ms that --help and a usage error save
    from homeport.inspection.image.extraction import Extracted


@click.command(
    name="extract",
    epilog="""\b
Examples:
  homeport extract docker://registry.example/team/app:1.2 /usr/bin/app -o .
  homeport extract oci:./app /etc/os-release -o -
  homeport extract docker-archive:app.tar '/usr/share/**/*.html' -o pages
""",
)
@click.argument("image")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("-o", "--output", required=True, metavar="DIR",
              help="Destination directory, created if missing; '-' is standard output, for one"
              " file.")  # fmt: skip
@one_platform_option
@common
def command(
    session: Session, *, image: str, paths: tuple[str, ...], output: str, platform: str | None
) -> None:
    """Write files of an image to a directory, without running it.

    PATH may be a directory or a glob. The image's directory structure is kept below DIR.
    Existing files are not overwritten, and links in the image cannot lead out of DIR.
    Owners and setuid bits are not kept.
    """
    if output == "-" and len(paths) != 1:
        raise UsageError("-o - writes one file, but several paths are given", hint="use -o DIR")
    wanted = read_platform(platform)
    with session.app() as app:
        if output == "-":
            app.extract_file(image, paths[0], sys.stdout.buffer, platform=wanted)
            sys.stdout.buffer.flush()
            return
        found = app.extract(image, paths, Path(output), platform=wanted)
    session.output.write(msgspec.to_builtins(found), _text(found), quiet_text=found.directory)


def _text(found: Extracted) -> str:
    lines = [
        f"{found.directory}  {counted(found.files, 'file')} ({human_size(found.size)}), "
        f"{counted(found.directories, 'directory', 'directories')}, "
        f"{counted(found.links, 'link')}",
        *(f"skipped: {each}" for each in found.skipped),
    ]
    return "\n".join(printable(line) for line in lines)
