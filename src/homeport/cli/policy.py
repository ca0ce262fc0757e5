"""``homeport policy``: signature policies for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.cli.show import warn
from homeport.cli.subcommand import CommandGroup
from homeport.cli.verification_options import policy_option
from homeport.content.files import write_file

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.group(cls=CommandGroup, name="policy")
def command() -> None:
    """Write signature policies for other tools."""


@command.command(
    name="emit",
    epilog="""\b
Examples:
  homeport policy emit --target containers --policy policy.yaml -o containers
  homeport policy emit --target buildkit -o policies docker.io/docker/dockerfile:1
""",
)
@click.argument("images", nargs=-1)
@click.option(
    "--target", required=True, metavar="FORM",
    type=click.Choice(["containers", "clusterimagepolicy", "kyverno", "rego", "buildkit"]),
    help="Write for skopeo and podman (containers), sigstore's policy-controller"
    " (clusterimagepolicy), kyverno, buildx (rego), or BuildKit's source policy (buildkit).",
)  # fmt: skip
@policy_option
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Write the files to this directory.  [default: print them]",
)  # fmt: skip
@registry_options
@common
def emit(
    session: Session, *, images: tuple[str, ...], target: str, policy: Path | None,
    output: Path | None, access: RegistryAccess,
) -> None:  # fmt: skip
    """Write a signature policy in another tool's form.

    IMAGES are verified first, and pinned to their digest where the form can do that (buildkit and
    rego). What the form cannot say is left out, with a warning.
    """
    with session.app() as app:
        made = app.emit_policy(target, policy, images, access=access)
    for text in made.left_out:
        warn(f"left out of {target}: {text}")
    if output is not None:
        for name, content in made.files.items():
            write_file(output / name, content.encode())
    document = {
        "schema": "homeport-policy-emit/v1", "target": made.target,
        "files": [{"name": name, "content": text} for name, text in made.files.items()],
        "left_out": list(made.left_out),
    }  # fmt: skip
    written = "\n".join(str(output / name) for name in made.files) if output else ""
    text = written or "\n".join(content.rstrip("\n") for content in made.files.values())
    session.output.write(document, text)
