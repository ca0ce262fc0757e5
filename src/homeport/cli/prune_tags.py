"""``homeport prune-tags``: old dated tags of a repository, removed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.quantities import counted

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.command(
    name="prune-tags",
    epilog="""\b
Examples:
  homeport prune-tags registry.example/team/tool --dry-run
  homeport prune-tags registry.example/team/tool --keep 20 --days 180
  homeport prune-tags registry.example/team/tool --consumers ../shop --consumers ../infra
""",
)
@click.argument("repository")
@click.option(
    "--keep",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    metavar="N",
    help="Keep the newest N dated tags.",
)
@click.option(
    "--days",
    type=click.IntRange(0),
    default=90,
    show_default=True,
    metavar="N",
    help="Keep dated tags of the last N days.",
)
@click.option(
    "--consumers",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep what the files below DIR name, as homeport audit finds it. Repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@registry_options
@common
def command(
    session: Session, *, repository: str, keep: int, days: int, dry_run: bool,
    consumers: tuple[Path, ...], access: RegistryAccess,
) -> None:  # fmt: skip
    """Remove old dated tags, and never one that another tag leads to.

    Only tags of the forms that publish writes are looked at. Many registries remove an image
    once its last tag is gone, also for those who name it by its digest.
    """
    with session.app() as app:
        done = app.prune_tags(
            repository, keep=keep, days=days, dry_run=dry_run, consumers=consumers, access=access
        )
    verb = "would remove" if dry_run else "removed"
    lines = [f"{verb} {done.repository}:{tag}" for tag in done.removed]
    lines += [f"kept {done.repository}:{tag}: {place} names it" for tag, place in done.used.items()]
    removed = counted(len(done.removed), "dated tag")
    lines.append(f"{verb} {removed}, {'keep' if dry_run else 'kept'} {done.kept}")
    document = {"schema": "homeport-prune-tags/v1", **msgspec.to_builtins(done)}
    session.output.write(document, "\n".join(lines))
