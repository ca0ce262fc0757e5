"""``homeport delete``: a tag or a manifest out of a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options

if TYPE_CHECKING:
    from homeport.cli.registry_options import RegistryOptions


@click.command(name="delete")
@click.argument("reference")
@click.option(
    "--with-all-tags",
    is_flag=True,
    help="If the registry cannot delete a tag alone, delete the image with all its tags.",
)
@registry_options
@common
def command(
    session: Session, *, reference: str, with_all_tags: bool, options: RegistryOptions
) -> None:
    """Delete the tag or, with @sha256:…, the manifest that REFERENCE names.

    A tag is spelled out: nothing is deleted because 'latest' was left out.
    """
    from homeport.errors import UsageError
    from homeport.oci.reference import parse_reference
    from homeport.registry.deleting import delete

    parsed = parse_reference(reference.removeprefix("docker://"), default_tag="")
    if not parsed.tag and parsed.digest is None:
        raise UsageError(f"{reference} names neither a tag nor a digest")
    with session.app() as app:
        repository = options.open(app, parsed.registry).repository(parsed)
        was_there = delete(repository, parsed.digest or parsed.tag, with_all_tags=with_all_tags)
        document = {
            "schema": "homeport-delete/v1", "reference": str(parsed), "was_there": was_there,
        }  # fmt: skip
        session.output.write(document, f"deleted {parsed}" if was_there else f"{parsed} was gone")
