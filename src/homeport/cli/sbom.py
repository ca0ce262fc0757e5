"""``homeport sbom``: what an image is made of, for scanners and for people."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from homeport.cli.document_file import document_file_option, write_document
from homeport.cli.options import Session, common
from homeport.cli.platform_options import one_platform_option, read_platform
from homeport.cli.recipe_options import allow_outside_option, catalog_option


@click.command(
    name="sbom",
    epilog="""\b
Examples:
  homeport sbom dockerfile-copy
  homeport sbom dockerfile-copy --platform linux/arm64 --format spdx -o copy.spdx.json
  homeport sbom oci:./dockerfile-copy.oci --format cyclonedx
  homeport sbom docker.io/library/debian:13-slim --format csv
""",
)
@click.argument("image")
@one_platform_option
@document_file_option
@allow_outside_option
@catalog_option
@partial(common, formats=("spdx", "cyclonedx", "csv"))
def command(
    session: Session,
    *,
    image: str,
    platform: str | None,
    file: Path | None,
    allow_outside: tuple[Path, ...],
    chosen: str,
) -> None:
    """Print the bill of materials of an image, or of a recipe.

    IMAGE is an address, or a recipe: a name of the catalog, a file or its directory. A recipe
    is built, and its bill lists all that went in. An image is read: the bill lists the packages
    that databases in it record. --format json prints SPDX.
    """
    with session.app() as app:
        written = app.sbom(
            image,
            "spdx" if chosen == "json" else chosen,
            platform=read_platform(platform),
            allow_outside=allow_outside,
        )
    write_document(session.output, file, written)
