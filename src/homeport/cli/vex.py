"""``homeport vex``: what Debian's security tracker says about the packages of an image."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from homeport.cli.options import Session, common, complete_recipe
from homeport.cli.recipe_options import allow_outside_option
from homeport.content.files import write_file
from homeport.oci.platform import parse_platform


@click.command(
    name="vex",
    epilog="""\b
Examples:
  homeport vex registry.example/team/tool:1.0 --tracker tracker.json -o tool.vex.json
  homeport vex dockerfile-copy --tracker https://security-tracker.debian.org/tracker/data/json
  homeport attest registry.example/team/tool:1.0 --type vex --predicate tool.vex.json \\
      --key cosign.key
""",
)
@click.argument("image", shell_complete=complete_recipe)
@click.option(
    "--tracker", required=True, metavar="FILE|URL",
    help="JSON of Debian's security tracker (https://security-tracker.debian.org/tracker/data/json).",
)  # fmt: skip
@click.option(
    "--platform", "platform", metavar="PLATFORM",
    help="Platform to describe.  [default: this machine's, else the first]",
)  # fmt: skip
@click.option(
    "--taken", type=int, metavar="SECONDS",
    help="When the tracker's data was taken, in seconds since 1970.  [default: now]",
)  # fmt: skip
@click.option(
    "-o", "--output", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write to FILE.  [default: standard output]",
)  # fmt: skip
@allow_outside_option
@common
def command(
    session: Session,
    *,
    image: str,
    tracker: str,
    platform: str | None,
    taken: int | None,
    file: Path | None,
    allow_outside: tuple[Path, ...],
) -> None:
    """Print OpenVEX statements about an image, or about a recipe.

    Every vulnerability that the tracker knows of the image's source packages becomes one
    statement: fixed, affected, not affected or under investigation. IMAGE is an address, or a
    recipe: a name of the catalog, a file or its directory.
    """
    with session.app() as app:
        document = app.vex(
            image,
            tracker,
            moment=int(time.time()) if taken is None else taken,
            platform=parse_platform(platform) if platform else None,
            allow_outside=allow_outside,
        )
    text = msgspec.json.format(msgspec.json.encode(document)).decode()
    if file is None:
        session.output.write_text(text)
    else:
        write_file(file, f"{text}\n".encode())
