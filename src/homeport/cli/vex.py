"""``homeport vex``: what Debian's security tracker says about the packages of an image."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from homeport.cli.document_file import document_file_option, write_document
from homeport.cli.options import Session, common
from homeport.cli.platform_options import one_platform_option, read_platform
from homeport.cli.recipe_options import allow_outside_option, catalog_option


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
@click.argument("image")
@click.option(
    "--tracker", default="", metavar="FILE|URL",
    help="JSON of Debian's security tracker (https://security-tracker.debian.org/tracker/data/json)."
    "  [default: only what the recipe says]",
)  # fmt: skip
@click.option(
    "--recipe", default="", metavar="RECIPE",
    help="Take what persons say from the vex of this recipe.  [default: IMAGE, if it is one]",
)  # fmt: skip
@one_platform_option
@click.option(
    "--taken", type=int, metavar="SECONDS",
    help="When the tracker's data was taken, in seconds since 1970.  [default: now]",
)  # fmt: skip
@document_file_option
@allow_outside_option
@catalog_option
@common
def command(
    session: Session,
    *,
    image: str,
    tracker: str,
    recipe: str,
    platform: str | None,
    taken: int | None,
    file: Path | None,
    allow_outside: tuple[Path, ...],
) -> None:
    """Print OpenVEX statements about an image, or about a recipe.

    Every vulnerability that the tracker knows of the image's source packages becomes one
    statement: fixed, affected, not affected or under investigation. IMAGE is an address, or a
    recipe: a name of the catalog, a file or its directory. What a recipe says itself in vex, with a
    reason and a person, comes first.
    """
    with session.app() as app:
        document = app.vex(
            image,
            tracker,
            moment=int(time.time()) if taken is None else taken,
            platform=read_platform(platform),
            recipe=recipe,
            allow_outside=allow_outside,
        )
    text = msgspec.json.format(msgspec.json.encode(document)).decode()
    write_document(session.output, file, text)
