"""``homeport cache``: what the cache holds, how large it may be, and whether it is sound."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from homeport.cli.options import Session, common
from homeport.cli.show import human_size
from homeport.errors import AnswerNo
from homeport.settings import parse_size


@click.group(name="cache")
def command() -> None:
    """Show, bound and check the cache.

    Everything in it can be fetched or made again; removing it is always safe.
    """


@command.command()
@common
def info(session: Session) -> None:
    """Say where the cache is and what it holds."""
    with session.app() as app:
        usage = app.store.usage()
        bound = app.settings.cache_bound
        document: dict[str, Any] = {
            "schema": "homeport-cache/v1",
            "directory": str(app.store.root),
            "bound_bytes": bound,
            "total_bytes": usage.total_bytes,
            **msgspec.to_builtins(usage),
        }
        session.output.write(
            document,
            f"directory  {app.store.root}\n"
            f"content    {usage.blobs} files, {human_size(usage.blob_bytes)}\n"
            f"answers    {usage.answers} files, {human_size(usage.answer_bytes)}\n"
            f"unfinished {human_size(usage.partial_bytes)}\n"
            f"bound      {human_size(bound)}",
        )


@command.command()
@click.option("--bound", metavar="SIZE", help="Keep at most this much, for example 2GiB.")
@click.option("--all", "everything", is_flag=True, help="Remove everything.")
@common
def prune(session: Session, bound: str | None, everything: bool) -> None:
    """Remove the least recently used until the bound is kept.

    What a build that runs now may be using stays.
    """
    with session.app() as app:
        limit = 0 if everything else parse_size(bound) if bound else app.settings.cache_bound
        pruned = app.store.prune(limit)
        session.output.write(
            {"schema": "homeport-cache-prune/v1", **msgspec.to_builtins(pruned)},
            f"removed {pruned.removed} files, {human_size(pruned.removed_bytes)}; "
            f"{human_size(pruned.kept_bytes)} left",
        )


@command.command()
@common
def verify(session: Session) -> None:
    """Read everything again and drop what is damaged (exit code 3 if anything was)."""
    with session.app() as app:
        usage = app.store.usage()
        app.progress.begin("cache verify", label="verify", total=usage.blob_bytes, unit="bytes")
        damaged = app.store.verify(lambda size: app.progress.advance("cache verify", size))
        app.progress.end("cache verify")
        names = [str(digest) for digest in damaged]
        session.output.write(
            {"schema": "homeport-cache-verify/v1", "checked": usage.blobs, "damaged": names},
            "\n".join([*(f"dropped {name}" for name in names), f"{usage.blobs} files checked"]),
        )
    if damaged:
        raise AnswerNo(f"{len(damaged)} damaged files were dropped; they will be made again")
