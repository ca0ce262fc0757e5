"""``homeport extract``: files out of an image, without running or unpacking the whole."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from homeport.cli.inspect import one_platform_option, open_one, read_platform, services_of
from homeport.cli.options import Session, common
from homeport.cli.show import human_size


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
              help="Where to; made if missing. '-' for one file to standard output.")  # fmt: skip
@one_platform_option
@common
def command(
    session: Session, *, image: str, paths: tuple[str, ...], output: str, platform: str | None
) -> None:
    """Write files of IMAGE to a directory, whole directories with all below them.

    PATH may be a glob. The image's own directories are kept below DIR. Nothing is written
    outside of DIR whatever the image's links say, and nothing there is overwritten.
    Owners and setuid bits are not kept.
    """
    import msgspec

    from homeport.errors import UsageError
    from homeport.inspection.image.extraction import extract, select_paths, write_file

    if output == "-" and len(paths) != 1:
        raise UsageError("only one file can go to standard output", hint="use -o DIR")
    with session.app() as app, app.open_image(image) as value:
        opened = open_one(value, read_platform(platform), services_of(app))
        if output == "-":
            write_file(opened, paths[0], sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return
        found = extract(opened, select_paths(opened, paths), Path(output))
        document = {
            "schema": "homeport-extract/v1", "directory": output, **msgspec.to_builtins(found),
        }  # fmt: skip
        lines = [
            f"{output}  {found.files} files ({human_size(found.size)}), "
            f"{found.directories} directories, {found.links} links",
            *(f"left out: {each}" for each in found.skipped),
        ]
        from homeport.inspection.layers.paths import visible as safe

        session.output.write(document, "\n".join(safe(line) for line in lines), quiet_text=output)
