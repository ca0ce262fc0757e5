"""``homeport gc``: an OCI layout without the blobs that nothing uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from homeport.cli.options import Session, common
from homeport.quantities import counted, human_size


class _LayoutFolder(click.Path):
    """A directory, written as a path or as the address of a layout without a tag."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        text = value.removeprefix("oci:") if isinstance(value, str) else value
        return super().convert(text, param, ctx)


@click.command(
    name="gc",
    epilog="""\b
Examples:
  homeport gc ./dockerfile-copy.oci
  homeport gc oci:dockerfile-copy.oci --dry-run
""",
)
@click.argument("layout", type=_LayoutFolder(exists=True, file_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show what would be removed; remove nothing.")
@common
def command(session: Session, *, layout: Path, dry_run: bool) -> None:
    """Remove unused blobs of an OCI layout.

    Blobs that index.json leads to are kept, with what refers to them. Do not write to the
    layout with other tools at the same time.
    """
    with session.app() as app:
        done = app.gc(layout, dry_run=dry_run)
    document = {
        "schema": "homeport-gc/v1", "layout": str(layout), "dry_run": dry_run,
        "removed": done.removed, "removed_bytes": done.removed_bytes, "kept": done.kept,
    }  # fmt: skip
    verb = "would remove" if dry_run else "removed"
    session.output.write(
        document,
        f"{verb} {counted(done.removed, 'blob')} ({human_size(done.removed_bytes)}), "
        f"kept {done.kept}",
    )
